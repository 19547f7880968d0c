"""Recommendations of another program against a run: the same data, split, users and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_cli.comparisons.runs import SEED, Entry, Row, compare
from recsys_cli.config import build
from recsys_cli.data.list_file import Lists, read_lists
from recsys_cli.errors import ConfigError
from recsys_cli.evaluation.lists import ListsResult, evaluate_lists
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.significance import MIN_USERS, Interval, mean_interval
from recsys_cli.progress import Progress
from recsys_cli.runs import read_settings, read_split
from recsys_cli.tracking.run_folder import PerUser, RunFolder


@dataclass(frozen=True, eq=False)
class ListsReport:
    """What is found about a file of recommendations.

    Attributes:
        metrics: All that can be computed from lists, for the test part.
        intervals: Of the means over users.
        against: The run's own values of the same metrics.
        rows: The file against the run.
        notes: What one must know to read the numbers.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    against: Mapping[str, float]
    rows: Sequence[Row]
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        return {
            "metrics": dict(self.metrics),
            "intervals": {key: [i.low, i.high] for key, i in self.intervals.items()},
            "against": dict(self.against),
            "notes": list(self.notes),
        }


def evaluate_file(
    path: Path, folder: RunFolder, metrics: Sequence[str], *, progress: Progress
) -> ListsReport:
    """Measure a file of recommendations on the test part of a run, and set it against the run.

    Args:
        path: The file, as `read_lists` takes it.
        folder: The run.
        metrics: Keys to compare; empty = the run's primary one.
        progress: Shows how it goes on.

    Raises:
        RecsysError: The run, its data or the file is not as it should be.
    """
    config = read_settings(folder)
    protocol = build(config.tree["evaluation"], key="evaluation")
    if not isinstance(protocol, RankingProtocol):
        raise ConfigError(
            f"the run {folder.name} is measured by the values it predicts, not by lists",
            "name a run with a ranking evaluation",
        )
    test = read_split(config, folder, progress=progress).test
    user_ids, item_ids = test.targets.user_ids, test.targets.item_ids
    lists = read_lists(path, user_ids=user_ids, item_ids=item_ids)
    wanted = list(metrics) or [protocol.primary]
    found = evaluate_lists(lists, test, protocol, primary=wanted[0])
    users = user_ids.decode(found.result.users)
    rivals = [
        Entry(folder.name, folder.per_user("test")),
        Entry(path.name, PerUser(users, found.result.per_user)),
    ]
    return ListsReport(
        metrics=found.result.metrics,
        intervals=_intervals(found),
        against={k: v for k, v in folder.metrics["test"].items() if k in found.result.metrics},
        rows=compare(rivals, wanted),
        notes=_notes(found, lists, protocol),
    )


def _intervals(found: ListsResult) -> dict[str, Interval]:
    present = {key: values[~np.isnan(values)] for key, values in found.result.per_user.items()}
    return {
        key: mean_interval(values, seed=SEED)
        for key, values in present.items()
        if len(values) >= MIN_USERS
    }


def _notes(found: ListsResult, lists: Lists, protocol: RankingProtocol) -> list[str]:
    notes = [
        f"{found.result.n_users:,} users are asked; the lists are ordered by {lists.ordered_by}"
    ]
    if said := protocol.in_words():
        notes.append(said)
    if found.n_without_list:
        notes.append(f"{found.n_without_list:,} of them have no list, which counts as an empty one")
    if found.n_not_asked:
        notes.append(
            f"{found.n_not_asked:,} lists are of users without a target, and are not measured"
        )
    if found.n_seen:
        notes.append(
            f"{found.n_seen:,} items are taken out because their user already had them "
            "(evaluation.exclude_seen)"
        )
    if found.longest < protocol.longest:
        notes.append(
            f"no list has more than {found.longest} items: at {protocol.longest} the rest counts as misses"
        )
    if found.left_out:
        notes.append(
            f"left out, for they need the scores of all items: {', '.join(found.left_out)}"
        )
    return notes

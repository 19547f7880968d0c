"""Published tables, run again: the same data, split and settings, and how far our numbers are from the printed ones.

Every row is an ordinary experiment, recorded as such.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from recsys_cli import __version__, catalogue
from recsys_cli.comparisons.published_table import Row, Table, read
from recsys_cli.config import Config, build, load
from recsys_cli.errors import ConfigError, nearest
from recsys_cli.experiment import run
from recsys_cli.outcome import Outcome
from recsys_cli.progress import NotesOnce, Progress
from recsys_cli.tracking.contract import Status, Tracker

SPLIT = "split"  # what the counts of a split are filed under, in place of a model
RESULT = "reproduce.json"
EXACT = 1e-9  # of binary fractions, far below any printed digit


@dataclass(frozen=True)
class Check:
    """One printed number and ours.

    Attributes:
        model: The row; `split` for a count.
        metric: The column, or the name of the count.
        published: As printed.
        ours: In full.
        digits: Printed digits behind the point.
        tolerance: The largest difference that passes, beside half a printed digit; 0 = the printed digits themselves.
    """

    model: str
    metric: str
    published: float
    ours: float
    digits: int
    tolerance: float

    @property
    def difference(self) -> float:
        """Ours minus the published number."""
        return self.ours - self.published

    @property
    def passed(self) -> bool:
        """Whether ours is as near as the tolerance and the rounding of the published number allow."""
        rounding = 0.5 * 10.0**-self.digits
        return abs(self.difference) <= self.tolerance + rounding + EXACT

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"difference": self.difference, "passed": self.passed}


@dataclass(frozen=True)
class Reproduction:
    """What running a table again found.

    Attributes:
        table: Its name.
        title: What it is.
        source: Who published it.
        splits: The hash of each repeat's split, by its name.
        checks: The counts of the split, then each number, row by row.
        notes: By row.
        run_id: The tracked run of the table.
        run_ids: Those of the runs, by row.
        logged_at: Where the runs are recorded.
        how_to_open: The command that shows them.
    """

    table: str
    title: str
    source: str
    splits: dict[str, str]
    checks: list[Check]
    notes: dict[str, str]
    run_id: str
    run_ids: dict[str, list[str]]
    logged_at: str
    how_to_open: str

    @property
    def passed(self) -> bool:
        """Whether every number was reached."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields."""
        checks = [check.to_json() for check in self.checks]
        return asdict(self) | {"checks": checks, "passed": self.passed}


def reproduce(
    name: str,
    *,
    progress: Progress,
    only: Sequence[str] = (),
    source: Path | None = None,
    overrides: Sequence[str] = (),
    config_dirs: Sequence[Path] = (),
) -> Reproduction:
    """Run the rows of a table and compare.

    Args:
        name: Of the table.
        progress: Shows how it goes on.
        only: Models whose rows are run; empty = all.
        source: A folder that holds the data set in a folder of its name; None = as the data set finds it.
        overrides: For every run, such as `tracking=none`.
        config_dirs: The user's own configuration folders.

    Raises:
        ConfigError: No such table or row, or a setting that is wrong.
        RecsysError: What stops an experiment.
    """
    table = read(name, config_dirs)
    rows = _chosen(table, only, name)
    shared = [f"data={table.data}", *table.overrides, *overrides]
    if source is not None:
        shared.append(f"data.source={_quoted(source / (table.folder or table.data))}")
    # All rows are composed and checked before the first is run.
    runs = [(row, _runs(table, row, shared, config_dirs)) for row in rows]
    tracker: Tracker = build(runs[0][1][0].tree["tracking"], key="tracking")
    run_id = tracker.start(
        name=f"reproduce {name}",
        params={"table": name, "models": ",".join(row.model for row in rows)},
        tags={
            "recsys.version": __version__,
            "recsys.published": name,
            "recsys.overrides": " ".join(shared),
        },
        warn=progress.note,
    )
    status: Status = "FAILED"
    try:
        outcomes = _run(name, runs, run_id, progress)
        entry = catalogue.find(catalogue.PUBLISHED, name, config_dirs)
        found = _found(entry, table, outcomes, tracker, run_id)
        _record(found, tracker)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    return replace(found, logged_at=tracker.location)


def _chosen(table: Table, only: Sequence[str], name: str) -> list[Row]:
    known = [row.model for row in table.rows]
    for model in only:
        if model not in known:
            raise ConfigError(
                f"--only {model}: the table {name} has no such row", nearest(model, known)
            )
    return [row for row in table.rows if not only or row.model in only]


def _runs(
    table: Table, row: Row, shared: Sequence[str], config_dirs: Sequence[Path]
) -> list[Config]:
    own = [f"model={row.model}", *shared, *row.overrides]
    return [load([*own, *repeat], config_dirs) for repeat in table.repeats or [[]]]


def _run(
    name: str, runs: Sequence[tuple[Row, list[Config]]], parent_id: str, progress: Progress
) -> list[tuple[Row, list[Outcome]]]:
    inside = NotesOnce(progress)
    total = sum(len(configs) for _, configs in runs)
    outcomes = []
    with progress.bar(f"reproduce {name}", total, "runs") as bar:
        for row, configs in runs:
            of_row = []
            for config in configs:
                of_row.append(
                    run(config, run_dir=None, progress=inside, parent_id=parent_id or None)
                )
                bar.advance()
            outcomes.append((row, of_row))
    return outcomes


def _found(
    entry: catalogue.Entry,
    table: Table,
    outcomes: Sequence[tuple[Row, list[Outcome]]],
    tracker: Tracker,
    run_id: str,
) -> Reproduction:
    of_first = outcomes[0][1]
    return Reproduction(
        table=entry.name,
        title=entry.title,
        source=" | ".join(entry.notes[1:]),
        splits={outcome.split: outcome.split_hash for outcome in of_first},
        checks=[*_counts(table, of_first), *_checks(table, outcomes)],
        notes={row.model: row.note for row, _ in outcomes if row.note},
        run_id=run_id,
        run_ids={row.model: [each.run_id for each in of_row] for row, of_row in outcomes},
        logged_at=tracker.location,
        how_to_open=tracker.how_to_open,
    )


def _counts(table: Table, outcomes: Sequence[Outcome]) -> list[Check]:
    """The sizes of the split; a repeat that differs from the others shows as the one that is furthest off."""
    checks = []
    for key, published in table.counts.items():
        found = [outcome.counts[key] for outcome in outcomes]
        ours = max(found, key=lambda count: abs(count - published))
        checks.append(Check(SPLIT, key, published, ours, digits=0, tolerance=0))
    return checks


def _checks(table: Table, outcomes: Sequence[tuple[Row, list[Outcome]]]) -> list[Check]:
    return [
        Check(
            row.model,
            key,
            published,
            float(np.mean([outcome.metrics["test"][key] for outcome in of_row])),
            digits=table.digits,
            tolerance=tolerance,
        )
        for row, of_row in outcomes
        for key, published, tolerance in zip(
            table.metrics, row.published, row.tolerances, strict=True
        )
        if published is not None
    ]


def _record(found: Reproduction, tracker: Tracker) -> None:
    numbers = {f"{check.model}_{check.metric}": check.ours for check in found.checks}
    passed = sum(check.passed for check in found.checks)
    tracker.metrics(numbers | {"numbers": len(found.checks), "numbers_reached": passed})
    with TemporaryDirectory() as folder:
        path = Path(folder) / RESULT
        path.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
        tracker.artifact(path)


def _quoted(path: Path) -> str:
    """A path as a value in Hydra's grammar."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"

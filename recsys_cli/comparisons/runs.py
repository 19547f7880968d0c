"""Finished runs side by side: is one better than the other, or may chance alone have set them apart?

Only runs that answered the same questions are compared: the same split, down to the last event, measured by the same
rules. A winner is called where the interval of the paired difference leaves out 0 and the test, corrected for the
number of comparisons, agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys_cli.errors import DataError, nearest
from recsys_cli.evaluation.catalogue import METRICS
from recsys_cli.evaluation.significance import (
    Difference,
    Interval,
    holm,
    mean_interval,
    paired,
)
from recsys_cli.tracking.run_folder import PER_USER, PerUser, RunFolder

ALPHA = 0.05
SEED = 0  # of the resampling: the same runs give the same numbers
CHOICES_OF_METRICS = ("cutoffs", "metrics", "primary")


@dataclass(frozen=True, eq=False)
class Entry:
    """A recommender with the value of each test user."""

    name: str
    per_user: PerUser


@dataclass(frozen=True)
class Row:
    """What one recommender's values of one metric say.

    Attributes:
        name: The recommender.
        metric: The key, such as `ndcg_at_10`.
        mean: Over the users who have a value.
        interval: Of that mean.
        n_users: Users with a value, for a difference: with a value from both.
        difference: To the reference; None for the reference itself.
        p_holm: The difference's p, corrected for all rows; None for the reference.
        sentence: The same in words.
        against: The one that the difference is to; empty for the reference.
    """

    name: str
    metric: str
    mean: float
    interval: Interval
    n_users: int
    difference: Difference | None
    p_holm: float | None
    sentence: str
    against: str = ""

    @property
    def told_apart(self) -> bool:
        """Whether chance alone is ruled out."""
        if self.difference is None or self.p_holm is None:
            return False
        return not self.difference.interval.contains_zero and self.p_holm < ALPHA

    def cells(self) -> tuple[str, str]:
        """The mean and its interval, for a table."""
        return f"{self.mean:.4f}", f"[{self.interval.low:.4f}, {self.interval.high:.4f}]"

    def difference_cells(self) -> tuple[str, str, str, str]:
        """The difference, its interval, effect size and corrected p; empty for the reference."""
        if (d := self.difference) is None:
            return "", "", "", ""
        interval = f"[{d.interval.low:+.4f}, {d.interval.high:+.4f}]"
        return f"{d.mean:+.4f}", interval, f"{d.effect_size:+.2f}", f"{self.p_holm:.4f}"


def entries(folders: Sequence[RunFolder]) -> list[Entry]:
    """The test users' values of runs that answered the same questions.

    Raises:
        DataError: A run is given twice, or two of them differ in data, split or rules of evaluation.
    """
    names = [folder.name for folder in folders]
    paths = [folder.path.resolve() for folder in folders]
    if repeated := [path for path in paths if paths.count(path) > 1]:
        raise DataError(f"the run {repeated[0]} is given twice", "name different runs")
    first = folders[0]
    for other in folders[1:]:
        _check_same_question(first, other)
    shown = [
        name if names.count(name) == 1 else str(folder.path)
        for name, folder in zip(names, folders, strict=True)
    ]
    return [Entry(name, f.per_user("test")) for name, f in zip(shown, folders, strict=True)]


def compare(
    rivals: Sequence[Entry],
    metrics: Sequence[str],
    *,
    reference: int = 0,
    against: Mapping[str, str] | None = None,
) -> list[Row]:
    """Set each recommender against the reference, or against another that is named for it, user by user.

    Args:
        rivals: Over the same users.
        metrics: Keys that all of them have.
        reference: Position of the one that the others are set against.
        against: Name -> the one that it is set against instead.

    Returns:
        Metric by metric, the reference first.

    Raises:
        DataError: A metric has no value per user, or the users are not the same.
    """
    base = rivals[reference]
    others = [rival for at, rival in enumerate(rivals) if at != reference]
    for rival in others:
        if not np.array_equal(rival.per_user.users, base.per_user.users):
            raise DataError(
                f"{rival.name} and {base.name} have values of different users, though their split is the same",
                f"a {PER_USER} was changed: train again",
            )
    rows, named = [], {rival.name: rival for rival in rivals}
    bases = {rival: named[other] for rival, other in (against or {}).items()}
    for metric in metrics:
        rows.append(_row(base, None, metric))
        rows += [_row(rival, bases.get(rival.name, base), metric) for rival in others]
    told = [row for row in rows if row.difference is not None]
    corrected = iter(holm([row.difference.p for row in told if row.difference]))
    return [
        row if row.difference is None else _in_words(row, next(corrected), len(told))
        for row in rows
    ]


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain values; an infinite effect size is null."""
    told = []
    for row in rows:
        difference = None
        if row.difference is not None:
            size = row.difference.effect_size
            difference = {
                "mean": row.difference.mean,
                "low": row.difference.interval.low,
                "high": row.difference.interval.high,
                "effect_size": size if np.isfinite(size) else None,
                "p": row.difference.p,
                "p_holm": row.p_holm,
                "share_higher": row.difference.higher,
                "share_lower": row.difference.lower,
                "told_apart": row.told_apart,
            }
        told.append(
            {
                "name": row.name,
                "metric": row.metric,
                "mean": row.mean,
                "low": row.interval.low,
                "high": row.interval.high,
                "users": row.n_users,
                "difference": difference,
                "against": row.against,
                "sentence": row.sentence,
            }
        )
    return told


def _check_same_question(first: RunFolder, other: RunFolder) -> None:
    hashes = [str(folder.recorded["split_hash"])[:12] for folder in (first, other)]
    if first.recorded["split_hash"] != other.recorded["split_hash"]:
        raise DataError(
            f"{first.name} and {other.name} answer different questions: split {hashes[0]} and {hashes[1]}",
            "compare runs on the same data and split",
        )
    rules = [
        {key: value for key, value in folder.evaluation.items() if key not in CHOICES_OF_METRICS}
        for folder in (first, other)
    ]
    if rules[0] != rules[1]:
        odd = sorted(k for k in {*rules[0], *rules[1]} if rules[0].get(k) != rules[1].get(k))[0]
        raise DataError(
            f"{first.name} and {other.name} answer different questions: evaluation.{odd} is "
            f"{rules[0].get(odd)!r} and {rules[1].get(odd)!r}",
            "compare runs that were measured alike",
        )


def _row(rival: Entry, base: Entry | None, metric: str) -> Row:
    values = _values(rival, metric)
    own = values[~np.isnan(values)]
    difference, n_users = None, len(own)
    if base is not None:
        theirs = _values(base, metric)
        both = ~np.isnan(values) & ~np.isnan(theirs)
        n_users = int(both.sum())
        difference = paired(values[both], theirs[both], seed=SEED)
    return Row(
        name=rival.name,
        metric=metric,
        mean=float(own.mean()),
        interval=mean_interval(own, seed=SEED),
        n_users=n_users,
        difference=difference,
        p_holm=None,
        sentence="" if difference else "the others are set against it",
        against="" if base is None else base.name,
    )


def _values(entry: Entry, metric: str) -> Any:
    if metric not in entry.per_user.values:
        raise DataError(
            f"{entry.name} has no value per user of {metric!r}",
            nearest(metric, list(entry.per_user.values)),
        )
    return entry.per_user.values[metric]


def _in_words(row: Row, p_holm: float, n_comparisons: int) -> Row:
    """The row with its corrected p and its sentence."""
    assert row.difference is not None
    told = replace(row, p_holm=p_holm)
    d, base = row.difference, row.against
    amount = f"{d.mean:+.4f} [{d.interval.low:+.4f}, {d.interval.high:+.4f}]"
    if told.told_apart:
        sentence = (
            f"{_verb(row.metric, d.mean)} {base}: {amount}; higher for {d.higher:.0%} of the users, "
            f"lower for {d.lower:.0%}"
        )
    else:
        sentence = f"cannot be told apart from {base}: {amount}"
        if not d.interval.contains_zero:
            sentence += (
                f", for among {n_comparisons} comparisons such a difference comes by chance too"
            )
    return replace(told, sentence=sentence)


def _verb(metric: str, mean: float) -> str:
    """What a higher or lower value means for this metric."""
    known = METRICS.get(metric.split("_at_")[0])
    better = "neither" if known is None else known.better
    if better == "neither":
        return "has more than" if mean > 0 else "has less than"
    return "better than" if (mean > 0) == (better == "higher") else "worse than"

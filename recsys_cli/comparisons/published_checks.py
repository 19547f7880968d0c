"""Printed numbers and ours: how far apart they are, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recsys_cli import catalogue
from recsys_cli.comparisons.published_record import KeptRow, kept_row
from recsys_cli.comparisons.published_table import Row, Table
from recsys_cli.config import Config
from recsys_cli.outcome import Outcome

SPLIT = "split"  # what the counts of a split are filed under, in place of a model
EXACT = 1e-9  # of binary fractions, far below any printed digit

Ran = tuple[
    Row, list[Config], list[Outcome]
]  # a row, and the settings and outcome of each of its runs


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
        rows: What `--record` keeps, by row.
        run_id: The tracked run of the table; empty where its runs were finished before.
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
    rows: dict[str, KeptRow]
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


def found_by(entry: catalogue.Entry, table: Table, ran: Sequence[Ran]) -> Reproduction:
    """What the runs of a table's rows come to, beside the printed numbers."""
    of_first = ran[0][2]
    checks = [
        check
        for row, _, outcomes in ran
        for check in row_checks(table, row, [outcome.metrics["test"] for outcome in outcomes])
    ]
    return Reproduction(
        table=entry.name,
        title=entry.title,
        source=" | ".join(entry.notes[1:]),
        splits={outcome.split: outcome.split_hash for outcome in of_first},
        checks=[*_counts(table, of_first), *checks],
        notes={row.model: row.note for row, _, _ in ran if row.note},
        rows={
            row.model: kept_row(entry.name, row.model, table, configs, outcomes)
            for row, configs, outcomes in ran
        },
        run_id="",
        run_ids={row.model: [each.run_id for each in outcomes] for row, _, outcomes in ran},
        logged_at="",
        how_to_open="",
    )


def _counts(table: Table, outcomes: Sequence[Outcome]) -> list[Check]:
    """The sizes of the split; a repeat that differs from the others shows as the one that is furthest off."""
    checks = []
    for key, published in table.counts.items():
        found = [outcome.counts[key] for outcome in outcomes]
        ours = max(found, key=lambda count: abs(count - published))
        checks.append(Check(SPLIT, key, published, ours, digits=0, tolerance=0))
    return checks


def row_checks(table: Table, row: Row, tests: Sequence[Mapping[str, float]]) -> list[Check]:
    """The printed numbers of a row against the means of ours.

    Args:
        table: What is printed.
        row: One of its rows.
        tests: The test metrics of each run of it.
    """
    return [
        Check(
            row.model,
            key,
            published,
            float(np.mean([metrics[key] for metrics in tests])),
            digits=table.digits,
            tolerance=tolerance,
        )
        for key, published, tolerance in zip(
            table.metrics, row.published, row.tolerances, strict=True
        )
        if published is not None
    ]

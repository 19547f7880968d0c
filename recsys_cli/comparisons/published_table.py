"""A published table as a file: `published/NAME.yaml` in a configuration folder.

It says what the rows have in common, and for each row a model, its settings and its printed numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from recsys_cli import catalogue, plain_yaml
from recsys_cli.errors import ConfigError

Tolerance = Annotated[float, Field(ge=0)]


class Row(BaseModel):
    """One printed row.

    Attributes:
        model: The name of the model here.
        overrides: Its settings.
        published: The printed numbers, in the order of the table's metrics; None where the row has none.
        tolerance: The largest difference that still counts as the same, beside half a printed digit; 0 = ours has the
            printed digits. One for all metrics, or one for each.
        note: Why the tolerance is what it is, or what else one must know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    overrides: list[str] = []
    published: list[float | None]
    tolerance: Tolerance | list[Tolerance]
    note: str = ""

    @property
    def tolerances(self) -> list[float]:
        """That of each metric."""
        one = self.tolerance
        return one if isinstance(one, list) else [one] * len(self.published)


class Table(BaseModel):
    """One published table.

    Attributes:
        data: The name of the data set here.
        folder: The name of its folder where several lie side by side; empty = that of the data set.
        overrides: The protocol: split, filter and evaluation.
        repeats: Overrides of one run each, over which a row is the mean; empty = one run.
        counts: What the split must have, by the names that a run's counts have.
        metrics: Names of the columns, as a run's metrics are called.
        digits: Printed digits behind the point.
        long: Whether a row takes more than some minutes.
        rows: The rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    folder: str = ""
    overrides: list[str]
    repeats: list[list[str]] = []
    counts: dict[str, int] = {}
    metrics: Annotated[list[str], Field(min_length=1)]
    digits: Annotated[int, Field(ge=1, le=9)]
    long: bool = False
    rows: Annotated[list[Row], Field(min_length=1)]


def read(name: str, config_dirs: Sequence[Path] = ()) -> Table:
    """The table of this name.

    Raises:
        ConfigError: There is none, or its file is not as it should be.
    """
    path = catalogue.find(catalogue.PUBLISHED, name, config_dirs).path
    table = plain_yaml.load_as(path, Table)
    for row in table.rows:
        if len(row.published) != len(table.metrics):
            raise ConfigError(
                f"{path}: {row.model} has {len(row.published)} numbers for {len(table.metrics)} metrics",
                "give one for each, null where none is printed",
            )
        if len(row.tolerances) != len(table.metrics):
            raise ConfigError(
                f"{path}: {row.model} has {len(row.tolerances)} tolerances for {len(table.metrics)} metrics",
                "give one for each, or one number for all",
            )
    return table

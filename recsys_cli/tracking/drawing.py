"""What a terminal shows while work goes on: the bars that are open together, and a table under them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import IO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from recsys_cli.redact import printable, redact

REDRAWS_PER_SECOND = 5


class Drawing(Progress):
    """Bars that move, and rows that are replaced."""

    seconds_between = 1 / REDRAWS_PER_SECOND

    def __init__(self, stream: IO[str]) -> None:
        self._rows: RenderableType | None = None
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}", markup=False),
            TimeElapsedColumn(),
            _Left(),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=Console(file=stream, force_terminal=True),
            refresh_per_second=REDRAWS_PER_SECOND,
            redirect_stdout=False,
            expand=True,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the table."""
        yield from super().get_renderables()
        if self._rows is not None:
            yield self._rows

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Put rows under the bars; none takes them away."""
        self._rows = _table(heads, rows) if rows else None
        self.refresh()


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for at, head in enumerate(heads):
        drawn.add_column(Text(head), justify="right" if at else "left", overflow="ellipsis", no_wrap=True)  # fmt: skip
    for cells in rows:
        drawn.add_row(*(Text(printable(redact(cell))) for cell in cells))
    return drawn


class _Left(ProgressColumn):
    """The time that is left by the mean of all steps; rich's own forgets steps that lie half a minute back."""

    def render(self, task: Task) -> Text:
        """Count down to when the work will be over."""
        until = task.fields["until"]
        if until is None:
            return Text("-:--:--", style="progress.remaining")
        left = timedelta(seconds=round(max(0.0, until - time.monotonic())))
        return Text(str(left), style="progress.remaining")

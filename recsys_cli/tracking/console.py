"""Progress for people, on standard error: a bar on a terminal, plain lines anywhere else.

Standard output is left to results. What is shown must never stop the work: a reader that goes away
(`2>&1 | head`) or a closed stream is simply no longer written to.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Protocol

from recsys_cli.redact import printable, redact

if TYPE_CHECKING:
    from recsys_cli.tracking.drawing import Drawing

NUMBERS_SHOWN = 2


class Console:
    """Shows bars and notes.

    Args:
        bars: True draws bars and False prints lines, wherever it goes; None decides by whether
            standard error is a terminal.
        seconds_between_lines: Without bars, work reports at most this often, and when it ends.
        stream: Where to write; None for standard error.
    """

    def __init__(
        self,
        *,
        bars: bool | None = None,
        seconds_between_lines: float = 5.0,
        stream: IO[str] | None = None,
    ) -> None:
        self._stream = _Tolerant(sys.stderr if stream is None else stream)
        self._bars = self._stream.isatty() if bars is None else bars
        self._seconds_between_lines = seconds_between_lines
        self._depth = 0
        self._drawing: Drawing | None = None

    def note(self, text: str) -> None:
        """Print one line, above the bars where there are some; without secrets and control characters."""
        text = printable(redact(text))
        if self._drawing is None:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        else:
            self._drawing.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show rows under the bars until others come or the last bar ends; where lines are printed, nothing.

        Args:
            heads: Of the columns.
            rows: Cells of text.
        """
        if self._drawing is not None:
            self._drawing.table(heads, rows)

    @contextmanager
    def bar(self, what: str, total: int, unit: str) -> Iterator[_Meter]:
        """A context manager that gives a bar; a bar inside another one vanishes when it ends.

        Args:
            what: The work, in a word or two.
            total: How many steps it has.
            unit: What a step is, in the plural: epochs, users, bytes.
        """
        with self._display() as drawing:
            face: _Face
            if drawing is None:
                face = _Lines(self, what, total, unit, always_ends=self._depth == 1)
                meter = _Meter(face, self._seconds_between_lines)
            else:
                face = _RichBar(drawing, what, total, unit, stays=self._depth == 1)
                meter = _Meter(face, drawing.seconds_between)
            try:
                yield meter
            finally:
                meter.end()

    @contextmanager
    def _display(self) -> Iterator[Drawing | None]:
        """Count the depth of bars; the outermost starts and stops the drawing."""
        if self._depth == 0 and self._bars:
            from recsys_cli.tracking.drawing import Drawing

            self._drawing = Drawing(self._stream)  # type: ignore[arg-type]  # a file in what rich uses
            self._drawing.start()
        self._depth += 1
        try:
            yield self._drawing
        finally:
            self._depth -= 1
            if self._depth == 0 and self._drawing is not None:
                self._drawing.table((), ())
                self._drawing.stop()
                self._drawing = None


class _Face(Protocol):
    """How the state of a bar is shown."""

    def show(self, done: int, shown: dict[str, float], seconds: float) -> None: ...
    def end(self, done: int, shown: dict[str, float], seconds: float) -> None: ...


class _Meter:
    """Counts steps, and shows them so rarely that a step may take a microsecond."""

    def __init__(self, face: _Face, seconds_between: float) -> None:
        self._face = face
        self._seconds_between = seconds_between
        self._started = self._shown_at = time.monotonic()
        self._done = 0
        self._shown: dict[str, float] = {}

    def advance(self, steps: int = 1, **shown: float) -> None:
        """So many more steps are done; the first two of `shown` are displayed."""
        self._done += steps
        if shown:
            self._shown = shown
        now = time.monotonic()
        if now - self._shown_at >= self._seconds_between:
            self._shown_at = now
            self._face.show(self._done, self._shown, now - self._started)

    def end(self) -> None:
        """Show the last state."""
        self._face.end(self._done, self._shown, time.monotonic() - self._started)


class _Lines:
    """A line now and then: for logs and pipes."""

    def __init__(
        self, console: Console, what: str, total: int, unit: str, *, always_ends: bool
    ) -> None:
        self._console = console
        self._what, self._total, self._unit = what, total, unit
        # The end of an inner piece of work would be a line for each epoch, however short.
        self._always_ends = always_ends

    def show(self, done: int, shown: dict[str, float], seconds: float) -> None:
        """Print where the work is and when it will be over."""
        left = f", {_clock(seconds / done * (self._total - done))} left" if done else ""
        self._line(done, shown, f"{_clock(seconds)}{left}")

    def end(self, done: int, shown: dict[str, float], seconds: float) -> None:
        """Print where the work ended."""
        if self._always_ends:
            self._line(done, shown, _clock(seconds))

    def _line(self, done: int, shown: dict[str, float], times: str) -> None:
        counts = f"{self._what}: {done:,}/{self._total:,} {self._unit}"
        self._console.note("  ".join(part for part in (counts, times, _numbers(shown)) if part))


class _RichBar:
    """A bar that moves."""

    def __init__(self, drawing: Drawing, what: str, total: int, unit: str, *, stays: bool) -> None:
        self._drawing = drawing
        self._stays = stays
        self._total = total
        self._task = drawing.add_task(what, total=total, unit=unit, numbers="", until=None)

    def show(self, done: int, shown: dict[str, float], seconds: float) -> None:
        """Move the bar."""
        until = time.monotonic() + seconds / done * (self._total - done) if done else None
        self._drawing.update(self._task, completed=done, numbers=_numbers(shown), until=until)

    def end(self, done: int, shown: dict[str, float], seconds: float) -> None:
        """Leave the outermost bar as it is now, and take an inner one away."""
        self.show(done, shown, seconds)
        self._drawing.stop_task(self._task)
        if not self._stays:
            self._drawing.remove_task(self._task)


class _Tolerant:
    """A text stream that falls silent, instead of raising, once nobody can read it."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        """What the stream can write; rich draws with simpler characters where it must."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether a person may be looking at it."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor, from which rich reads the width of the terminal."""
        if self._stream is None:
            raise OSError("closed")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, if that is still possible."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, if that is still possible."""
        self._try(lambda stream: stream.flush())

    def _try(self, action: Callable[[IO[str]], object]) -> None:
        try:
            if self._stream is not None:
                action(self._stream)
        except (OSError, ValueError):
            self._stream = None


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, as 0:01:05."""
    return str(timedelta(seconds=round(seconds)))


def _numbers(shown: dict[str, float]) -> str:
    """The numbers beside the bar; more of them would squeeze the times out of 80 columns."""
    return "  ".join(f"{name} {value:.4g}" for name, value in list(shown.items())[:NUMBERS_SHOWN])

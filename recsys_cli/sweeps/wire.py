"""What a worker tells the command that started it: a line of JSON for each note, trial and step of a bar."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from recsys_cli.progress import Bar, Silent

SECONDS_BETWEEN = 0.5  # what a person sees needs no more


class Wire:
    """Progress that is shown by another process; when nobody reads it any more it falls silent.

    Args:
        stream: Where lines go.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self._depth = 0

    def send(self, **message: Any) -> None:
        """Tell one thing."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def note(self, text: str) -> None:
        """Send a line for people."""
        self.send(note=text)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Send nothing: the command that shows our bars has a table of its own."""

    @contextmanager
    def bar(self, what: str, total: int, unit: str) -> Iterator[Bar]:
        """Send the steps of an outermost bar; one inside it would be too much to look at."""
        self._depth += 1
        try:
            if self._depth > 1:
                with Silent().bar(what, total, unit) as inner:
                    yield inner
                return
            self.send(bar=[what, total, unit])
            steps = _Steps(self)
            try:
                yield steps
            finally:
                steps.tell()
                self.send(bar=None)
        finally:
            self._depth -= 1


class _Steps:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._untold, self._told_at = 0, time.monotonic()
        self._shown: dict[str, float] = {}

    def advance(self, steps: int = 1, **shown: float) -> None:
        """So many more steps are done."""
        self._untold += steps
        self._shown = shown or self._shown
        if time.monotonic() - self._told_at >= SECONDS_BETWEEN:
            self.tell()

    def tell(self) -> None:
        """Send what was not sent yet."""
        self._told_at = time.monotonic()
        self._wire.send(steps=self._untold, shown=self._shown)
        self._untold = 0

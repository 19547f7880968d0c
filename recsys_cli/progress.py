"""How long work tells that it goes on: the one interface between loops and the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of work of known length."""

    def advance(self, steps: int = 1, **shown: float) -> None:
        """So many more steps are done; `shown` are numbers to display beside the bar."""
        ...


class Progress(Protocol):
    """Opens bars; `note` is a line for people. Everything goes to standard error."""

    def note(self, text: str) -> None:
        """Print one line."""
        ...

    def bar(self, what: str, total: int, unit: str) -> AbstractContextManager[Bar]:
        """A context manager that gives a `Bar`."""
        ...

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows to look at beside the bars, instead of those before; who shows no bars shows none."""
        ...


class _SilentBar:
    def advance(self, steps: int = 1, **shown: float) -> None:
        """Say nothing."""


class Silent:
    """Says nothing: for tests and for code used as a library."""

    def note(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def bar(self, what: str, total: int, unit: str) -> Iterator[Bar]:
        """A bar that shows nothing."""
        yield _SilentBar()

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show nothing."""


class NotesOnce:
    """Progress of one of several runs of much the same thing: its bars, and each note only where it is new."""

    def __init__(self, outer: Progress) -> None:
        self._outer = outer
        self._said: set[str] = set()

    def note(self, text: str) -> None:
        """Print one line, unless it has been printed."""
        if text not in self._said:
            self._said.add(text)
            self._outer.note(text)

    def bar(self, what: str, total: int, unit: str) -> AbstractContextManager[Bar]:
        """A bar of the run, inside that of all runs."""
        return self._outer.bar(what, total, unit)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows of all runs."""
        self._outer.table(heads, rows)

"""How long work tells that it goes on: the one interface between loops and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
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

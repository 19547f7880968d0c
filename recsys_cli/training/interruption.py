"""Ctrl-C and SIGTERM during training: the step that is under way is finished first.

Python calls a signal's handler between any two of its instructions, also in the middle of an update of the weights.
So the request is noted, and the loop acts on it where the state is whole. A second request is acted on at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether somebody wants this process to stop."""

    def __init__(self, former: dict[int, Handler]) -> None:
        self._former = former
        self._signal: int | None = None
        self._waits = True

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._signal is not None

    def act(self) -> None:
        """Do now what the signal does outside training: raise KeyboardInterrupt or what the program made of it."""
        assert self._signal is not None
        self._former[self._signal](self._signal, None)
        raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside the block nothing is half-changed by stopping: do not wait."""
        self._waits = False
        try:
            if self.requested:
                self.act()
            yield
        finally:
            self._waits = True

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals."""
        waits = self._waits and not self.requested
        self._signal = number
        if not waits:
            self._former[number](number, frame)


@contextmanager
def deferred() -> Iterator[Interruption]:
    """Note signals inside the block instead of stopping; those that are ignored or not Python's are left alone."""
    former: dict[int, Handler] = {}
    interruption = Interruption(former)
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                former[number] = handler
                signal.signal(number, interruption.note)
    try:
        yield interruption
    finally:
        for taken, handler in former.items():
            signal.signal(taken, handler)

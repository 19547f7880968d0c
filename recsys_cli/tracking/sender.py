"""Telling the store while training goes on: in a thread, so that a store that fails or hangs costs seconds at most.

A store that fails is asked again every few seconds. What it has not been told when the run ends stays in the events
of the run.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from recsys_cli.errors import ConfigError, RecsysError
from recsys_cli.tracking.delivery import Delivery, RefusedError
from recsys_cli.tracking.description import reason

PATIENCE_SECONDS = 3.0  # so long is a store waited for that does not answer
LOCAL_PATIENCE_SECONDS = 30.0  # the same for a file: whether it is locked is asked first, and a busy machine is no outage
RETRY_SECONDS = 5.0
BYTES_PER_SECOND = 1_000_000  # a file is copied at least this fast where all is well


@dataclass
class Condition:
    """What this process knows of a store, for all runs that it tells it of.

    Attributes:
        failure: What went wrong last; empty while all is well.
        told: Whether people have been told of it.
    """

    failure: str = ""
    told: bool = False

    known: ClassVar[dict[str, Condition]] = {}

    @classmethod
    def of(cls, uri: str) -> Condition:
        """That of the store at this URI."""
        return cls.known.setdefault(uri, cls())


class Sender:
    """Tells a store of one run.

    Attributes:
        refusal: Why the store will never take the run; None as long as it may.

    Args:
        delivery: What does the telling.
        condition: That of the store; shared with other runs.
        seconds: Between two tellings while all is well; 0 = at once.
        patience: So many seconds is a store waited for that does not answer.
        last: Called in the thread when it ends.
    """

    def __init__(
        self,
        delivery: Delivery,
        condition: Condition,
        *,
        seconds: float,
        patience: float,
        last: Callable[[], None],
    ) -> None:
        self.refusal: RecsysError | None = None
        self._delivery = delivery
        self._condition = condition
        self._seconds = seconds
        self._patience = patience
        self._last = last
        self._changed = threading.Condition()
        self._due = 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def start(self) -> None:
        """Begin, and wait until the store knows the run; not long, and not at all for one that is known to fail."""
        self._thread.start()
        self._wait(
            lambda: self._delivery.started or self.refusal is not None, at_most=self._patience
        )
        if self.refusal is not None:
            self._thread.join()

    def wake(self) -> None:
        """There is more to tell."""
        with self._changed:
            pause = RETRY_SECONDS if self._condition.failure else self._seconds
            self._due = min(self._due, time.monotonic() + pause)
            self._changed.notify_all()

    def close(self) -> None:
        """Tell the rest now; waited for as long as there is progress."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._wait(lambda: not self._thread.is_alive())

    def _wait(self, done: Callable[[], bool], *, at_most: float = math.inf) -> None:
        """Wait until it is done, the store fails, or nothing has gone on for too long: then it fails too."""
        steps, since, began = -1, 0.0, time.monotonic()
        while not (done() or self._condition.failure):
            now = time.monotonic()
            if self._delivery.steps != steps:
                steps, since = self._delivery.steps, now
            if now - since > self._patience + self._delivery.sending / BYTES_PER_SECOND:
                self._condition.failure = f"no answer within {now - since:.0f} seconds"
            elif now - began > at_most:
                break
            with self._changed:
                self._changed.wait(0.01)

    def _work(self) -> None:
        try:
            while self._is_due():
                self._attempt()
        finally:
            self._last()

    def _is_due(self) -> bool:
        """Wait for the next attempt; false when there is to be none."""
        with self._changed:
            while not self._closing and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(min(left, RETRY_SECONDS))
            self._due = math.inf
        return not (self._closing and (self._delivery.complete or self._condition.failure))

    def _attempt(self) -> None:
        try:
            self._delivery.advance()
        except Exception as error:  # whatever MLflow and what it stands on raise
            self._condition.failure = reason(error)
            if isinstance(error, ConfigError | RefusedError):
                self.refusal, self._closing = error, True
            with self._changed:
                self._due = time.monotonic() + RETRY_SECONDS
        else:
            self._condition.failure = ""
        with self._changed:
            self._changed.notify_all()

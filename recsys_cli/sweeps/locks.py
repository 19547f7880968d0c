"""Who works at what, when several processes share a study: locks that die with the process that holds them.

No clock and no heartbeat: a trial that is under way and whose lock can be had belongs to a process that is gone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# What is locked besides trials, which have their numbers.
MAKING, CHOOSING, PARENT = -1, -2, -3


class Locks(Protocol):
    """The locks of one study."""

    def take(self, what: int) -> bool:
        """Take a lock if nobody has it; whether that was so."""
        ...

    def give_back(self, what: int) -> None:
        """Let others have it."""
        ...

    def held(self, what: int) -> AbstractContextManager[None]:
        """Wait for a lock, and hold it inside the block."""
        ...

    def close(self) -> None:
        """Give all back."""
        ...


class Alone:
    """For the only process that works at a study: there is nothing to wait for."""

    def take(self, what: int) -> bool:
        """Always."""
        return True

    def give_back(self, what: int) -> None:
        """Do nothing."""

    @contextmanager
    def held(self, what: int) -> Iterator[None]:
        """Do nothing."""
        yield

    def close(self) -> None:
        """Do nothing."""


class FileLocks:
    """Kernel locks on files of a folder, for processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: dict[int, int] = {}

    def take(self, what: int) -> bool:
        """Take a lock if nobody has it; whether that was so."""
        return self._lock(what, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def give_back(self, what: int) -> None:
        """Let others have it."""
        os.close(self._taken.pop(what))

    @contextmanager
    def held(self, what: int) -> Iterator[None]:
        """Wait for a lock, and hold it inside the block."""
        self._lock(what, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.give_back(what)

    def close(self) -> None:
        """Give all back."""
        for what in list(self._taken):
            self.give_back(what)

    def _lock(self, what: int, how: int) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / str(what), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._taken[what] = descriptor
        return True


class ServerLocks:
    """Advisory locks of a PostgreSQL server, which it frees when the connection of a process ends.

    Args:
        engine: Of the server.
        study: Whose locks they are.
    """

    def __init__(self, engine: Engine, study: str) -> None:
        self._engine = engine
        self._study = crc32(study.encode()) - 2**31
        self._connection: Connection | None = None

    def take(self, what: int) -> bool:
        """Take a lock if nobody has it; whether that was so."""
        return bool(self._call("pg_try_advisory_lock", what))

    def give_back(self, what: int) -> None:
        """Let others have it."""
        self._call("pg_advisory_unlock", what)

    @contextmanager
    def held(self, what: int) -> Iterator[None]:
        """Wait for a lock, and hold it inside the block."""
        self._call("pg_advisory_lock", what)
        try:
            yield
        finally:
            self.give_back(what)

    def close(self) -> None:
        """Give all back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, function: str, what: int) -> object:
        from sqlalchemy import text

        if self._connection is None:
            self._connection = self._engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
            # A machine that lost its power is noticed within half a minute, not within hours.
            for setting in ("idle = 10", "interval = 5", "count = 3"):
                self._connection.execute(text(f"set tcp_keepalives_{setting}"))
        # Tables belong to all studies of a database, so they are made under one lock.
        study = 0 if what == MAKING else self._study
        query = text(f"select {function}(:study, :what)")
        return self._connection.execute(query, {"study": study, "what": what}).scalar()

"""Where a study is kept: a SQLite file of its own, a SQLite file by address, or a PostgreSQL server.

Of an address's user and password nothing is shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from recsys_cli.errors import ConfigError
from recsys_cli.redact import redact
from recsys_cli.sweeps.locks import MAKING, Alone, FileLocks, Locks, ServerLocks

FILE = "study.db"
NAME = "sweep"  # of the only study in a file of its own
PATIENCE_SECONDS = 10
Make = Callable[[RDBStorage], object]


class Store(Protocol):
    """A place of studies."""

    @property
    def study(self) -> str:
        """The name of ours in it."""
        ...

    def prepare(self, make: Make) -> None:
        """Where a database has to be made, make it with what `make` makes in it: whole, or not at all."""
        ...

    def has_study(self) -> bool:
        """Whether it holds ours.

        Raises:
            ConfigError: It cannot be reached or read.
        """
        ...

    def opened(self) -> AbstractContextManager[RDBStorage]:
        """Optuna's storage, closed at the end."""
        ...

    def locks(self, *, alone: bool) -> Locks:
        """What keeps processes apart; nothing does where only one works at the study."""
        ...


def locate(url: str | None, folder: Path, name: str) -> Store:
    """The store at an address; a file in the sweep's folder where none is given.

    Raises:
        ConfigError: The address is of another kind, or what it needs is not installed.
    """
    if url is None:
        return FileStore(folder / FILE, NAME)
    try:
        address = make_url(url)
        kind = address.get_backend_name()
    except ArgumentError:
        kind = ""
    if kind == "sqlite" and address.database and not address.query:
        return FileStore(Path(address.database), name)
    if kind == "postgresql":
        return ServerStore(_with_psycopg(address), name)
    raise ConfigError(
        f"--storage {redact(url)} is no address of a store",
        "give sqlite:////FOLDER/FILE.db or postgresql://HOST/DATABASE",
    )


def _with_psycopg(address: URL) -> URL:
    try:
        import psycopg  # noqa: F401  # whether it is there
    except ImportError as error:
        raise ConfigError(
            "--storage postgresql://... needs the package psycopg",
            "pip install 'recsys-cli[postgres]'",
        ) from error
    return address.set(drivername="postgresql+psycopg")


@dataclass(frozen=True)
class FileStore:
    """A SQLite file, for processes of one machine."""

    path: Path
    study: str

    def prepare(self, make: Make) -> None:
        """A new file is made under another name, then renamed: a kill never leaves half a database under its name."""
        if self.path.exists():
            return
        draft = self.path.with_name(f"{self.path.name}.draft")
        _remove(draft)
        try:
            with FileStore(draft, self.study).opened() as storage:
                make(storage)
            draft.replace(self.path)
        except BaseException:
            _remove(draft)
            raise

    def has_study(self) -> bool:
        """Whether it holds ours."""
        if not self.path.exists():
            if not self.path.parent.is_dir() and self.study != NAME:
                raise ConfigError(f"--storage: there is no folder {self.path.parent}", "make it")
            return False
        if self.study == NAME:
            return True
        with self.opened() as storage:
            return _has(storage, self.study)

    def locks(self, *, alone: bool) -> Locks:
        """Files beside the database."""
        return Alone() if alone else FileLocks(self.path.with_name(f"{self.path.name}.locks"))

    @contextmanager
    def opened(self) -> Iterator[RDBStorage]:
        """Optuna's storage, closed at the end."""
        # By a function and not by a URL, in which a path would need escapes for ?, # and braces.
        by_hand = {"creator": lambda: sqlite3.connect(self.path, timeout=20)}
        try:
            if self.path.exists() and not self.path.stat().st_size:
                raise ValueError("it is empty")
            storage = RDBStorage(f"sqlite:///{FILE}", engine_kwargs=by_hand)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"{self.path} is no study that can be read: {reason}", "move it away"
            ) from error
        with _closing(storage):
            yield storage


@dataclass(frozen=True)
class ServerStore:
    """A PostgreSQL database, for processes of many machines."""

    address: URL
    study: str

    def prepare(self, make: Make) -> None:
        """A server has its databases."""

    def has_study(self) -> bool:
        """Whether it holds ours; tables are made in an empty database, by one process."""
        with (
            closing(self.locks(alone=False)) as locks,
            self._telling(),
            locks.held(MAKING),
            self.opened() as storage,
        ):
            return _has(storage, self.study)

    def locks(self, *, alone: bool) -> Locks:
        """The server's own, over a connection that is used for nothing else."""
        url, settings = self._engine()
        # Without a pool, which would keep a connection open, and its locks, after we have closed it.
        return ServerLocks(create_engine(url, poolclass=NullPool, **settings), self.study)

    @contextmanager
    def opened(self) -> Iterator[RDBStorage]:
        """Optuna's storage, closed at the end.

        Raises:
            ConfigError: The server cannot be reached, or goes away inside the block.
        """
        url, settings = self._engine()
        with self._telling():
            storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=settings)
            with _closing(storage):
                yield storage

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """In our words what the server, or the way to it, makes impossible."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            reason = redact(str(getattr(cause, "orig", None) or cause)).splitlines()[0]
            raise ConfigError(
                f"--storage {redact(self.address.render_as_string())} cannot be used: {reason}",
                "see that the server runs and lets you in; then the same command goes on",
            ) from error

    def _engine(self) -> tuple[URL, dict[str, Any]]:
        patience = {"connect_timeout": PATIENCE_SECONDS}
        return self.address, {"connect_args": patience, "pool_pre_ping": True}


def _has(storage: RDBStorage, study: str) -> bool:
    return any(found.study_name == study for found in storage.get_all_studies())


@contextmanager
def _closing(storage: RDBStorage) -> Iterator[None]:
    try:
        yield
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _remove(draft: Path) -> None:
    for leftover in draft.parent.glob(f"{draft.name}*"):
        leftover.unlink()

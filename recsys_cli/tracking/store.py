"""Where runs are kept, and how a database file comes to be there without ever being seen half made.

MLflow creates its SQLite tables in some sixty steps. A process killed between two of them, or two
processes doing it at once, leave a file that no later start can use. Here one process at a time,
holding a kernel lock that dies with it, makes the database under another name and then renames it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from recsys_cli.errors import ConfigError, TrackingError
from recsys_cli.redact import redact

DEFAULT_ROOT = "runs"
SERVERS = ("http", "https", "databricks")
DATABASES = ("mysql", "mssql", "postgresql", "sqlite")
LOCK_SECONDS = 120.0
BUSY_SECONDS = 4.0  # so long another process may keep a database locked


class AwayError(TrackingError):
    """The database cannot be used now, and may be later."""


@dataclass(frozen=True)
class Store:
    """A place that keeps runs.

    Args:
        uri: What MLflow calls the place; absolute, so that it does not depend on the working folder.
        artifacts: URI of the folder for files; None where a server has its own.
        database: The SQLite file; None for servers and other databases.
    """

    uri: str
    artifacts: str | None
    database: Path | None

    @property
    def shown(self) -> str:
        """The place as people may read it: a path or a URI without its credentials."""
        return str(self.database) if self.database else redact(self.uri)


def locate(uri: str | None, root: str) -> Store:
    """Tell which store the two settings mean; nothing is touched.

    Args:
        uri: A tracking URI, or None for `mlflow.db` in `root`.
        root: The folder of runs, relative to the working folder.

    Raises:
        ConfigError: No runs can be kept at such a URI.
    """
    folder = Path(root).absolute()
    if uri is None:
        return _sqlite(folder / "mlflow.db")
    scheme = uri.partition("://")[0].partition("+")[0] if "://" in uri else uri.partition(":")[0]
    if (
        scheme == "sqlite"
        and re.fullmatch(r"sqlite(\+\w+)?:///[^?]+", uri)
        and ":memory:" not in uri
    ):
        return _sqlite(Path(uri.partition(":///")[2]).absolute())
    if scheme in SERVERS:
        return Store(uri, None, None)
    if scheme in DATABASES and scheme != "sqlite":
        return Store(uri, (folder / "artifacts").as_uri(), None)
    raise ConfigError(
        f"tracking.uri={redact(uri)}: expected sqlite:///FILE, http://HOST:PORT, https://HOST or "
        "the URI of another database; plain folders (file:) are no longer written by MLflow",
        f"leave tracking.uri out to use {_sqlite(folder / 'mlflow.db').uri}",
    )


def _sqlite(path: Path) -> Store:
    """The store in this file, with the artifacts beside it."""
    if found := set("?%") & set(str(path)):
        # Versions of SQLAlchemy disagree on what these mean in a URI.
        raise ConfigError(
            f"{path}: the database cannot be kept under a path with {' or '.join(sorted(found))}",
            "give another folder as root=DIR",
        )
    return Store(f"sqlite:///{path}", (path.parent / "artifacts").as_uri(), path)


def ensure_database(path: Path, *, migrate: Callable[[Path], None], schema: str) -> None:
    """Make sure that a whole database stands at `path`, whoever else starts or dies meanwhile.

    Args:
        path: The SQLite file, absolute.
        migrate: Creates all tables in the empty SQLite file that it is given, and closes it.
        schema: The revision that a whole database carries in its table `alembic_version`.

    Raises:
        AwayError: Another process keeps the database locked.
        TrackingError: The file there is something else, or nothing can be written there.
    """
    from filelock import FileLock, Timeout

    try:
        if not _is_made(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
                if not _is_made(path):
                    _create(path, migrate)
    except Timeout as error:
        raise TrackingError(
            f"{path}: another process has been creating it for {LOCK_SECONDS:.0f} seconds",
            f"see which process holds {path}.lock",
        ) from error
    except OSError as error:
        raise TrackingError(
            f"{path}: the database of runs cannot be created: {error.strerror or error}",
            "give another folder as root=DIR, or tracking=none",
        ) from error
    _check(path, schema)


def _is_made(path: Path) -> bool:
    """Whether something is there; an empty file holds nothing that could be lost."""
    return path.exists() and path.stat().st_size > 0


def _create(path: Path, migrate: Callable[[Path], None]) -> None:
    """Create the database beside `path`, then rename it. The caller holds the lock."""
    draft = path.with_name(f"{path.name}.draft")
    _remove(draft)  # of a process that died here
    try:
        with closing(sqlite3.connect(draft)) as database:
            # Kept in the file. Migrations take half the time, and later readers do not block writers.
            database.execute("pragma journal_mode=wal")
        migrate(draft)
        with closing(sqlite3.connect(draft)) as database:
            database.execute("pragma wal_checkpoint(truncate)")
        _synchronise(draft)
        draft.replace(path)
    except BaseException:
        _remove(draft)  # a full disk has better use for its room
        raise
    _synchronise(path.parent)


def _remove(draft: Path) -> None:
    for file in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
        file.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    """Wait until a file's or folder's content has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, schema: str) -> None:
    """Refuse a database that MLflow would break, or break on, when it opens it."""
    try:
        with closing(_connect(path)) as database:
            found = database.execute("select version_num from alembic_version").fetchall()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise _away(path, error) from error
        raise _unusable(path, str(error)) from error
    if found != [(schema,)]:
        versions = ", ".join(row[0] for row in found) or "none"
        raise _unusable(path, f"schema {versions}, this MLflow needs {schema}")


def expect_writable(path: Path) -> None:
    """Make sure that the database can be written to now.

    MLflow itself would wait for a locked one for 20 seconds, at each call.

    Raises:
        AwayError: Another process keeps it locked, or it is read-only, full, broken or gone.
    """
    try:
        with closing(_connect(path)) as database:
            database.execute("begin immediate")
            database.execute("rollback")
    except sqlite3.Error as error:
        raise _away(path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )


def _away(path: Path, error: sqlite3.Error) -> AwayError:
    return AwayError(f"{path}: {error}", "see that it is there and no process keeps it locked")


def _unusable(path: Path, reason: str) -> TrackingError:
    aside, uri = quote(f"{path}.broken"), quote(f"sqlite:///{path}")
    return TrackingError(
        f"{path}: not a whole MLflow database ({reason})",
        f"if another version of MLflow made it, run: mlflow db upgrade {uri} ; "
        f"if its creation was cut off, move it aside: mv {quote(str(path))} {aside}",
    )

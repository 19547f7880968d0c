"""The database of runs: whole, of this MLflow's form, and without runs whose process has died. It is only read."""

from __future__ import annotations

import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from recsys_cli.doctor import locks
from recsys_cli.doctor.finding import Finding
from recsys_cli.redact import redact
from recsys_cli.resources import in_words
from recsys_cli.tracking.process import HOST, PROCESS, is_dead
from recsys_cli.tracking.store import Store, locate

SECTION = "store"
SECONDS_TO_CHECK = 1.5
SECONDS_TO_CONNECT = 1.0
PORTS = {"http": 80, "https": 443}
STEPS_BETWEEN_LOOKS = 10_000
RUNNING = """
    select runs.run_uuid, runs.name, host.value, process.value from runs
    left join tags host on host.run_uuid = runs.run_uuid and host.key = ?
    left join tags process on process.run_uuid = runs.run_uuid and process.key = ?
    where runs.status = 'RUNNING' and runs.lifecycle_stage = 'active'
"""


def look(uri: str | None, root: Path, *, deep: bool) -> Iterator[Finding]:
    """Where runs are tracked, and how it is with that place.

    Args:
        uri: Tracking URI; None for the database in `root`.
        root: Folder of the runs.
        deep: Check a large database to its end, however long that takes.
    """
    store = locate(uri, str(root))
    if store.database is not None:
        yield from _file(store.database, root, deep=deep)
    else:
        yield _server(store)


def _server(store: Store) -> Finding:
    parts = urlsplit(store.uri)
    try:
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme)
        if not host or port is None:
            return Finding(SECTION, "server", f"{store.shown}: not tried", "note")
        with socket.create_connection((host, port), timeout=SECONDS_TO_CONNECT):
            return Finding(SECTION, "server", f"{store.shown} answers")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        command = "start it; runs are kept meanwhile, and recsys sync delivers them"
        return Finding(
            SECTION, "server", f"{store.shown} does not answer: {reason}", "mend", command
        )


def _file(path: Path, root: Path, *, deep: bool) -> Iterator[Finding]:
    lock = path.with_name(f"{path.name}.lock")
    if (pid := locks.holder(lock)) is not None:
        yield Finding(SECTION, "lock", f"{locks.in_words(pid)} is creating {path}", "note")
    if not path.exists():
        yield Finding(SECTION, "database", f"{path}: none yet, the first run makes it")
        return
    try:
        with closing(_open(path)) as database:
            schema = database.execute("select version_num from alembic_version").fetchall()
            broken = _broken(database, deep=deep)
            runs = database.execute("select count(*) from runs").fetchone()[0]
            running = database.execute(RUNNING, (HOST, PROCESS)).fetchall()
    except sqlite3.Error as error:
        yield _unusable(path, str(error))
        return
    if broken:
        yield _unusable(path, broken)
        return
    yield _form(path, [row[0] for row in schema])
    size = in_words(path.stat().st_size)
    checked = "sound" if broken is not None else "too large to check in a moment (--deep does)"
    yield Finding(SECTION, "content", f"{runs:,} runs, {size}, {checked}")
    yield from _running(running, root)


def _open(path: Path) -> sqlite3.Connection:
    """Read-only; without a log of writes nothing is made beside the file either."""
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=1.0)


def _broken(database: sqlite3.Connection, *, deep: bool) -> str | None:
    """What is wrong with the file; empty where nothing is, None where there was no time to tell."""
    until = time.monotonic() + SECONDS_TO_CHECK
    if not deep:
        database.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
    try:
        told = [str(row[0]) for row in database.execute("pragma integrity_check(1)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        database.set_progress_handler(None, 0)
    return "" if told == ["ok"] else told[0]


def _unusable(path: Path, reason: str) -> Finding:
    aside = f"mv {quote(str(path))} {quote(f'{path}.broken')}"
    return Finding(SECTION, "database", f"{path}: is broken: {reason}", "mend", aside)


def _form(path: Path, found: list[str]) -> Finding:
    newest = newest_schema()
    if len(found) == 1 and newest in ("", found[0]):
        return Finding(SECTION, "database", f"{path}, schema {found[0]}")
    if len(found) != 1:
        return _unusable(path, "its creation was cut off")
    text = f"{path}: schema {found[0]}, the MLflow that is installed makes {newest}"
    command = f"mlflow db upgrade {quote(f'sqlite:///{path}')}"
    return Finding(SECTION, "database", text, "mend", command)


def newest_schema() -> str:
    """The form of the database that the installed MLflow makes, without loading it; empty where that is not told."""
    spec = find_spec("mlflow")
    origin = spec.origin if spec is not None else None
    if origin is None:
        return ""
    made: set[str] = set()
    passed: set[str] = set()
    for file in Path(origin).parent.glob("store/db_migrations/versions/*.py"):
        text = file.read_text(encoding="utf-8", errors="replace")
        made |= set(re.findall(r'^revision = ["\'](\w+)["\']', text, re.MULTILINE))
        passed |= set(re.findall(r'^down_revision = ["\'](\w+)["\']', text, re.MULTILINE))
    newest = made - passed
    return newest.pop() if len(newest) == 1 else ""


def _running(rows: list[tuple[str, str, str, str]], root: Path) -> Iterator[Finding]:
    dead = [
        f"{redact(name or '')} ({run_id})"
        for run_id, name, host, process in rows
        if is_dead({HOST: host, PROCESS: process})
    ]
    if len(rows) - len(dead):
        yield Finding(SECTION, "running", f"{len(rows) - len(dead):,} runs are under way")
    if dead:
        more = f" and {len(dead) - 1:,} more" if len(dead) > 1 else ""
        text = f"{dead[0]}{more}: marked as running, and the process has died"
        yield Finding(SECTION, "running", text, "note", f"recsys sync --root {quote(str(root))}")

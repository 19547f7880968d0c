"""All that a tracking store is to be told of one run, in order and on disk before anyone is told.

The file lies in the run's folder and stays there, so a store that was away, or was lost, can be told later. It is
locked while its run is under way: what can be locked belongs to a run that has ended, or to a process that has died.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from recsys_cli.errors import ConfigError, DataError
from recsys_cli.resources import writing
from recsys_cli.tracking import lines
from recsys_cli.tracking.lines import Entry

EVENTS = "events.jsonl"
PENDING = "pending"  # folders in the folder of runs, of runs that have no folder of their own
LOCAL = (
    "local-"  # how the key of a run begins, under which it goes until the store has given it an id
)

Kind = Literal["start", "resume", "metrics", "artifact", "finish", "created", "told"]
# For ourselves: which run of the store it is, and how much of it the store has.
NOTES = ("created", "told")
UNHURRIED = (*NOTES, "artifact")  # they reach the disk with the next of the others


class InUseError(ConfigError):
    """The run is under way in another process."""


class Events:
    """The events of one run.

    Attributes:
        path: The file.
        entries: What stands in it: each has a `seq` (counted from 1), `time_ms` (milliseconds since 1970) and `kind`.

    Args:
        folder: Where the file is, or will be; it exists.

    Raises:
        InUseError: Another process is at it.
        DataError: A line is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / EVENTS
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with writing(self.path):
            self._file = os.open(self.path, flags, 0o600)
        self._adding = threading.Lock()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = lines.read(self.path, _is_event)
            if found.damaged is not None:
                raise DataError(
                    f"{self.path}:{found.damaged}: the line is damaged",
                    "restore the file, or move it away: history.jsonl and metrics.json have the numbers too",
                )
            os.ftruncate(self._file, found.length)
        except BlockingIOError as error:
            os.close(self._file)
            raise InUseError(f"the run {folder} is under way", "wait for its end") from error
        except BaseException:
            os.close(self._file)
            raise
        self.entries: list[Entry] = found.entries
        self._measured = {_measurement(entry) for entry in self.entries}

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self.path.parent

    @property
    def begun(self) -> bool:
        """Whether there is a run in it."""
        return bool(self.entries)

    @property
    def start(self) -> Entry:
        """What the run began with; its `key` tells it from any other."""
        return self.entries[0]

    @property
    def run_id(self) -> str | None:
        """The id that the store gave the run; None as long as it has not."""
        return next((e["run_id"] for e in reversed(self.entries) if e["kind"] == "created"), None)

    @property
    def told(self) -> int:
        """So many events, from the first on, has the run of that id been told of."""
        last = next((e for e in reversed(self.entries) if e["kind"] in NOTES), None)
        return int(last["events"]) if last is not None and last["kind"] == "told" else 0

    @property
    def ended(self) -> bool:
        """Whether the run has said that it is over."""
        last = self._last()
        return last is not None and self.entries[last]["kind"] == "finish"

    @property
    def delivered(self) -> bool:
        """Whether the store has been told all of a run that is over."""
        last = self._last()
        return last is not None and self.ended and self.told > last

    def add(self, kind: Kind, *, time_ms: int | None = None, **facts: Any) -> None:
        """Append an event; on return it is on disk, but for notes and files, of which nothing is lost without.

        Args:
            kind: What it is.
            time_ms: When it was; None = now.
            facts: What else there is to say of it.

        Raises:
            ResourceError: The disk is full, or fails.
        """
        with self._adding, writing(self.path):
            moment = time.time_ns() // 1_000_000 if time_ms is None else time_ms
            entry = {"seq": len(self.entries) + 1, "time_ms": moment, "kind": kind, **facts}
            self._append(lines.line_of(entry), wait=kind not in UNHURRIED)
            self.entries.append(entry)

    def add_metrics(self, values: Mapping[str, float], step: int, time_ms: int | None) -> None:
        """Append numbers, unless the same ones of the same step and moment are there already."""
        entry = {"kind": "metrics", "step": step, "values": dict(values), "time_ms": time_ms}
        if time_ms is None or _measurement(entry) not in self._measured:
            self.add("metrics", time_ms=time_ms, step=step, values=dict(values))

    def keep(self, path: Path) -> None:
        """Append a file of the run; one that lies elsewhere is copied here, since it may be gone soon."""
        folder = self.folder.resolve()
        if not path.resolve().is_relative_to(folder):
            with writing(folder / path.name):
                shutil.copy(path, folder / path.name)
            path = folder / path.name
        self.add("artifact", path=str(path.resolve().relative_to(folder)))

    def close(self) -> None:
        """Let go of the file; of a run without a folder of its own nothing is left once it is delivered."""
        if self._file >= 0:
            if self.begun and self.start["alone"] and self.delivered:
                self._remove_folder()
            os.close(self._file)
            self._file = -1

    def discard(self) -> None:
        """Remove the file: the run has never begun."""
        self.path.unlink(missing_ok=True)
        if self.start["alone"]:
            self._remove_folder()
        self.close()

    def _last(self) -> int | None:
        """Where the last event stands that is no note."""
        places = range(len(self.entries) - 1, -1, -1)
        return next((place for place in places if self.entries[place]["kind"] not in NOTES), None)

    def _append(self, line: bytes, *, wait: bool) -> None:
        """Write a line, and wait until it is on disk if asked to; half of one is taken back."""
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            if written < len(line):
                os.write(self._file, line[written:])
            if wait:
                os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, before)
            raise

    def _remove_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()


def new_key() -> str:
    """A name for a run that no other run has."""
    return LOCAL + secrets.token_hex(16)


def _is_event(entry: Entry, number: int) -> bool:
    return (
        entry.get("seq") == number
        and isinstance(entry.get("time_ms"), int)
        and (entry.get("kind") == "start") == (number == 1)
    )


def _measurement(entry: Entry) -> tuple[Any, ...]:
    """What tells numbers from others; the same for equal ones."""
    values = tuple(sorted(entry["values"].items())) if entry["kind"] == "metrics" else ()
    return (entry["kind"], entry.get("step"), entry["time_ms"], values)

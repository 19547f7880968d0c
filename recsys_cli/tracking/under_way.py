"""What lies in a run's folder only while the run is under way, and the journal of its epochs.

The journal is written, and on disk, before anyone else is told: so a run that was cut off can be told of again,
with the same moments, and nobody sees an epoch twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys_cli.durable import write_whole
from recsys_cli.errors import CheckpointError, ConfigError
from recsys_cli.redact import redact_all
from recsys_cli.resources import writing
from recsys_cli.tracking import lines

RUNNING, LOCK, CHECKPOINT = "running.json", "run.lock", "checkpoint"
UNREPEATED = ("_seconds", "time_ms")  # what another pass over the same epoch may find different


@dataclass(frozen=True)
class Running:
    """A run that has begun and whose record is not complete.

    Attributes:
        run_id: Under which it is tracked; empty where it is not.
        choices: The name chosen in each group.
        overrides: What was said on the command line.
    """

    run_id: str
    choices: dict[str, str]
    overrides: list[str]

    def write(self, folder: Path) -> None:
        """Mark the folder; the credentials of addresses stay out of it."""
        data = json.dumps(redact_all(asdict(self))).encode()
        write_whole(folder / RUNNING, data, private=True)

    @classmethod
    def read(cls, folder: Path) -> Running | None:
        """The mark of a folder; None where it has none.

        Raises:
            CheckpointError: It cannot be read.
        """
        path = folder / RUNNING
        if not path.exists():
            return None
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            run_id, choices, overrides = told["run_id"], told["choices"], told["overrides"]
            texts = [run_id, *choices.values(), *overrides]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise CheckpointError(f"{path}: cannot be read: {reason}", "train anew") from error
        if not all(isinstance(text, str) for text in texts):
            raise CheckpointError(f"{path}: expected texts", "train anew")
        return cls(run_id, dict(choices), list(overrides))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder inside the block. A process that died holds nothing.

    Raises:
        ConfigError: Another process works in it.
    """
    descriptor = _lock(folder)
    try:
        with writing(folder / LOCK):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        os.close(descriptor)


def _lock(folder: Path) -> int:
    """Open and lock the file; one that its owner has removed meanwhile protects nothing."""
    path = folder / LOCK
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise ConfigError(
                f"the folder {folder} cannot be used: {error.strerror}",
                "name another with --run-dir",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 20, 0).decode("ascii", "replace")
            os.close(descriptor)
            raise ConfigError(
                f"the run {folder} is in use by process {pid or '(just starting)'}",
                "wait for its end, or name another --run-dir",
            ) from error
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)


def epochs(path: Path) -> list[dict[str, Any]]:
    """What a journal that is not written to any more holds, an entry an epoch."""
    return lines.read(path, lambda entry, number: True).entries


class Journal:
    """The numbers of each epoch, a line each.

    Attributes:
        entries: The lines so far: `epoch`, `time_ms` (milliseconds since 1970) and the numbers.

    Args:
        path: The file; lines that are there already are kept, but for a last one that was cut off or is damaged.

    Raises:
        CheckpointError: A line before the last one is damaged; the file is left as it is.
    """

    def __init__(self, path: Path) -> None:
        found = lines.read(path, _is_epoch)
        if found.damaged is not None and not found.last:
            raise CheckpointError(f"{path}:{found.damaged}: the line is damaged", "train anew")
        self._path = path
        self.entries: list[dict[str, Any]] = found.entries
        self._file = path.open("ab")
        self._file.truncate(found.length)

    def add(self, epoch: int, numbers: Mapping[str, float]) -> dict[str, Any] | None:
        """Note an epoch; None where it was noted before it was cut off, with the same numbers.

        Raises:
            CheckpointError: An epoch before it is missing.
            ResourceError: The disk is full, or fails.
        """
        if epoch > len(self.entries) + 1:
            raise CheckpointError(
                f"{self._path}: epoch {len(self.entries) + 1} is missing or damaged, and training is at {epoch}",
                "train anew",
            )
        if epoch <= len(self.entries):
            if _repeats(self.entries[epoch - 1], numbers):
                return None
            self._cut(epoch - 1)
        entry = {"epoch": epoch, "time_ms": time.time_ns() // 1_000_000, **numbers}
        with writing(self._path):
            self._file.write(lines.line_of(entry))
            self._file.flush()
            os.fsync(self._file.fileno())
        self.entries.append(entry)
        return entry

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cut(self, epochs: int) -> None:
        """Keep so many epochs."""
        del self.entries[epochs:]
        self._file.truncate(sum(len(lines.line_of(entry)) for entry in self.entries))


def numbers_of(entry: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line."""
    return {key: value for key, value in entry.items() if key not in {"epoch", "time_ms"}}


def _is_epoch(entry: Mapping[str, Any], number: int) -> bool:
    """Whether an entry is the one of this epoch."""
    return (
        entry.get("epoch") == number
        and isinstance(entry.get("time_ms"), int)
        and {type(value) for value in entry.values()} <= {int, float}
    )


def _repeats(entry: Mapping[str, Any], numbers: Mapping[str, float]) -> bool:
    old = {key: value for key, value in entry.items() if not key.endswith(UNREPEATED)}
    new = {key: value for key, value in numbers.items() if not key.endswith(UNREPEATED)}
    return old == {"epoch": entry["epoch"], **new}

"""What a process leaves on disk: how far a run was, what is damaged, what should not be there, and what it found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from recsys_cli.durable import PART
from recsys_cli.tracking.run_folder import HISTORY, LISTS, METRICS, PER_USER, SETTINGS, WEIGHTS
from recsys_cli.tracking.under_way import CHECKPOINT, LOCK, RUNNING
from trials.processes import Process

FILES = {HISTORY, LISTS, METRICS, PER_USER, SETTINGS, WEIGHTS}
STAGES = ("starting", "preparing", "training", "saving", "evaluating", "recording", "ended")
UNREPEATED = {"run_id", "run_dir", "timings", "logged_at", "how_to_open", "seal"}
ONLY_UNDER_WAY = (f"*{PART}", ".tmp*", "*.draft*", RUNNING, LOCK, CHECKPOINT)


def stage(folder: Path, process: Process) -> str:
    """How far a process is, or was when it died, with the run in a folder: one of `STAGES`."""

    def since(name: str) -> bool:
        try:
            return (folder / name).stat().st_mtime_ns >= process.since_ns
        except OSError:
            return False

    if not _owns(folder, process.pid):
        return "ended" if (folder / METRICS).exists() and not _there(folder, RUNNING) else STAGES[0]
    if not since(RUNNING):
        return "preparing"
    if _there(folder, METRICS):
        return "recording"
    if since(WEIGHTS):
        return "evaluating"
    return "saving" if any((folder / CHECKPOINT).glob(f"*{PART}")) else "training"


def _there(folder: Path, name: str) -> bool:
    return (folder / name).exists()


def _owns(folder: Path, pid: int) -> bool:
    try:
        return (folder / LOCK).read_text() == str(pid)
    except OSError:
        return False


def damaged(folder: Path) -> list[str]:
    """Files of a run that carry their final name and are not whole."""
    found = []
    over = _there(folder, METRICS)  # then its checkpoints are of no use, and may be half removed
    for manifest in () if over else (folder / CHECKPOINT).glob("*.json"):
        try:
            told = json.loads(manifest.read_text())
            tensors = manifest.with_name(told["file"]).read_bytes()
            sound = hashlib.sha256(tensors).hexdigest() == told["sha256"]
        except (OSError, ValueError, KeyError):
            sound = False
        found += [] if sound else [f"{manifest} is damaged"]
    for name in (METRICS, RUNNING):
        path = folder / name
        try:
            json.loads(path.read_text() if path.exists() else "{}")
        except ValueError:
            found.append(f"{path} is damaged")
    return found


def orphans(folder: Path) -> list[str]:
    """Whatever in a folder, however deep, belongs to work under way."""
    return sorted(
        f"{path.relative_to(folder)} is left over"
        for pattern in ONLY_UNDER_WAY
        for path in folder.rglob(pattern)
    )


def result(told: str, folder: Path) -> dict[str, Any]:
    """All of a finished run that must not depend on what happened on the way, as plain values.

    Args:
        told: What its command printed.
        folder: Its files.

    Raises:
        ValueError: It printed no JSON object.
        OSError: A file is missing.
    """
    kept = {key: value for key, value in json.loads(told).items() if key not in UNREPEATED}
    digests = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (SETTINGS, WEIGHTS, PER_USER, LISTS)
    }
    names = sorted(path.name for path in folder.iterdir())
    return (
        kept
        | digests
        | {"history": [_timeless(line) for line in history(folder)]}
        | {"files": names}
    )


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """In what a result is not the expected one."""
    keys = sorted({*found, *expected})
    return [f"another {key}" for key in keys if found.get(key) != expected.get(key)]


def history(folder: Path) -> list[dict[str, float]]:
    """The journal of a run's epochs."""
    lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return [{key: value for key, value in entry.items() if key != "crc32"} for entry in entries]


def _timeless(line: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in line.items() if key != "time_ms" and not _is_time(key)}


def _is_time(key: str) -> bool:
    return "seconds" in key or key.endswith("_per_second")


class Store:
    """An MLflow database, read from outside.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows of a query; none where there is no database yet."""
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each run."""
        return dict(self.rows("select run_uuid, status from runs"))

    def points(self, run_id: str) -> Counter[tuple[str, int, float]]:
        """How often each number of each epoch is tracked for a run; of times, only that they are."""
        rows = self.rows("select key, step, value from metrics where run_uuid = ?", run_id)
        return Counter((key, step, 0.0 if _is_time(key) else value) for key, step, value in rows)

    def faults(
        self, run_id: str, folder: Path, expected: Counter[tuple[str, int, float]]
    ) -> Iterator[str]:
        """What is wrong with the record of the finished run in a folder, of which these points are expected."""
        if (status := self.statuses.get(run_id)) != "FINISHED":
            yield f"the tracked run is {status}"
        found = self.points(run_id)
        for what, odd in (("lost", expected - found), ("too many", found - expected)):
            if odd:
                key, step, _ = next(iter(odd))
                yield f"{odd.total()} tracked numbers {what}, such as {key} of epoch {step}"
        yield from self._artifact_faults(run_id, folder)

    def _artifact_faults(self, run_id: str, folder: Path) -> Iterator[str]:
        kept = self._path.parent / "artifacts" / run_id / "artifacts"
        for name in sorted(FILES):
            if not (kept / name).exists():
                yield f"artifact {name} is missing"
            elif (kept / name).read_bytes() != (folder / name).read_bytes():
                yield f"artifact {name} is another"

    def sound(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        if not self._path.exists():
            return ["there is no database"]
        answers = [row[0] for row in self.rows("pragma integrity_check")]
        return [] if answers == ["ok"] else answers[:3]

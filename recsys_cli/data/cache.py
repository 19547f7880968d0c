"""Parsed events, kept as columns on disk and mapped into memory, so that a data set is parsed once.

An entry is a folder of .npy files with a manifest that names them and their sizes. Its key is the SHA-256 of the
source file's content, how it was read, and the version of this format: another content, another entry. To find
the hash of a large file without reading it, it is remembered under the file's path, size and time of change.
A folder appears under its final name only when it is complete and on disk; one process at a time writes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recsys_cli.data import columnar
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError, ResourceError
from recsys_cli.progress import Progress
from recsys_cli.resources import disk_full

FORMAT = 1
SETTLED_NS = 2_000_000_000  # a file changed this lately may change again within the clock's step
MANIFEST = "manifest.json"

Parsed = tuple[Interactions, list[str]]


def cache_root() -> Path:
    """The folder of downloads and parsed data: $RECSYS_CACHE, or the system's place for caches."""
    if named := os.environ.get("RECSYS_CACHE"):
        return Path(named)
    import pooch

    return Path(pooch.os_cache("recsys"))


def cached(
    member: Member, options: Mapping[str, Any], parse: Callable[[], Parsed], progress: Progress
) -> Interactions:
    """The events of a file, from the cache where it was read before with the same options.

    Args:
        member: The file.
        options: All that decides how it is read; plain values.
        parse: Reads it: the events, and lines for people that are shown each time.
        progress: Where those lines go.

    Raises:
        DataError: The file is not as it should be, or the cache cannot be written.
        ResourceError: The disk is full.
    """
    with writable(cache_root() / "events") as folder:
        what = [FORMAT, _content_hash(member), member.inside, dict(options)]
        entry = folder / hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]
        loaded = _load(entry)
        if loaded is None:
            with only_one(entry, f"reading {member}", progress):
                loaded = _load(entry)  # another process may have written it meanwhile
                if loaded is None:
                    _store(entry, *parse())
                    loaded = _load(entry)
    if loaded is None:
        raise DataError(f"{entry}: was written and cannot be read back", "remove it")
    for note in loaded[1]:
        progress.note(note)
    return loaded[0]


@contextmanager
def writable(folder: Path) -> Iterator[Path]:
    """A folder of the cache, made where it is missing; what goes wrong with it is told as an error of ours.

    Raises:
        DataError: It cannot be made or written.
        ResourceError: The disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        hint = "set RECSYS_CACHE to a folder with room that can be written"
        where = error.filename or folder
        if (full := disk_full(error, where)) is not None:
            raise ResourceError(str(full), hint) from error
        reason = error.strerror or error
        raise DataError(f"{where}: the cache cannot be written: {reason}", hint) from error


@contextmanager
def only_one(target: Path, doing: str, progress: Progress) -> Iterator[None]:
    """Let one process at a time make `target`; the kernel frees the lock of a process that dies.

    Args:
        target: What is made; the lock lies beside it.
        doing: What the process is doing, for those that wait.
        progress: Where they are told.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"another process is {doing}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _content_hash(member: Member) -> str:
    """SHA-256 of the file on disk (for an archive, of the archive)."""
    path = member.path.resolve()
    with member.open():  # says in our words why a file cannot be read
        status = path.stat()
    facts = json.dumps([str(path), status.st_size, status.st_mtime_ns, status.st_ino])
    known = cache_root() / "hashes" / hashlib.sha256(facts.encode()).hexdigest()[:32]
    if known.exists() and len(found := known.read_text()) == 64:
        return found
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
        known.parent.mkdir(parents=True, exist_ok=True)
        part = known.with_name(f"{known.name}.{os.getpid()}.part")
        try:
            part.write_text(found)
            part.replace(known)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return found


def _store(entry: Path, interactions: Interactions, notes: list[str]) -> None:
    """Write an entry beside its place, bring it to disk, and only then give it its name."""
    part = entry.with_name(f"{entry.name}.part")
    for left_over in (part, entry):  # of a process that died here, or damaged
        if left_over.exists():
            shutil.rmtree(left_over)
    part.mkdir()
    try:
        named = columnar.columns(interactions)
        sizes = {name: columnar.save(part / f"{name}.npy", a).bytes for name, a in named.items()}
        text = json.dumps({"format": FORMAT, "bytes": sizes, "notes": notes})
        (part / MANIFEST).write_text(text)
        for path in (part / MANIFEST, part):
            columnar.to_disk(path)
        part.rename(entry)
        columnar.to_disk(entry.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def is_whole(entry: Path) -> bool:
    """Whether an entry has all its files, of the lengths that it lists; what is in them is not read."""
    try:
        return _load(entry) is not None
    except OSError:
        return False


def _load(entry: Path) -> Parsed | None:
    """An entry mapped into memory; None where there is none, or it is incomplete or damaged."""
    try:
        manifest = json.loads((entry / MANIFEST).read_text())
        interactions = columnar.read(entry, dict(manifest["bytes"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return interactions, [str(note) for note in manifest["notes"]]

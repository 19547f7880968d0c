"""The cache of downloads and parsed data: where it is, how large, and whether what is in it is whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from recsys_cli.doctor import locks
from recsys_cli.doctor.finding import Finding
from recsys_cli.doctor.machine import disk
from recsys_cli.doctor.runs import left_over
from recsys_cli.durable import PART
from recsys_cli.errors import RecsysError
from recsys_cli.resources import in_words

SECTION = "cache"
_OF_PROCESS = re.compile(r"\.(\d+)\.part$")


def look(*, deep: bool) -> Iterator[Finding]:
    """The cache that the next run would use.

    Args:
        deep: Compute the hashes of the archives that were downloaded again.
    """
    from recsys_cli.data.cache import cache_root

    root = cache_root()
    yield disk(SECTION, root, "RECSYS_CACHE=DIR")
    if not root.is_dir():
        yield Finding(SECTION, "folder", f"{root}: none yet")
        return
    files = [Path(place) / name for place, _, names in os.walk(root) for name in names]
    yield Finding(SECTION, "folder", f"{root}, {in_words(sum(map(_size, files)))}")
    yield from _entries(root / "events")
    yield from _downloads(root / "downloads", deep=deep)
    yield from _locks(files)
    parts = [*root.glob(f"*/*{PART}"), *root.glob(f"*/.*{PART}")]
    yield from left_over(SECTION, [path for path in parts if not _is_being_written(path)])


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _entries(folder: Path) -> Iterator[Finding]:
    from recsys_cli.data.cache import is_whole

    entries = [path for path in _listed(folder) if path.is_dir() and path.suffix != PART]
    broken = [path for path in entries if not is_whole(path)]
    yield Finding(SECTION, "parsed data", f"{len(entries) - len(broken):,} whole")
    for path in broken:
        text = f"{path} is damaged; it is made again when it is needed"
        yield Finding(SECTION, "parsed data", text, "note", f"rm -r {quote(str(path))}")


def _downloads(folder: Path, *, deep: bool) -> Iterator[Finding]:
    from recsys_cli.data.download import check
    from recsys_cli.data.movielens import ARCHIVES

    for path in (path for path in _listed(folder) if path.suffix == ".zip"):
        archive = ARCHIVES.get(path.stem)
        if not deep or archive is None:
            yield Finding(SECTION, "download", f"{path.name}, {in_words(_size(path))}")
            continue
        try:
            check(archive, path)
        except RecsysError as error:
            yield Finding(SECTION, "download", str(error), "mend", f"rm {quote(str(path))}")
        else:
            yield Finding(SECTION, "download", f"{path.name} has the hash that was published")


def _locks(files: list[Path]) -> Iterator[Finding]:
    for path in (path for path in files if path.suffix == ".lock"):
        if (pid := locks.holder(path)) is not None:
            yield Finding(SECTION, "lock", f"{path}, held by {locks.in_words(pid)}", "note")


def _is_being_written(path: Path) -> bool:
    """Whether the process that writes it lives: it holds a lock beside it, or its number is in the name."""
    if (named := _OF_PROCESS.search(path.name)) is not None:
        return Path(f"/proc/{named[1]}").exists() or not Path("/proc/self").exists()
    target = path.name.removesuffix(PART).removesuffix(".zip")
    return locks.holder(path.with_name(f"{target}.lock")) is not None


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []

"""The folders of runs: under way, cut off, finished; and files that processes which died have left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from recsys_cli.doctor import locks
from recsys_cli.doctor.finding import Finding
from recsys_cli.doctor.machine import disk
from recsys_cli.durable import PART
from recsys_cli.tracking.run_folder import METRICS, SETTINGS
from recsys_cli.tracking.under_way import LOCK, RUNNING

SECTION = "runs"
DEEPEST = 3  # a trial of a sweep lies two folders down, its checkpoints one more
SHOWN = 5
TEMPORARY = (".tmp",)
NOT_OURS = ("artifacts", "mlruns")  # MLflow's own


def look(root: Path) -> Iterator[Finding]:
    """All folders of runs.

    Args:
        root: Folder of the runs.
    """
    yield disk(SECTION, root, "root=DIR")
    if not root.is_dir():
        yield Finding(SECTION, "folder", f"{root}: none yet, the first run makes it")
        return
    finished, cut_off, left = 0, [], []
    for folder, files in _folders(root):
        pid = locks.holder(folder / LOCK) if LOCK in files else None
        if pid is not None:
            yield Finding(SECTION, "under way", f"{folder}, {locks.in_words(pid)}")
            continue
        left += [folder / name for name in files if _is_temporary(name)]
        if RUNNING in files:
            cut_off.append(folder)
        elif METRICS in files and SETTINGS in files:
            finished += 1
    yield Finding(SECTION, "finished", f"{finished:,} in {root}")
    for folder in cut_off[:SHOWN]:
        command = f"recsys train --resume={quote(str(folder))}"
        yield Finding(SECTION, "cut off", str(folder), "note", command)
    if len(cut_off) > SHOWN:
        yield Finding(SECTION, "cut off", f"and {len(cut_off) - SHOWN:,} more", "note")
    yield from left_over(SECTION, left)


def left_over(section: str, paths: list[Path]) -> Iterator[Finding]:
    """Files of processes that died while they wrote; nobody reads them.

    Args:
        section: What they belong to.
        paths: The files and folders.
    """
    for path in sorted(paths)[:SHOWN]:
        text = f"{path}: half written by a process that has died"
        yield Finding(section, "left over", text, "note", f"rm -r {quote(str(path))}")
    if len(paths) > SHOWN:
        yield Finding(section, "left over", f"and {len(paths) - SHOWN:,} more", "note")


def _is_temporary(name: str) -> bool:
    return name.endswith(PART) or name.startswith(TEMPORARY)


def _folders(root: Path) -> Iterator[tuple[Path, set[str]]]:
    """Each folder down to the deepest with the names of its files; a run that is under way is not looked into."""
    for place, folders, files in os.walk(root):
        folder = Path(place)
        depth = len(folder.relative_to(root).parts)
        under_way = LOCK in files and locks.holder(folder / LOCK) is not None
        if depth >= DEEPEST or under_way:
            folders.clear()
        folders[:] = sorted(name for name in folders if name not in NOT_OURS)
        yield folder, set(files)

"""A folder that is there whole or not at all, also after a crash or a power cut."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recsys_cli.data.columnar import to_disk
from recsys_cli.errors import DataError, ResourceError
from recsys_cli.resources import disk_full


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder under another name; it gets its own when all in it is on disk.

    The files in it have to be brought to disk by whoever writes them. What a process that was killed here left
    behind is removed when the same folder is written again.

    Args:
        folder: The name that it gets; nothing must be there. Folders above it are made.

    Raises:
        DataError: It cannot be written; nothing is left of it.
        ResourceError: The disk is full; nothing is left of it.
    """
    above = [parent for parent in folder.parents if not os.path.lexists(parent)]
    part = folder.with_name(f"{_prefix(folder)}{os.getpid()}.part")
    begun = part
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        part.mkdir()
        yield part
        to_disk(part)
        part.rename(folder)
        begun = folder
        to_disk(folder.parent)
    except BaseException as error:
        shutil.rmtree(begun, ignore_errors=True)
        for parent in above:
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            hint = "name a folder with room that can be written"
            if (full := disk_full(error, folder)) is not None:
                raise ResourceError(str(full), hint) from error
            reason = error.strerror or error
            raise DataError(f"{folder}: cannot be written: {reason}", hint) from error
        raise


def _prefix(folder: Path) -> str:
    return f".{folder.name}.{socket.gethostname()}."


def _sweep(folder: Path) -> None:
    """Remove what dead processes of this machine left."""
    for left_over in folder.parent.glob(f"{_prefix(folder)}*.part"):
        pid = left_over.name.removeprefix(_prefix(folder)).removesuffix(".part")
        if pid == str(os.getpid()) or (pid.isdecimal() and not _alive(int(pid))):
            shutil.rmtree(left_over)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # of another user; not a number of ours
        return True
    return True

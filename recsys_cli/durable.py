"""A small file that is there whole or not at all, also after a kill or a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PART = ".part"


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in its place when all of it is on disk; what was there before stays until then.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise

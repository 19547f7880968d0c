"""A small file that is there whole or not at all, also after a kill or a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PART = ".part"


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Put a file in its place when all of it is on disk; what was there before stays until then.

    Args:
        path: The file.
        data: All that it will hold.
        private: Nobody but its owner may read it, as befits a file that addresses of servers may stand in.

    Raises:
        OSError: It cannot be written; nothing is left of it. It names the file, which the system does not.
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            if private:
                os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)
        raise

"""Who holds a lock, found out without taking it away from anybody."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

LOCKS = Path("/proc/locks")
UNKNOWN = -1


def holder(path: Path) -> int | None:
    """The process that holds the lock of this file; `UNKNOWN` for one that cannot be told; None where it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _listed(os.fstat(descriptor)) or UNKNOWN
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None


def in_words(pid: int) -> str:
    """The process as people may look for it."""
    return "a process that is not seen from here" if pid == UNKNOWN else f"process {pid}"


def _listed(status: os.stat_result) -> int | None:
    """What the kernel says: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:2916919 0 EOF`."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        text = LOCKS.read_text()
    except OSError:
        return None
    found = re.search(rf"FLOCK +\w+ +\w+ +(\d+) {device} ", text)
    return int(found[1]) if found else None

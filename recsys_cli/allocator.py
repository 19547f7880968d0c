"""How the C library keeps memory: big blocks that are freed stay with the process."""

from __future__ import annotations

import ctypes
import os
import platform

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # of mallopt, in <malloc.h>


def keep_freed_memory() -> bool:
    """Let glibc give big temporary arrays out of memory that it has, instead of asking the system for each anew.

    The system clears what it gives, page by page, which costs more than what is done with the array. The peak stays
    the same. Other C libraries are left alone, and so is a user's own choice in MALLOC_MMAP_THRESHOLD_.

    Returns:
        Whether it was done.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    settings = {MMAP_THRESHOLD: 1 << 30, TRIM_THRESHOLD: (1 << 31) - 1, TOP_PAD: 64 << 20}
    return all(mallopt(name, value) == 1 for name, value in settings.items())


def give_back_freed_memory() -> None:
    """Let glibc give back to the system what it keeps; other C libraries are left alone."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)

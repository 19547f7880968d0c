"""What an exception means to the one who typed the command: a line and an exit code, or a bug of ours."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from recsys_cli.errors import ConfigError, RecsysError, ResourceError
from recsys_cli.resources import OUT_OF_MEMORY, causes, disk_full

EXIT_CODES = (
    "Exit codes: 0 done; 1 a bug, or a published number or a run that did not come out again; 2 usage, settings or "
    "data; 3 training diverged; 4 out of disk or memory; 5 files of a run or checkpoint that are damaged or not the "
    "run's; 6 runs still pending after sync, or a database that is broken at the start; 130 and 143 interrupted."
)
# What a place can be like without anybody having made a mistake in this program.
SURROUNDINGS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENFILE,
    errno.ESTALE,
}
# The loader's and the C++ library's words for what Python calls a MemoryError, where a process may take little.
NO_MEMORY = re.compile(
    rf"bad_alloc|can't start new thread|failed to map segment|{OUT_OF_MEMORY.pattern}",
    re.IGNORECASE,
)
SMALLER = "choose a smaller model, batch or data set, or give it more memory"


def told(error: Exception) -> RecsysError | None:
    """The same error in our words; None for a bug of ours, which keeps its traceback."""
    if isinstance(error, ResourceError):
        return error
    used_up = disk_full(error) or _out_of_memory(error)
    if isinstance(error, RecsysError):
        return error if used_up is None else ResourceError(str(error), used_up.hint)
    if used_up is not None:
        return used_up
    if isinstance(error, FileNotFoundError) and not _here_exists():
        return ConfigError("the current folder has been removed", "change to one that is there")
    if isinstance(error, OSError) and error.errno in SURROUNDINGS and error.filename:
        return ConfigError(f"{error.filename}: {error.strerror}", "name another place")
    return None


def _out_of_memory(error: Exception) -> ResourceError | None:
    for cause in causes(error):
        if _is_no_memory(cause):
            first = next(iter(str(cause).splitlines()), "")
            return ResourceError(f"out of memory: {first}" if first else "out of memory", SMALLER)
    return None


def _is_no_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    kinds = (RuntimeError, ImportError, OSError)
    return isinstance(error, kinds) and NO_MEMORY.search(str(error)) is not None


def _here_exists() -> bool:
    try:
        return Path.cwd().exists()
    except OSError:
        return False

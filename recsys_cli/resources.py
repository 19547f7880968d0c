"""What is left of the machine: room on a disk, memory; and how an error says that one of them is used up.

Memory is bounded by more than what is installed: a container's control group, and the limits of the process. Whatever
leaves least counts.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recsys_cli.errors import ResourceError

DISK_ERRORS = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "larger than the largest file that this process may write (ulimit -f)",
    errno.EIO: "the disk failed (input/output error)",
}
# What libraries say that keep the number of the error to themselves: SQLite, and those written in Rust or C++.
_SAID = {
    errno.ENOSPC: r"No space left on device|database or disk is full|os error 28\b",
    errno.EDQUOT: r"quota exceeded|os error 122\b",
    errno.EFBIG: r"File too large|os error 27\b",
    errno.EIO: r"Input/output error|disk I/O error|os error 5\b",
}
# What torch and its devices say when they get no more.
OUT_OF_MEMORY = re.compile("out of memory|allocate memory|not enough memory", re.IGNORECASE)
MAKE_ROOM = "make room, or write elsewhere; what was finished before is intact"
PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
STARTS_WITH = 700_000_000  # of address space: what torch and its libraries map
_KNOWN_PAST = 1 << 60  # a limit beyond this is how the kernel writes that there is none


def in_words(n_bytes: float) -> str:
    """Bytes as people say them: 512 bytes, 41 GB, 1.5 MB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            value = n_bytes / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{n_bytes:.0f} bytes"


# ------------------------------------------------------------------------------------------------------------ disks


def free_on_disk(path: Path) -> int | None:
    """Bytes that may still be written where `path` lies or would lie; None where that cannot be told."""
    for place in (path, *path.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def disk_trouble(error: BaseException) -> int | None:
    """The number of the disk's error that is at the bottom of an exception; None where it is about something else."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in DISK_ERRORS:
            return cause.errno
        for number, words in _SAID.items():
            if re.search(words, str(cause), re.IGNORECASE):
                return number
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from, and so on, as a traceback would show them."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        hidden = cause.__suppress_context__
        cause = cause.__cause__ or (None if hidden else cause.__context__)


def disk_full(
    error: BaseException, path: Path | str | None = None, needs: int | None = None
) -> ResourceError | None:
    """The error of a full or failing disk in our words; None where the disk is not to blame.

    Args:
        error: What was raised.
        path: What was being written; None = as the error says.
        needs: How many bytes that is, where it is known.
    """
    number = disk_trouble(error)
    if number is None:
        return None
    where = path if path is not None else getattr(error, "filename", None)
    amounts = [f"needs {in_words(needs)}"] if needs else []
    if number == errno.ENOSPC and where is not None:
        free = free_on_disk(Path(os.fsdecode(where)))
        amounts += [] if free is None else [f"{in_words(free)} are free"]
    text = DISK_ERRORS[number] + (f" ({', '.join(amounts)})" if amounts else "")
    what = f"{os.fsdecode(where)}: cannot be written: {text}" if where is not None else text
    return ResourceError(what, MAKE_ROOM)


@contextmanager
def writing(path: Path, needs: int | None = None) -> Iterator[None]:
    """Tell of a disk that is full or fails inside the block by the name of what was being written.

    Args:
        path: What the block writes.
        needs: How many bytes that is, where it is known.

    Raises:
        ResourceError: The disk is full, or fails.
    """
    try:
        yield
    except Exception as error:
        if (told := disk_full(error, path, needs)) is not None and not isinstance(
            error, ResourceError
        ):
            raise told from error
        raise


# ----------------------------------------------------------------------------------------------------------- memory


@dataclass(frozen=True)
class Memory:
    """How much more memory this process may take.

    Attributes:
        free: Bytes.
        bound: What leaves no more: the machine, the control group or a limit of the process.
    """

    free: int
    bound: str


def memory() -> Memory | None:
    """What is left of the memory; None where the system does not tell."""
    bounds = (*_machine(), *_control_groups(), *_limits())
    return min(bounds, key=lambda bound: bound.free, default=None)


def expect_room_to_start() -> None:
    """Refuse to load torch where a limit of the process leaves it no room: it would abort without a word of ours.

    Raises:
        ResourceError: The limit is too low for any work.
    """
    there = min(_limits(), key=lambda bound: bound.free, default=None)
    if there is not None and there.free < STARTS_WITH:
        raise ResourceError(
            f"about {in_words(STARTS_WITH)} are taken before any work begins, and "
            f"{in_words(there.free)} are free in {there.bound}",
            "raise the limit",
        )


def _machine() -> Iterator[Memory]:
    available = _lines(PROC / "meminfo").get("MemAvailable")
    if available is not None:
        yield Memory(available, "the memory of this machine")
    elif "SC_PHYS_PAGES" in os.sysconf_names:
        # Without /proc only what is installed is known: more than that certainly is not there.
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Memory(total, "the memory of this machine")


def _limits() -> Iterator[Memory]:
    """`ulimit -v` and `ulimit -d`: they count what is reserved, also where it is not used."""
    own = _lines(PROC / "self" / "status")
    for limit, taken, name in (
        (resource.RLIMIT_AS, "VmSize", "ulimit -v"),
        (resource.RLIMIT_DATA, "VmData", "ulimit -d"),
    ):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY and taken in own:
            yield Memory(max(most - own[taken], 0), f"the limit of this process ({name})")


def _control_groups() -> Iterator[Memory]:
    """The limits of the groups that this process is in; of both versions of the interface."""
    for line in _text(PROC / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number == "0" and not controllers:
            files: tuple[str, ...] = ("memory.max", "memory.current", "inactive_file")
            top = CGROUPS
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            top = CGROUPS / "memory"
        else:
            continue
        # Inside a container the name is often that of the host, and its own group is the top.
        inner = top / name.lstrip("/")
        for group in {inner, *(above for above in inner.parents if above.is_relative_to(top)), top}:
            yield from _of_group(group, *files)


def _of_group(group: Path, limit: str, used: str, reclaimable: str) -> Iterator[Memory]:
    most, taken = _text(group / limit).strip(), _text(group / used).strip()
    if most.isdecimal() and taken.isdecimal() and int(most) < _KNOWN_PAST:
        cache = re.search(rf"^{reclaimable} (\d+)$", _text(group / "memory.stat"), re.MULTILINE)
        given_back = int(cache[1]) if cache else 0
        left = int(most) - int(taken) + given_back
        yield Memory(max(left, 0), "the memory of this container (control group)")


def _lines(path: Path) -> dict[str, int]:
    """The amounts in kB of a file of /proc, in bytes by name."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", _text(path), re.MULTILINE)
    return {name: int(amount) * 1024 for name, amount in found}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

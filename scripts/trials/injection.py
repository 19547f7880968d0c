"""Let the n-th system call of a process fail, or be its last, with strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trials.processes import PAUSE_SECONDS, Process

CALLS = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir",
)  # fmt: skip
KILL = "signal=KILL"
ATTACH_SECONDS = 20.0


class UnavailableError(Exception):
    """This machine lacks what a trial needs."""


@dataclass(frozen=True)
class Point:
    """The moment of a fault: the n-th call of this name, counted from where a process passes its gate."""

    call: str
    number: int
    fault: str

    def __str__(self) -> str:
        return f"{self.call} {self.number} {self.fault.rpartition('=')[2]}"


class Gate:
    """A place in a forked process where it waits until strace is attached to it."""

    def __init__(self) -> None:
        self._ready, self._arrived = os.pipe()
        self._go, self._open = os.pipe()

    def wait(self) -> None:
        """In the process: say that the place is reached, and wait."""
        os.write(self._arrived, b".")
        os.read(self._go, 1)

    def reached(self, process: Process) -> bool:
        """In its parent: wait until the place is reached; False where the process ended before."""
        os.set_blocking(self._ready, False)
        while process.poll() is None:
            try:
                return bool(os.read(self._ready, 1))
            except BlockingIOError:
                time.sleep(PAUSE_SECONDS)
        return False

    def open(self) -> None:
        """In its parent: let the process go on."""
        os.write(self._open, b".")

    def close(self) -> None:
        """Close the pipes."""
        for descriptor in (self._ready, self._arrived, self._go, self._open):
            os.close(descriptor)


@contextmanager
def gate() -> Iterator[Gate]:
    """A gate whose pipes are closed at the end."""
    made = Gate()
    try:
        yield made
    finally:
        made.close()


def require_strace() -> str:
    """The path of strace.

    Raises:
        UnavailableError: It is missing, or may trace nothing here.
    """
    found = shutil.which("strace")
    if found is None:
        raise UnavailableError("strace is not installed")
    done = subprocess.run([found, "-qq", "-o", os.devnull, "true"], capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"strace may trace nothing here: {done.stderr.strip()}")
    return found


def run_under(process: Process, gate: Gate, log: Path, point: Point | None) -> bool:
    """Trace a process from its gate to its end; True where the fault came to pass.

    Args:
        process: Waits at the gate, or will.
        gate: The place.
        log: Where strace writes the calls.
        point: The fault; None only records the calls.
    """
    if not gate.reached(process):
        raise RuntimeError(f"it ended before the gate: {process.last_line}")
    names = ",".join(f"?{call}" for call in CALLS)
    command = [require_strace(), "-f", "-qq", "-o", str(log), "-e", f"trace={names}"]
    if point is not None:
        command += ["-e", f"inject={point.call}:{point.fault}:when={point.number}"]
    with subprocess.Popen([*command, "-p", str(process.pid)], stderr=subprocess.DEVNULL) as tracer:
        until = time.monotonic() + ATTACH_SECONDS
        while not _is_traced(process.pid):
            if tracer.poll() is not None or time.monotonic() > until:
                process.kill()
                raise UnavailableError("strace cannot attach to a process")
            time.sleep(PAUSE_SECONDS)
        gate.open()
        process.wait()
    if point is not None and point.fault == KILL:
        return process.code == -9
    return "(INJECTED)" in log.read_text(errors="replace")


def _is_traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0\n" not in status


def points(log: Path, at_most: int) -> list[Point]:
    """Places for a death and places for an error, spread evenly over the calls that strace recorded."""
    counts = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log.read_text(errors="replace"), re.M))
    places = [(call, number) for call in CALLS for number in range(1, counts[call] + 1)]
    step = max(len(places) / at_most, 1.0)
    chosen = [places[int(place * step)] for place in range(min(len(places), at_most))]
    errors = ("error=ENOSPC", "error=EIO")
    return [
        Point(call, number, fault)
        for place, (call, number) in enumerate(chosen)
        for fault in (KILL, errors[place % 2])
    ]

"""What a worker of a sweep is to the command that starts it, wherever it runs; and one on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

COMMAND = (sys.executable, "-m", "recsys_cli.sweeps.worker")


class Running(Protocol):
    """A worker that was started."""

    @property
    def code(self) -> int | None:
        """Its exit code, negative for the signal that killed it; None while it runs."""
        ...

    def lines(self) -> Iterator[str]:
        """What it tells, until its end."""
        ...

    def tell_to_stop(self) -> None:
        """Let it close its run as at any interruption."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came in time."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


Launch = Callable[[str], Running]  # of a job, the first line of a worker's input


class Process:
    """A process of this machine.

    Args:
        job: What it reads first.
        folder: Where it works; None = here.
        threads: How many it may use.
    """

    def __init__(self, job: str, *, folder: Path | None = None, threads: int = 1) -> None:
        # In a session of its own: Ctrl-C on the terminal is for the command alone, which then stops it.
        self._process = subprocess.Popen(  # noqa: S603  # a command of ours
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died already, which is seen later
            self._process.stdin.write(job + "\n")
            self._process.stdin.flush()

    @property
    def code(self) -> int | None:
        """Its exit code, negative for the signal that killed it; None while it runs."""
        return self._process.poll()

    def lines(self) -> Iterator[str]:
        """What it tells, until its end."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            yield from lines

    def tell_to_stop(self) -> None:
        """End its input."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came in time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.code is not None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

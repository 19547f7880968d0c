"""The program's commands as processes that can be killed.

Most are forked from this process, which has imported everything: a command then starts in a fraction of a second
instead of in five. Each is a process of its own all the same, with its own memory, locks and files, and its death is
a real one. Those that are started `anew` are new interpreters, as a user starts them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from trials import REPOSITORY

LONGEST_SECONDS = 300.0
PAUSE_SECONDS = 0.002


@dataclass
class Process:
    """A command that was started.

    Attributes:
        pid: Its process id, which is that of its session too.
        said: Its arguments.
        out: The file of its standard output.
        err: The file of its standard error.
        since_ns: When it was started, in nanoseconds since 1970.
        code: Its exit code, negative for a signal; None while it runs.
        ended_ns: When it was found to have ended.
    """

    pid: int
    said: tuple[str, ...]
    out: Path
    err: Path
    since_ns: int = field(default_factory=time.time_ns)
    code: int | None = None
    ended_ns: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code, self.ended_ns = os.waitstatus_to_exitcode(status), time.time_ns()
        return self.code

    def wait(self, seconds: float = LONGEST_SECONDS) -> int:
        """Its exit code; a process that does not end in time is killed.

        Raises:
            TimeoutError: It did not end.
        """
        until = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"{' '.join(self.said)} did not end in {seconds:g} s")
            time.sleep(PAUSE_SECONDS)
        assert self.code is not None
        return self.code

    def send(self, number: int) -> bool:
        """Send a signal; False where the process has ended already."""
        if self.poll() is not None:
            return False
        os.kill(self.pid, number)
        return True

    def kill(self) -> bool:
        """End it as a power cut would; False where it has ended already."""
        return self.send(signal.SIGKILL) and self.wait() == -signal.SIGKILL

    @property
    def age(self) -> float:
        """Seconds since it was started, until now or its end."""
        return ((self.ended_ns or time.time_ns()) - self.since_ns) / 1e9

    @property
    def told(self) -> str:
        """What it wrote on standard output."""
        return self.out.read_text(encoding="utf-8", errors="replace")

    @property
    def errors(self) -> str:
        """What it wrote on standard error."""
        return self.err.read_text(encoding="utf-8", errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that it wrote on standard error."""
        return (self.errors.strip().splitlines() or [""])[-1]


class Program:
    """Starts commands of the program in a folder of their own.

    Args:
        root: Where all that they write goes; their working folder too.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._logs = root / "logs"
        self._started: list[Process] = []
        self._warm = False
        for name in ("logs", "tmp", "cache"):
            (root / name).mkdir(parents=True, exist_ok=True)

    @property
    def _surroundings(self) -> dict[str, str]:
        return {
            "RECSYS_CACHE": str(self.root / "cache"),
            "TMPDIR": str(self.root / "tmp"),
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def start(
        self,
        *said: str,
        anew: bool = False,
        env: Mapping[str, str] | None = None,
        first: Callable[[], object] | None = None,
    ) -> Process:
        """Start a command.

        Args:
            said: Its arguments.
            anew: In a new interpreter.
            env: Added to its environment.
            first: Called in the new process before the command.
        """
        if not anew:
            return self.call(_command, *said, env=env, first=first)
        argv = [sys.executable, "-m", "recsys_cli", *said]
        return self.call(
            lambda *_: os.execv(sys.executable, argv),  # noqa: S606  # no shell
            *said,
            env=env,
            first=first,
            warm=False,
        )

    def run(self, *said: str, anew: bool = False, env: Mapping[str, str] | None = None) -> Process:
        """Start a command and wait for its end."""
        process = self.start(*said, anew=anew, env=env)
        process.wait()
        return process

    def call(
        self,
        work: Callable[..., object],
        *said: str,
        env: Mapping[str, str] | None = None,
        first: Callable[[], object] | None = None,
        warm: bool = True,
    ) -> Process:
        """Call a function with these arguments in a process of its own."""
        if warm:
            self.warm_up()
        number = len(self._started)
        out, err = (self._logs / f"{number:05d}.{name}" for name in ("out", "err"))
        for log in (out, err):  # here: the process may die before it does anything
            log.touch()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.environ.update(self._surroundings | dict(env or {}))
            _become(self.root, out, err, first, work, said)
        self._started.append(Process(pid, said, out, err))
        return self._started[-1]

    def warm_up(self) -> None:
        """Import what the commands import, by training once, so that forked processes need not."""
        if self._warm:
            return
        self._warm = True
        import mlflow.store.db.utils
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

        from recsys_cli import config, experiment
        from recsys_cli.cli import program  # noqa: F401
        from recsys_cli.progress import Silent
        from recsys_cli.sweeps import sweep  # noqa: F401

        said = ["model=seq", "data=demo", "data.events=1000", "trainer.epochs=1", "tracking=none"]
        settings = config.load([*said, "device=cpu", "device.threads=1"])
        experiment.run(settings, run_dir=self.root / "warm-up", progress=Silent())

    def ended(self) -> list[Process]:
        """The commands so far that are over."""
        return [process for process in self._started if process.code is not None]

    def left(self) -> list[int]:
        """Processes that live in the session of a command that is over."""
        over = {process.pid for process in self.ended()}
        return [pid for pid, session in _sessions() if session in over]

    def close(self) -> None:
        """End all that still runs."""
        for process in self._started:
            with contextlib.suppress(OSError, TimeoutError):
                process.kill()


def _become(
    folder: Path,
    out: Path,
    err: Path,
    first: Callable[[], object] | None,
    work: Callable[..., object],
    said: tuple[str, ...],
) -> NoReturn:
    """What a forked process does until its end."""
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        for path, descriptor in ((Path(os.devnull), 0), (out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), descriptor)
        if first is not None:
            first()
        work(*said)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _command(*said: str) -> None:
    from recsys_cli.cli import main

    sys.argv = ["recsys", *said]
    main()


def _sessions() -> list[tuple[int, int]]:
    """All processes with the session of each."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            found.append((int(folder.name), int(fields[3])))
    return found

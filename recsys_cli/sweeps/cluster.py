"""Trials on a Ray cluster: a worker of a sweep is there a Ray task, which runs the process that it would be here.

What goes to the cluster and comes back is text: a worker's job, and the lines that it tells. Trials, their values and
who works at which are kept by the study's store as ever, so Ray has nothing that could be lost with it.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_cli.errors import ConfigError
from recsys_cli.progress import Progress
from recsys_cli.redact import redact
from recsys_cli.sweeps.launching import Launch, Process
from recsys_cli.sweeps.store import ServerStore

if TYPE_CHECKING:
    from recsys_cli.sweeps.plan import Plan

# What Ray reads as it is imported. It reports to its makers unless it is told not to.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
# A cluster of one machine is bound to 127.0.0.1 where Ray takes it for one that can have no more, as on a laptop.
OURS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
STORE_BYTES = 100 * 2**20  # of Ray's memory for results: ours are lines of text
POLL_SECONDS = 0.5  # between looks at whether a task is to stop
SECONDS_TO_STOP = 30
PATIENCE_SECONDS = 10
KILLED = -signal.SIGKILL
_ADDRESS = re.compile(r"auto|[\w.-]+:\d{1,5}")


@dataclass(frozen=True)
class Cluster:
    """Where trials run, and what each of them takes.

    Attributes:
        address: HOST:PORT of a cluster that this machine is a part of, or `auto`; None = one of this machine alone, which
            begins and ends with the command.
        cpus: Processors of a trial.
        gpus: GPUs of a trial; less than one lets several trials share it.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0

    def check(self) -> None:
        """Refuse what could not run.

        Raises:
            ConfigError: Naming the option and what to write instead.
        """
        found = find_spec("ray")
        if found is None or found.origin is None:  # a folder of that name is no package
            raise ConfigError(
                "--launcher ray needs the package ray", "pip install 'recsys-cli[ray]'"
            )
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise ConfigError(
                f"--ray-address {redact(self.address)} is no address of a cluster",
                "give HOST:PORT, or auto for the one that runs on this machine",
            )
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ConfigError(
                f"--trial-gpus {self.gpus:g}: only one GPU can be shared",
                "give a part of one, such as 0.5, or a whole number",
            )

    def room(self, machines: Sequence[Mapping[str, float]]) -> int:
        """How many trials these machines hold at once.

        Args:
            machines: The resources of each, by Ray's names.
        """
        return sum(self._fit(machine) for machine in machines)

    def _fit(self, machine: Mapping[str, float]) -> int:
        by_cpus = math.floor(machine.get("CPU", 0) / self.cpus)
        n_gpus = math.floor(machine.get("GPU", 0))
        if not self.gpus:
            return by_cpus
        sharing = math.floor(1 / self.gpus + 1e-9)
        return min(by_cpus, n_gpus * sharing if sharing else math.floor(n_gpus / self.gpus))


@contextmanager
def launcher(plan: Plan, progress: Progress) -> Iterator[Launch]:
    """What starts workers on the plan's cluster; one of our own ends with the block.

    Raises:
        ConfigError: The cluster cannot be reached, has no machine for a trial, or has several that cannot share the store.
    """
    cluster = plan.cluster
    assert cluster is not None
    with _connected(cluster, progress) as ray:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if len(machines) > 1 and not isinstance(plan.store, ServerStore):
            raise ConfigError(
                f"the cluster has {len(machines)} machines, and the study is in a file of this one",
                "keep it on a server: --storage postgresql://HOST/DATABASE",
            )
        room = cluster.room(machines)
        if not room:
            raise ConfigError(
                f"no machine of the cluster has {cluster.cpus} CPUs and {cluster.gpus:g} GPUs",
                "give fewer: --trial-cpus, --trial-gpus",
            )
        if room < plan.workers:
            progress.note(f"the cluster holds {room} of {plan.workers} trials at once")
        serve = ray.remote(_serve).options(
            num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=0, num_returns="streaming"
        )
        folder = str(Path.cwd())
        yield lambda job: Task(ray, serve.remote(_on_a_wall_clock(job), folder, cluster.cpus))


@contextmanager
def _connected(cluster: Cluster, progress: Progress) -> Iterator[Any]:
    """Ray, connected to the cluster."""
    os.environ.update(QUIET)
    with ExitStack() as stack:
        # Ray prints on standard output that a task has died, which we tell ourselves, and where results of ours go.
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        stack.enter_context(redirect_stdout(nowhere))
        options: dict[str, Any] = {"address": cluster.address}
        if cluster.address is None:
            os.environ.update(OURS)
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
            folder = tempfile.TemporaryDirectory(prefix="recsys-ray-", ignore_cleanup_errors=True)
            options = {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                # Inside a folder that is ours alone: Ray lets everybody write to its own.
                "_temp_dir": str(Path(stack.enter_context(folder)) / "ray"),
            }
        progress.note(
            f"Ray: {'starting on this machine' if cluster.address is None else 'joining'}"
        )
        _expect_answer(cluster.address)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        import ray

        stack.callback(ray.shutdown)
        try:
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # where a busy machine took too long it is nothing narrower
            reason = redact(str(error)).strip().splitlines()[0]
            hint = "see that the cluster runs and that this machine is a part of it: ray status"
            if cluster.address is None:
                hint = "give the same command again when the machine is less busy"
            raise ConfigError(f"Ray cannot be used: {reason}", hint) from error
        finally:
            for number, handler in handlers.items():  # Ray's would end us without closing the run
                signal.signal(number, handler)
        yield ray


def _expect_answer(address: str | None) -> None:
    """Refuse at once an address at which nobody listens: Ray tries for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--ray-address {address}: nobody answers there: {error}", "see that the cluster runs"
        ) from error


@dataclass
class Task:
    """A worker on the cluster.

    Attributes:
        ray: The package.
        told: References to the lines that it tells; the last is its exit code.
        code: Its exit code, negative for the signal that killed it; None while it runs.
    """

    ray: Any
    told: Any
    code: int | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def lines(self) -> Iterator[str]:
        """What it tells, until its end."""
        code, errors = KILLED, self.ray.exceptions
        try:
            for reference in self.told:
                line = str(self.ray.get(reference))
                if line.isdecimal() or line.startswith("-"):
                    code = int(line)
                else:
                    yield line
        except errors.TaskCancelledError:
            pass  # it was told to stop
        except errors.RayTaskError as error:
            # Not of a trial, of which the process itself tells, but of what it takes to start it.
            reason = redact(str(error)).strip().splitlines()[-1]
            hint = "see that every machine of the cluster has this folder, and the same recsys installed"
            yield json.dumps({"error": [f"a worker cannot be started: {reason}", hint, 2]})
        except errors.RayError:
            pass  # its process or its machine is gone, by a signal, for want of memory or of power
        finally:
            self.code = code
            self._ended.set()

    def tell_to_stop(self) -> None:
        """Let it close its run as at any interruption."""
        self._cancel(force=False)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came in time."""
        return self._ended.wait(seconds)

    def kill(self) -> None:
        """End it at once."""
        self._cancel(force=True)

    def _cancel(self, *, force: bool) -> None:
        if not self._ended.is_set():
            self.ray.cancel(self.told, force=force)


def _serve(job: str, folder: str, threads: int) -> Iterator[str]:
    """On a machine of the cluster: the lines of a worker, and its exit code at the end."""
    process = Process(_on_this_clock(job), folder=Path(folder), threads=threads)
    inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for line in process.lines():
                inbox.put(line)
        finally:
            inbox.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        # Ray interrupts a task between two steps of Python, so that none must wait without end.
        while (line := _next(inbox)) is not None:
            yield line
        process.wait(SECONDS_TO_STOP)
        yield str(process.code)
    finally:
        process.tell_to_stop()
        if not process.wait(SECONDS_TO_STOP):
            process.kill()


def _next(inbox: queue.SimpleQueue[str | None]) -> str | None:
    while True:
        try:
            return inbox.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue


def _on_a_wall_clock(job: str) -> str:
    """A job whose start can be told on another machine; the monotonic clock begins anew on each."""
    return _shifted(job, time.time() - time.monotonic())


def _on_this_clock(job: str) -> str:
    return _shifted(job, time.monotonic() - time.time())


def _shifted(job: str, seconds: float) -> str:
    told = json.loads(job)
    told["plan"]["limits"]["started"] += seconds
    return json.dumps(told)

"""Workers on a Ray cluster: a module stands in for Ray, which needs none of it installed, and runs tasks in this process."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.progress import Silent
from recsys_cli.sweeps import cluster, sweep, worker
from recsys_cli.sweeps.cluster import Cluster
from recsys_cli.sweeps.plan import make_plan
from recsys_cli.sweeps.store import FileStore
from recsys_cli.sweeps.wire import Wire

GRID = ["model=mf", "data=demo", "tracking=none", "model.rank=8,32"]


class RayError(Exception): ...


class RayTaskError(RayError): ...


class TaskCancelledError(RayError): ...


class FakeRay(ModuleType):
    """Calls tasks where they are asked for what they tell."""

    exceptions = SimpleNamespace(
        RayError=RayError, RayTaskError=RayTaskError, TaskCancelledError=TaskCancelledError
    )

    def __init__(self) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None, origin="here")
        self.machines = [{"CPU": 2.0, "GPU": 1.0}]
        self.begun, self.asked, self.sent = {}, {}, []
        self.is_on = False
        self.refuses = None
        self.fails: list[Exception] = []  # one each for the first tasks

    def init(self, **options):
        if self.refuses is not None:
            raise self.refuses
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does
        self.begun, self.is_on = options, True
        if options["address"] == "local":
            self.alone = not Path(options["_temp_dir"]).parent.stat().st_mode & 0o077

    def shutdown(self):
        sys.stdout.write("(raylet) A worker died or was killed")
        self.is_on = False

    def nodes(self):
        return [{"Alive": True, "Resources": each} for each in self.machines] + [
            {"Alive": False, "Resources": {"CPU": 64.0}}
        ]

    def remote(self, function):
        def options(**asked):
            self.asked = asked
            return SimpleNamespace(remote=remote)

        def remote(*sent):
            self.sent.append(sent)
            return self._told(self.fails.pop() if self.fails else None, function, sent)

        return SimpleNamespace(options=options)

    def _told(self, failure, function, sent):
        if failure is not None:
            raise failure
        yield from function(*sent)

    def get(self, line):
        return line

    def cancel(self, told, *, force):
        """All have ended."""


class ProcessHere:
    """A worker in this process; what it tells is heard at its end."""

    def __init__(self, job, *, folder, threads):
        self.job, self.code = json.loads(job), None

    def lines(self):
        stream = io.StringIO()
        worker._run(self.job, Wire(stream))
        yield from stream.getvalue().splitlines(keepends=True)

    def wait(self, seconds):
        self.code = 0
        return True

    def tell_to_stop(self):
        """It has ended."""


class Lines(Silent):
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


@pytest.fixture
def ray(monkeypatch):
    module = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setattr(cluster, "Process", ProcessHere)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return module


def on(asked, tmp_path, *, workers=1):
    """What `launcher` reads of a plan."""
    store = FileStore(tmp_path / "study.db", "s")
    return SimpleNamespace(cluster=asked, store=store, workers=workers)


def at(server):
    return f"127.0.0.1:{server.getsockname()[1]}"


JOB = '{"plan": {"limits": {"started": 0}}}'


class Silence(ProcessHere):
    def lines(self):
        yield "a line"


def test_a_sweep_on_a_cluster_of_its_own_has_the_trials_of_any_other(fake, tracker, ray, capsys):
    ray.fails = [RayError("the node died")]
    lines = Lines()
    handler = signal.getsignal(signal.SIGTERM)
    result = sweep.run(make_plan(GRID, name="s", cluster=Cluster()), progress=lines)

    assert fake.run_at == [8, 32]
    assert [row.number for row in result.trials] == [1, 0]
    assert fake.parents == ["parent-1"] * 2
    assert lines.lines[0].startswith("sweep s: 2 trials by grid in 1 processes on a Ray cluster, ")
    assert "worker 1 was killed by signal 9 at its start; another goes on" in lines.lines
    assert (ray.begun["address"], ray.begun["include_dashboard"]) == ("local", False)
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"  # bound to 127.0.0.1
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ray.alone
    assert not ray.is_on
    assert capsys.readouterr().out == ""
    assert signal.getsignal(signal.SIGTERM) == handler


def test_what_is_sent_is_text_and_numbers(ray, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "Process", Silence)
    with (
        socket.create_server(("127.0.0.1", 0)) as head,
        cluster.launcher(on(Cluster(at(head), cpus=2, gpus=0.5), tmp_path), Silent()) as launch,
    ):
        assert ray.begun["address"] == at(head)
        task = launch(JOB)
        assert task.code is None
        assert list(task.lines()) == ["a line"]

    assert task.code == 0
    assert task.wait(0)
    assert [type(each) for each in ray.sent[0]] == [str, str, int]
    assert "RAY_AUTH_TOKEN" not in os.environ  # that of the cluster is the user's to give
    assert ray.asked["num_cpus"] == 2
    assert ray.asked["num_gpus"] == 0.5
    assert ray.asked["max_retries"] == 0  # a trial is taken over by the study's rules


def test_a_worker_that_cannot_be_started_is_told_as_one_line(ray, tmp_path):
    ray.fails = [RayTaskError("trace\nModuleNotFoundError: No module named 'recsys_cli'")]
    with cluster.launcher(on(Cluster(), tmp_path), Silent()) as launch:
        (line,) = launch(JOB).lines()

    problem, _, code = json.loads(line)["error"]
    assert problem.endswith("ModuleNotFoundError: No module named 'recsys_cli'")
    assert code == 2


def test_an_address_at_which_nobody_listens_is_refused_at_once(ray, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = at(closed)
    with (
        pytest.raises(ConfigError, match=f"--ray-address {address}: nobody answers there"),
        cluster.launcher(on(Cluster(address), tmp_path), Silent()),
    ):
        pass
    assert ray.begun == {}


def test_more_trials_than_there_is_room_for_are_told(ray, tmp_path):
    lines = Lines()
    with cluster.launcher(on(Cluster(), tmp_path, workers=5), lines):
        pass

    assert "the cluster holds 2 of 5 trials at once" in lines.lines


@pytest.mark.parametrize(
    ("machines", "asked", "problem"),
    [
        ([{"CPU": 2.0}], Cluster(gpus=1), "no machine of the cluster has 1 CPUs and 1 GPUs"),
        ([{"CPU": 2.0}, {"CPU": 2.0}], Cluster(), "has 2 machines"),
    ],
)
def test_a_cluster_that_cannot_run_it_is_refused(ray, tmp_path, machines, asked, problem):
    ray.machines = machines
    with (
        pytest.raises(ConfigError, match=problem),
        cluster.launcher(on(asked, tmp_path), Silent()),
    ):
        pass
    assert not ray.is_on


@pytest.mark.parametrize(
    ("address", "said", "hint"),
    [
        ("auto", ConnectionError("no running instance"), "see that the cluster runs"),
        (None, Exception("timed out during startup"), "when the machine is less busy"),
    ],
)
def test_a_cluster_that_is_not_there(ray, tmp_path, address, said, hint):
    ray.refuses = said
    with (
        pytest.raises(ConfigError, match=f"Ray cannot be used: {said}") as caught,
        cluster.launcher(on(Cluster(address=address), tmp_path), Silent()),
    ):
        pass
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Cluster(address="ray://head:10001"), "--ray-address ray://head:10001 is no address"),
        (Cluster(gpus=1.5), "--trial-gpus 1.5: only one GPU can be shared"),
    ],
)
def test_what_could_not_run_is_refused(ray, asked, problem):
    with pytest.raises(ConfigError, match=problem):
        asked.check()


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs the package ray") as caught:
        Cluster().check()
    assert caught.value.hint == "pip install 'recsys-cli[ray]'"


@pytest.mark.parametrize(
    ("asked", "machines", "room"),
    [
        (Cluster(), [{"CPU": 2.0}, {"CPU": 3.0}], 5),
        (Cluster(cpus=2), [{"CPU": 2.0}, {"CPU": 3.0}], 2),
        (Cluster(gpus=1), [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], 2),
        (Cluster(gpus=0.1), [{"CPU": 64.0, "GPU": 2.0}], 20),
        (Cluster(gpus=0.6), [{"CPU": 64.0, "GPU": 2.0}], 2),  # one on each
        (Cluster(gpus=2), [{"CPU": 64.0, "GPU": 5.0}], 2),
    ],
)
def test_room_for_trials(asked, machines, room):
    assert asked.room(machines) == room


def test_a_task_that_ray_interrupts_lets_its_process_close(monkeypatch):
    stopped = []

    class Endless(ProcessHere):
        def lines(self):
            yield "one\n"
            while not stopped:
                time.sleep(0.01)

        def tell_to_stop(self):
            stopped.append(self)

    monkeypatch.setattr(cluster, "Process", Endless)
    told = cluster._serve(JOB, ".", 1)
    assert next(told) == "one\n"
    with pytest.raises(KeyboardInterrupt):
        told.throw(KeyboardInterrupt)
    assert len(stopped) == 1


def test_the_start_of_a_command_is_told_on_another_machine(monkeypatch):
    job = json.dumps({"plan": {"limits": {"started": time.monotonic() - 60}}})
    sent = cluster._on_a_wall_clock(job)
    monkeypatch.setattr(time, "monotonic", lambda: 5000.0)  # it was switched on then
    here = json.loads(cluster._on_this_clock(sent))

    assert here["plan"]["limits"]["started"] == pytest.approx(4940, abs=5)

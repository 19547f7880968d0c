"""The trials of `scripts/torture` see what is wrong: a trial that cannot fail shows nothing."""

import json
import os
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import torch

from recsys_cli.training.checkpoint import Checkpoints, Saved

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))

from trials import bench, injection, report, traces
from trials.processes import Process

POINTS = Counter({("valid_loss", 1, 0.5): 1, ("fit_seconds", 1, 0.0): 1})


def process(folder, code=None, errors=""):
    """This process, as if it were one that was started."""
    out, err = folder / "out", folder / "err"
    out.write_text("")
    err.write_text(errors)
    return Process(os.getpid(), ("train",), out, err, since_ns=0, code=code)


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in traces.FILES:
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def store(tmp_path, run):
    """A database that holds the run, its two numbers and its files."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("create table runs (run_uuid, status)")
        database.execute("create table metrics (run_uuid, key, step, value)")
        database.execute("insert into runs values ('a', 'FINISHED')")
        database.execute("insert into metrics values ('a', 'valid_loss', 1, 0.5)")
        database.execute("insert into metrics values ('a', 'fit_seconds', 1, 7.25)")
        database.commit()
    kept = tmp_path / "artifacts" / "a" / "artifacts"
    kept.mkdir(parents=True)
    for name in traces.FILES:
        (kept / name).write_text("{}")
    return tmp_path / "mlflow.db"


def test_the_record_of_a_run_as_it_should_be_has_no_faults(store, run):
    kept = traces.Store(store)

    assert list(kept.faults("a", run, POINTS)) == []
    assert kept.sound() == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("update runs set status = 'RUNNING'", "the tracked run is RUNNING"),
        ("delete from metrics where value = 0.5", "1 tracked numbers lost, such as valid_loss"),
        ("update metrics set value = 0.25 where value = 0.5", "1 tracked numbers lost"),
        ("insert into metrics select * from metrics", "2 tracked numbers too many"),
    ],
)
def test_a_record_that_is_another_is_a_fault(store, run, change, fault):
    with closing(sqlite3.connect(store)) as database:
        database.execute(change)
        database.commit()

    assert next(iter(traces.Store(store).faults("a", run, POINTS))).startswith(fault)


def test_an_artifact_that_is_missing_or_another_is_a_fault(store, run):
    kept = store.parent / "artifacts" / "a" / "artifacts"
    (kept / "config.yaml").unlink()
    (kept / "metrics.json").write_text("[]")

    faults = list(traces.Store(store).faults("a", run, POINTS))

    assert faults == ["artifact config.yaml is missing", "artifact metrics.json is another"]


def test_a_store_that_is_no_database_is_unsound(tmp_path):
    assert traces.Store(tmp_path / "none.db").sound() == ["there is no database"]


@pytest.mark.parametrize(
    "name",
    ["x/history.jsonl.part", "x/.tmpa1b2", "mlflow.db.draft-wal", "x/run.lock", "x/running.json"],
)
def test_what_belongs_to_work_under_way_is_an_orphan(run, name):
    assert traces.orphans(run) == []
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).touch()

    assert traces.orphans(run) == [f"{name} is left over"]


def test_a_flipped_byte_in_a_checkpoint_is_damage(run):
    (run / "metrics.json").unlink()
    Checkpoints(run / "checkpoint", {}).save(Saved({"weights": torch.zeros(4)}, {}))
    assert traces.damaged(run) == []
    tensors = next((run / "checkpoint").glob("*.safetensors"))
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)

    assert len(traces.damaged(run)) == 1


def test_half_a_record_is_damage(run):
    (run / "metrics.json").write_text('{"metrics": ')

    assert traces.damaged(run) == [f"{run / 'metrics.json'} is damaged"]


def test_a_result_with_other_weights_is_another(run):
    told = json.dumps({"metrics": {}, "timings": {"fit_seconds": 1.0}})
    (run / "history.jsonl").write_text(
        '{"epoch": 1, "time_ms": 5, "epoch_seconds": 1, "loss": 2}\n'
    )
    whole = traces.result(told, run)
    (run / "history.jsonl").write_text(
        '{"epoch": 1, "time_ms": 9, "epoch_seconds": 3, "loss": 2}\n'
    )
    assert traces.differences(traces.result(told.replace("1.0", "2.0"), run), whole) == []
    (run / "model.safetensors").write_text("other")
    (run / "history.jsonl").write_text(
        '{"epoch": 1, "time_ms": 9, "epoch_seconds": 3, "loss": 3}\n'
    )

    found = traces.result(told, run)

    assert traces.differences(found, whole) == ["another history", "another model.safetensors"]


def test_the_stage_of_a_run_is_read_from_its_folder(tmp_path):
    folder, own, seen = tmp_path / "run", process(tmp_path), []
    folder.mkdir()
    for name in (
        "run.lock",
        "running.json",
        "checkpoint/1.part",
        "model.safetensors",
        "metrics.json",
    ):
        seen.append(traces.stage(folder, own))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(str(os.getpid()))
    seen.append(traces.stage(folder, own))
    (folder / "run.lock").unlink()
    (folder / "running.json").unlink()
    seen.append(traces.stage(folder, own))

    assert tuple(seen) == traces.STAGES


@pytest.mark.parametrize(
    ("code", "errors", "n_faults"),
    [(0, "", 0), (1, "", 1), (0, "Traceback (most recent", 1), (-11, "Traceback (most recent", 2)],
)
def test_a_wrong_exit_code_and_a_traceback_are_faults(tmp_path, code, errors, n_faults):
    assert len(bench.failed(process(tmp_path, code, errors), 0, 4)) == n_faults


def test_one_fault_makes_the_whole_report_fail(tmp_path):
    told = report.Report()
    told.case("kills", "run 0", [], "identical")
    told.verdict("kills", "1 run", since=0.0, seed=1)
    assert told.held
    told.case("kills", "run 1", ["another history"])
    told.verdict("kills", "2 runs", since=0.0, seed=1)
    told.write(tmp_path / "report.json")

    assert not told.held
    assert [
        v["faults"] for v in json.loads((tmp_path / "report.json").read_text())["verdicts"]
    ] == [0, 1]
    assert "2 runs" in told.table()


def test_a_death_and_an_error_are_tried_at_places_spread_over_all_calls(tmp_path):
    log = tmp_path / "log"
    log.write_text("7 write(3, 'x', 1) = 1\n" * 8 + "7 fsync(3) = 0\n" * 2 + "8 getpid() = 8\n")

    points = injection.points(log, 5)

    assert [(point.call, point.number) for point in points[::2]] == [
        ("write", 1), ("write", 3), ("write", 5), ("write", 7), ("fsync", 1),
    ]  # fmt: skip
    assert {point.fault for point in points[::2]} == {injection.KILL}
    assert {point.fault for point in points[1::2]} == {"error=ENOSPC", "error=EIO"}

"""What is told to the tracker is what MLflow has afterwards."""

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from recsys_cli.errors import ConfigError, DivergedError, TrackingError
from recsys_cli.tracking import contract
from recsys_cli.tracking.mlflow import MlflowTracker
from recsys_cli.tracking.store import DEFAULT_ROOT

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "tracking"
DATASET = {
    "name": "ml-100k",
    "digest": "0123456789abcdef" * 4,
    "source": "https://host/ml-100k.zip",
    "profile": '{"users": 943}',
}


@pytest.fixture
def client(root):
    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def opened(tracker, **changed):
    told = {"name": "mf on ml-100k", "params": {}, "tags": {}}
    return tracker.start(**(told | changed))


def test_a_run_is_recorded_as_it_was_told(tracker, client, root, tmp_path):
    report = tmp_path / "metrics.json"
    report.write_text("{}")
    one = tracker()
    run_id = opened(
        one,
        params={
            "model.rank": 64,
            "trainer.lr": 0.01,
            "model.loss": "bpr",
            "a": None,
            "b": True,
            "k": [5, 10],
            "empty": "",
        },
        tags={"recsys.split_hash": "abc", "description": "**mf**", "command": "recsys train"},
        dataset=DATASET,
    )
    one.metrics({"valid_ndcg_at_10": 0.25, "loss": 1.5}, step=1)
    one.metrics({"valid_ndcg_at_10": 0.5}, step=2)
    one.artifact(report)
    one.finish()

    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mf on ml-100k"
    assert run.data.params == {
        "model.rank": "64",
        "trainer.lr": "0.01",
        "model.loss": "bpr",
        "a": "null",
        "b": "true",
        "k": "[5, 10]",
        "empty": "",
    }
    assert run.data.tags["recsys.split_hash"] == "abc"
    assert run.data.tags["mlflow.note.content"] == "**mf**"
    assert run.data.tags["mlflow.source.name"] == "recsys train"
    assert "recsys.host" in run.data.tags
    assert "pid" in json.loads(run.data.tags["recsys.process"])
    history = client.get_metric_history(run_id, "valid_ndcg_at_10")
    assert [(m.step, m.value) for m in history] == [(1, 0.25), (2, 0.5)]
    assert run.data.metrics["loss"] == 1.5
    assert [entry.path for entry in client.list_artifacts(run_id)] == ["metrics.json"]
    assert (root / "artifacts" / run_id / "artifacts" / "metrics.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("source", "kind", "kept"),
    [
        ("https://user:word@host/x.zip", "http", {"url": "https://***@host/x.zip"}),
        ("/data/x", "local", {"uri": "/data/x"}),
        ("demo", "local", {"uri": "demo"}),
    ],
)
def test_the_data_set_is_an_input_of_the_run(tracker, client, source, kind, kept):
    one = tracker()
    run_id = opened(one, dataset=DATASET | {"source": source})
    one.finish()
    (entry,) = client.get_run(run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("ml-100k", "0123456789ab")
    assert entry.dataset.source_type == kind
    assert json.loads(entry.dataset.source) == kept
    assert entry.dataset.profile == '{"users": 943}'
    assert entry.tags[0].value == "training"


def test_a_parent_and_its_children_are_open_together(tracker, client):
    parent, children = tracker(), [tracker(), tracker()]
    parent_id = opened(parent, name="sweep")
    ids = [opened(child, parent_id=parent_id) for child in children]
    for n, child in enumerate(children):
        child.metrics({"loss": n})
        child.finish()
    parent.metrics({"best": 0.0})
    parent.finish()
    assert len({parent_id, *ids}) == 3
    assert [client.get_run(run).data.tags["mlflow.parentRunId"] for run in ids] == [parent_id] * 2
    assert [client.get_run(run).data.metrics for run in ids] == [{"loss": 0}, {"loss": 1}]
    assert client.get_run(parent_id).data.metrics == {"best": 0}


def test_a_run_of_a_dead_process_is_opened_again_and_its_open_parts_are_closed(tracker, client):
    dead = tracker()
    parent_id = opened(dead, name="sweep", params={"model.rank": 64})
    part_id = opened(tracker(), parent_id=parent_id)
    ended = tracker()
    ended_id = opened(ended, parent_id=parent_id)
    ended.finish()
    again = tracker()
    assert opened(again, name="sweep", params={"model.rank": 64}, run_id=parent_id) == parent_id
    assert client.get_run(parent_id).info.status == "RUNNING"
    assert client.get_run(part_id).info.status == "KILLED"
    assert client.get_run(ended_id).info.status == "FINISHED"
    again.metrics({"best": 0.5})
    again.finish()
    run = client.get_run(parent_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"best": 0.5})


def test_a_run_that_is_gone_is_made_anew(tracker, client):
    run_id = opened(tracker(), run_id="0" * 32)
    assert run_id != "0" * 32
    assert client.get_run(run_id).info.status == "RUNNING"


def test_one_tracker_records_one_run_after_another(tracker, client):
    one = tracker(flush_seconds=3600.0)
    ids = []
    for n in range(2):
        ids.append(opened(one))
        one.metrics({"loss": n})
        one.finish()
    assert [client.get_run(run).data.metrics for run in ids] == [{"loss": 0}, {"loss": 1}]


def test_metrics_wait_and_go_out_in_few_calls(tracker, client, monkeypatch):
    calls = []
    send = MlflowClient.log_batch
    monkeypatch.setattr(
        MlflowClient,
        "log_batch",
        lambda self, run_id, **told: (calls.append(told), send(self, run_id, **told)),
    )
    one = tracker(flush_seconds=3600.0)
    run_id = opened(one)
    for step in range(1100):
        one.metrics({"loss": step / 2, "other": 0.0}, step=step)
    assert calls == []
    one.finish()
    assert [len(told["metrics"]) for told in calls] == [1000, 1000, 200]
    assert len(client.get_metric_history(run_id, "loss")) == 1100


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_where_it_arises(tracker, client, value):
    one = tracker()
    run_id = opened(one)
    with pytest.raises(DivergedError, match=r"metric loss at step 7 is -?(nan|inf)"):
        one.metrics({"loss": value}, step=7)
    one.finish("FAILED")
    assert client.get_run(run_id).data.metrics == {}


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_as_told_with_all_its_metrics(tracker, client, status):
    one = tracker(flush_seconds=3600.0)
    run_id = opened(one)
    one.metrics({"loss": 1.0})
    one.finish(status)
    one.finish("FAILED")
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics) == (status, {"loss": 1.0})
    assert run.info.end_time is not None


def test_many_settings_and_long_ones_are_kept_or_visibly_cut(tracker, client):
    one = tracker()
    params = {f"p{n}": n for n in range(150)} | {"long": "x" * 7000}
    run_id = opened(one, params=params, tags={"note": "y" * 9000})
    one.finish()
    kept = client.get_run(run_id).data
    assert len(kept.params) == 151
    assert len(kept.params["long"]) == 6000
    assert kept.params["long"].endswith("x... (cut, 7000 characters)")
    assert kept.tags["note"].endswith("y... (cut, 9000 characters)")


def test_credentials_do_not_reach_the_store(tracker, root):
    one = tracker()
    opened(
        one,
        params={"tracking.uri": "http://user:CANARY@host", "list": ["http://user:CANARY@host"]},
        tags={"command": "recsys train tracking.uri=http://user:CANARY@host"},
        dataset=DATASET | {"source": "https://host/x?token=CANARY"},
    )
    one.finish()
    for path in root.rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes()


def test_odd_names_are_shown_and_never_a_path(tracker, client, root):
    one = tracker(experiment="../../über #1")
    run_id = opened(one, name="../../../etc/x\n")
    one.finish()
    assert client.get_run(run_id).info.run_name == "../../../etc/x\n"
    assert client.get_run(run_id).info.artifact_uri.startswith((root / "artifacts").as_uri())


def test_a_run_whose_description_fails_is_not_left_running(tracker, client):
    with pytest.raises(TrackingError, match="Invalid"):
        opened(tracker(), params={"bad\nkey*": 1})
    (run,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    assert run.info.status == "FAILED"


def test_a_deleted_experiment_is_not_written_to(tracker, client):
    one = tracker()
    opened(one)
    one.finish()
    client.delete_experiment(client.get_experiment_by_name("recsys").experiment_id)
    with pytest.raises(ConfigError, match=r"tracking\.experiment=recsys"):
        opened(tracker())


def test_use_without_a_run_is_a_bug(tracker):
    with pytest.raises(RuntimeError, match="no run is open"):
        tracker().metrics({"loss": 1.0})
    one = tracker()
    opened(one)
    with pytest.raises(RuntimeError, match="still open"):
        opened(one)
    one.finish()


def test_nothing_happens_before_the_start(tmp_path):
    MlflowTracker(uri=None, root=str(tmp_path / "runs"), experiment="x", flush_seconds=1.0).finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "location", "command"),
    [
        ({"root": DEFAULT_ROOT}, "{here}/runs/mlflow.db", "recsys ui"),
        ({"root": "my runs"}, "{here}/my runs/mlflow.db", "recsys ui --root 'my runs'"),
        ({"uri": "sqlite:///x.db"}, "{here}/x.db", "recsys ui --uri sqlite:///x.db"),
        ({"uri": "http://user:word@host:5000"}, "http://***@host:5000", "http://***@host:5000"),
    ],
)
def test_it_says_where_runs_are_and_how_to_see_them(
    tracker, tmp_path, monkeypatch, changed, location, command
):
    monkeypatch.chdir(tmp_path)
    one = tracker(**changed)
    assert one.location == location.format(here=tmp_path)
    assert one.how_to_open == command


@pytest.mark.slow
def test_a_start_says_nothing_on_either_stream(tmp_path):
    script = (
        "from recsys_cli.tracking.mlflow import MlflowTracker\n"
        f"t = MlflowTracker(uri=None, root={str(tmp_path)!r}, experiment='x', flush_seconds=0.0)\n"
        "t.start(name='n', params={}, tags={}); t.metrics({'loss': 1.0}); t.finish()"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("", "")


def test_without_tracking_mlflow_is_not_imported():
    script = "import recsys_cli.tracking.mlflow, recsys_cli.tracking.contract, sys; sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("name", "target"), [("mlflow", MlflowTracker), ("none", contract.NoTracker)]
)
def test_the_settings_are_the_arguments(name, target):
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert settings.pop("_target_") == f"{target.__module__}.{target.__qualname__}"
    assert set(settings) == set(inspect.signature(target).parameters)
    target(**settings)


def test_the_default_root_is_that_of_the_settings():
    assert yaml.safe_load((CONFIGS / "mlflow.yaml").read_text())["root"] == "${root}"
    assert yaml.safe_load((CONFIGS.parent / "experiment.yaml").read_text())["root"] == DEFAULT_ROOT

"""A store that is told twice, in pieces, or late, has what one has that was told once."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from recsys_cli.errors import TrackingError
from recsys_cli.tracking.delivery import Delivery, RefusedError, close_dead
from recsys_cli.tracking.description import params_of, tags_of
from recsys_cli.tracking.events import Events, new_key
from recsys_cli.tracking.process import process_tags
from recsys_cli.tracking.store import locate

DATASET = {"name": "d", "digest": "0", "source_type": "local", "source": "{}", "profile": "{}"}


@pytest.fixture
def store(root):
    return locate(None, str(root))


@pytest.fixture
def client(store):
    return MlflowClient(store.uri)


@pytest.fixture
def begin(tmp_path):
    """Events of a new run in a folder of its own, closed at the end."""
    opened = []

    def make(name="run", **changed):
        (tmp_path / name).mkdir(exist_ok=True)
        events = Events(tmp_path / name)
        opened.append(events)
        key = new_key()
        start = {
            "key": key, "name": name, "params": params_of({"rank": 8}), "tags": tags_of({}, key),
            "dataset": DATASET, "parent": None, "alone": False, "experiment": "recsys",
        }  # fmt: skip
        if not events.begun:
            events.add("start", time_ms=1_000, **(start | changed))
        return events

    yield make
    for events in opened:
        events.close()


def fill(events, epochs=3):
    (events.folder / "metrics.json").write_text("{}")
    for epoch in range(1, epochs + 1):
        events.add_metrics({"loss": 1 / epoch, "ndcg": epoch / 10}, epoch, 1_000 + epoch)
    events.keep(events.folder / "metrics.json")
    events.add("finish", time_ms=9_000, status="FINISHED")
    return events


def rows(root):
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        tables = ("metrics", "latest_metrics", "params", "datasets", "inputs")
        return {
            table: sorted(map(str, database.execute(f"select * from {table}")))  # noqa: S608
            for table in tables
        } | {
            "runs": database.execute(
                "select name, status, start_time, end_time from runs"
            ).fetchall()
        }


def test_a_run_is_there_with_all_that_was_told(begin, store, client, root):
    events = fill(begin())
    delivery = Delivery(events, store)
    delivery.advance()
    assert delivery.complete
    assert delivery.started
    assert events.delivered
    run = client.get_run(events.run_id)
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 1_000, 9_000)
    assert run.data.params == {"rank": "8"}
    history = client.get_metric_history(events.run_id, "loss")
    assert [(m.step, m.timestamp, m.value) for m in history] == [
        (epoch, 1_000 + epoch, 1 / epoch) for epoch in (1, 2, 3)
    ]
    assert [file.path for file in client.list_artifacts(events.run_id)] == ["metrics.json"]
    assert len(run.inputs.dataset_inputs) == 1


@pytest.mark.parametrize("known", ["all of it", "its id", "its start", "nothing"])
def test_being_told_again_changes_nothing(begin, store, root, tmp_path, known):
    """Of what this program noted about an earlier telling, more or less may have been lost with its process."""
    events = fill(begin())
    Delivery(events, store).advance()
    before = rows(root)
    events.close()
    notes = {
        "all of it": ("created", "told"),
        "its id": ("created",),
        "its start": (),
        "nothing": (),
    }[known]
    (tmp_path / "again").mkdir()
    shutil.copy(events.folder / "metrics.json", tmp_path / "again")
    again = Events(tmp_path / "again")
    for entry in events.entries[: 1 if known == "its start" else None]:
        facts = {name: fact for name, fact in entry.items() if name not in ("seq", "kind")}
        if entry["kind"] not in ("created", "told") or entry["kind"] in notes:
            again.add(entry["kind"], **facts)
    if known == "its start":
        fill(again)
    Delivery(again, store).advance()
    assert again.run_id == events.run_id
    assert rows(root) == before
    again.close()


def test_a_call_that_fails_is_gone_on_from(begin, store, root, monkeypatch):
    """Each call fails once, half of them after they did their work."""
    whole = fill(begin("whole"))
    Delivery(whole, store).advance()
    before = rows(root)
    failed = set()

    def failing(name, real):
        def call(self, *given, **named):
            if name in failed:
                return real(self, *given, **named)
            failed.add(name)
            if len(failed) % 2:
                real(self, *given, **named)
            raise ConnectionResetError(104, "Connection reset by peer")

        return call

    calls = (
        "get_experiment_by_name", "search_runs", "create_run", "log_batch", "log_inputs", "log_artifact",
        "set_terminated",
    )  # fmt: skip
    for name in calls:
        monkeypatch.setattr(MlflowClient, name, failing(name, getattr(MlflowClient, name)))
    events = fill(begin("broken"))
    delivery = Delivery(events, store)
    for attempt in range(len(calls)):
        assert not events.delivered, attempt
        with pytest.raises(ConnectionResetError):
            delivery.advance()
    delivery.advance()
    assert failed == {*calls}
    assert events.delivered
    after = rows(root)
    assert [len(after[name]) for name in ("metrics", "params", "runs")] == [
        2 * len(before[name]) for name in ("metrics", "params", "runs")
    ]


def test_a_run_that_the_store_has_lost_is_told_anew(begin, store, client):
    events = begin()
    events.add("created", run_id="0" * 32)
    fill(events)
    events.add("told", events=len(events.entries))
    Delivery(events, store).advance()
    assert events.run_id != "0" * 32
    assert len(client.get_metric_history(events.run_id, "loss")) == 3
    assert events.delivered


def test_a_part_waits_for_its_parent_and_is_put_under_it(begin, store, client):
    parent = begin("parent")
    part = fill(begin("part", parent=parent.start["key"]))
    with pytest.raises(TrackingError, match="is not there yet"):
        Delivery(part, store).advance()
    Delivery(fill(parent), store).advance()
    Delivery(part, store).advance()
    assert client.get_run(part.run_id).data.tags["mlflow.parentRunId"] == parent.run_id


def test_a_resumed_run_is_running_again_in_its_new_process(begin, store, client):
    events = begin()
    events.add_metrics({"loss": 1.0}, 1, 1_001)
    events.add("finish", status="KILLED")
    Delivery(events, store).advance()
    part = begin("part", parent=events.run_id)
    Delivery(part, store).advance()
    events.add("resume", process={"recsys.host": "here", "recsys.process": "{}"})
    delivery = Delivery(events, store)
    assert not delivery.started
    delivery.advance()
    assert delivery.started
    run = client.get_run(events.run_id)
    assert run.info.status == "RUNNING"
    assert (run.data.tags["recsys.host"], run.data.tags["recsys.process"]) == ("here", "{}")
    assert client.get_run(part.run_id).info.status == "KILLED"
    events.add("finish", status="FINISHED")
    delivery.advance()
    assert client.get_run(events.run_id).info.status == "FINISHED"


def test_what_was_told_is_not_sent_again(begin, store, monkeypatch):
    events = begin()
    events.add_metrics({"loss": 1.0}, 1, 1_001)
    Delivery(events, store).advance()
    sent = []
    real = MlflowClient.log_batch
    monkeypatch.setattr(
        MlflowClient,
        "log_batch",
        lambda self, run_id, **told: (sent.append(told), real(self, run_id, **told)),
    )
    events.add("resume", process={})
    events.add_metrics({"loss": 0.5}, 2, 1_002)
    Delivery(events, store).advance()
    assert [[metric.step for metric in told["metrics"]] for told in sent] == [[2]]


def test_nothing_new_needs_no_store(begin, store):
    events = fill(begin())
    delivery = Delivery(events, store)
    delivery.advance()
    shutil.rmtree(store.database.parent)
    delivery.advance()


def test_settings_that_mlflow_does_not_take_are_refused(begin, store, client):
    events = begin(params={"bad\nkey*": "1"})
    with pytest.raises(RefusedError, match="Invalid"):
        Delivery(events, store).advance()
    assert client.get_run(events.run_id).info.status == "FAILED"


def test_a_file_that_is_gone_is_named(begin, store):
    events = fill(begin())
    (events.folder / "metrics.json").unlink()
    with pytest.raises(TrackingError, match=r"metrics\.json: the file is to be copied"):
        Delivery(events, store).advance()
    assert not events.delivered


def test_a_database_that_was_replaced_is_not_written_to(begin, store, root):
    events = begin()
    Delivery(events, store).advance()
    shutil.copy(root / "mlflow.db", root / "copy.db")
    (root / "copy.db").rename(root / "mlflow.db")
    events.add_metrics({"loss": 1.0}, 1, 1_001)
    with pytest.raises(TrackingError, match="moved away or replaced"):
        Delivery(events, store).advance()
    (root / "mlflow.db").unlink()
    with pytest.raises(TrackingError, match="moved away or replaced"):
        Delivery(events, store).advance()
    assert not (root / "mlflow.db").exists()


def test_dead_runs_are_closed_and_no_other(begin, store, client):
    gone = {"pid": 2**22 + 1, "start": 1}
    own = process_tags()
    dead = json.dumps(json.loads(own["recsys.process"]) | gone)
    made = {
        "alive": own,
        "dead": own | {"recsys.process": dead},
        "elsewhere": own | {"recsys.process": dead, "recsys.host": "elsewhere"},
        "unknown": {},
        "ended": own | {"recsys.process": dead},
    }
    runs = {name: begin(name, tags=tags) for name, tags in made.items()}
    runs["ended"].add("finish", status="FINISHED")
    for events in runs.values():
        Delivery(events, store).advance()
    experiment = client.get_experiment_by_name("recsys").experiment_id
    closed = close_dead(client, experiment)
    assert closed == [runs["dead"].run_id]
    assert {name: client.get_run(events.run_id).info.status for name, events in runs.items()} == {
        "alive": "RUNNING", "dead": "KILLED", "elsewhere": "RUNNING", "unknown": "RUNNING", "ended": "FINISHED",
    }  # fmt: skip
    assert close_dead(client, experiment) == []


def test_data_that_another_process_notes_at_the_same_moment_is_no_failure(
    begin, store, client, monkeypatch
):
    real, calls = MlflowClient.log_inputs, []

    def beaten(self, *given, **named):
        calls.append(given)
        if len(calls) == 1:
            raise MlflowException("UNIQUE constraint failed: datasets.experiment_id")
        return real(self, *given, **named)

    monkeypatch.setattr(MlflowClient, "log_inputs", beaten)
    events = fill(begin())
    Delivery(events, store).advance()

    assert events.delivered
    assert len(client.get_run(events.run_id).inputs.dataset_inputs) == 1

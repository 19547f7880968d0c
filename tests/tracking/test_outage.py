"""A store that is away, hangs, lies or breaks: training goes on, one line is said, and nothing is lost."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from recsys_cli.errors import ConfigError, TrackingError
from recsys_cli.progress import Silent
from recsys_cli.tracking import mlflow
from recsys_cli.tracking.events import EVENTS
from recsys_cli.tracking.sync import sync
from tests.tracking.servers import FAILURES, die, eventually, left_alone

EPOCHS = 6
DATASET = {"name": "d", "digest": "0" * 64, "source": "demo", "profile": "{}"}


@pytest.fixture
def impatient(monkeypatch):
    """A server that hangs is given up at once."""
    monkeypatch.setattr(mlflow, "PATIENCE_SECONDS", 0.2)


def train(tracker, folder, *, before=lambda epoch: None, **changed):
    """What an experiment says, in short; the tracker, the id of the run, and what was warned."""
    warned = []
    folder.mkdir()
    (folder / "metrics.json").write_text("{}")
    one = tracker(**changed)
    run_id = one.start(
        name="run", params={"rank": 8}, tags={}, dataset=DATASET, folder=folder, warn=warned.append
    )
    for epoch in range(1, EPOCHS + 1):
        before(epoch)
        one.metrics({"loss": 1 / epoch, "ndcg": epoch / 10}, step=epoch)
    one.artifact(folder / "metrics.json")
    one.finish()
    return one, run_id, warned


def expect_all(server, dataset=True):
    """The one run of the server has every number once, and is over."""
    (run,) = server.runs.values()
    told = sorted((key, step, value) for key, step, value, _ in run["metrics"])
    assert told == sorted(
        row for e in range(1, EPOCHS + 1) for row in (("loss", e, 1 / e), ("ndcg", e, e / 10))
    )
    assert run["params"] == {"rank": "8"}
    assert len(run["inputs"]) == (1 if dataset else 0)
    assert run["info"]["status"] == "FINISHED"
    return run


def deliver(folder, uri):
    return sync([str(folder)], root=folder.parent, uri=uri, progress=Silent())


def test_a_server_that_is_well_has_the_run_at_its_end(tracker, server, tmp_path):
    one, run_id, warned = train(tracker, tmp_path / "run", uri=server.uri)
    assert expect_all(server)["info"]["run_id"] == run_id
    assert warned == []
    assert one.location == server.uri.replace("user:CANARY", "***")
    assert (tmp_path / "served" / run_id / "metrics.json").read_text() == "{}"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", FAILURES)
def test_a_server_that_fails_at_the_start(tracker, server, tmp_path, how):
    server.mode = how
    one, run_id, warned = train(tracker, tmp_path / "run", uri=server.uri)
    assert run_id.startswith("local-")
    (line,) = warned
    assert line.startswith("warning: cannot write to the tracking store http://***@127.0.0.1")
    assert line.endswith(f"deliver it later with: recsys sync {tmp_path / 'run'}")
    assert one.location.endswith(f"recsys sync {tmp_path / 'run'}")
    assert "CANARY" not in line + one.location + (tmp_path / "run" / EVENTS).read_text()
    server.mode = "well"
    server.released.set()
    left_alone(tmp_path / "run")
    for _ in range(2):
        assert [told.state for told in deliver(tmp_path / "run", server.uri).runs] == ["delivered"]
        run = expect_all(server)
    assert run["tags"]["recsys.key"] == run_id


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "call", ["runs/create", "runs/log-batch", "runs/log-inputs", "runs/update"]
)
@pytest.mark.parametrize("how", FAILURES)
def test_a_server_that_fails_from_some_call_on(tracker, server, tmp_path, how, call):
    server.fails_at, server.fails_how = call, how
    _, _, warned = train(tracker, tmp_path / "run", uri=server.uri, flush_seconds=3600.0)
    assert call in server.calls or warned
    assert len(warned) == 1
    server.mode, server.fails_at = "well", ""
    server.released.set()
    left_alone(tmp_path / "run")
    deliver(tmp_path / "run", server.uri)
    expect_all(server)


def test_a_server_that_comes_back_while_the_run_goes_on_is_told_all(tracker, server, tmp_path):
    def before(epoch):
        server.mode = "500" if epoch in (2, 3) else "well"
        eventually(lambda: server.calls.count("runs/log-batch") >= epoch)

    one, run_id, warned = train(tracker, tmp_path / "run", uri=server.uri, before=before)
    assert len(warned) == 1
    assert expect_all(server)["info"]["run_id"] == run_id
    assert "pending" not in one.location


def test_no_server_costs_nothing_and_is_said_once_for_all_runs(tracker, tmp_path, capfd, caplog):
    warned = []
    for name in ("a", "b", "c"):
        _, _, said = train(tracker, tmp_path / name, uri="http://user:CANARY@127.0.0.1:9")
        warned += said
    (line,) = warned
    assert ": Connection refused; " in line
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_without_anyone_to_warn_it_is_said_on_standard_error(tracker, capsys):
    one = tracker(uri="http://127.0.0.1:9")
    one.start(name="run", params={}, tags={})
    one.finish()
    assert capsys.readouterr().err.count("warning: cannot write to the tracking store") == 1
    assert "recsys sync --root" in one.location


# ----------------------------------------------------------------------------------------------------- databases


def numbers(root):
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return database.execute("select key, step, value from metrics order by 1, 2").fetchall()


WANTED = sorted(
    row for e in range(1, EPOCHS + 1) for row in (("loss", e, 1 / e), ("ndcg", e, e / 10))
)


@pytest.mark.parametrize("locked_at", [0, 3])
def test_a_locked_database(tracker, root, tmp_path, locked_at, monkeypatch):
    monkeypatch.setattr("recsys_cli.tracking.store.BUSY_SECONDS", 0.2)
    other = sqlite3.connect(root / "mlflow.db", isolation_level=None)

    def before(epoch):
        if epoch == locked_at:
            other.execute("begin exclusive")

    before(0)
    one, _, warned = train(tracker, tmp_path / "run", before=before)
    assert ["database is locked" in line for line in warned] == [True]
    assert "pending" in one.location
    other.execute("rollback")
    other.close()
    left_alone(tmp_path / "run")
    assert deliver(tmp_path / "run", None).runs[0].state == "delivered"
    assert numbers(root) == WANTED


@pytest.mark.parametrize("broken", ["drop table metrics", "drop table alembic_version"])
def test_a_database_that_breaks_meanwhile(tracker, root, tmp_path, migrated, broken):
    def before(epoch):
        if epoch == 3:
            with closing(sqlite3.connect(root / "mlflow.db", isolation_level=None)) as database:
                database.execute(broken)

    one, _, warned = train(tracker, tmp_path / "run", before=before, flush_seconds=3600.0)
    assert ["no such table" in line for line in warned] == [True]
    assert "pending" in one.location
    left_alone(tmp_path / "run")
    shutil.copy(migrated, tmp_path / "new.db")
    (told,) = deliver(tmp_path / "run", f"sqlite:///{tmp_path}/new.db").runs
    assert told.state == "delivered"
    with closing(sqlite3.connect(tmp_path / "new.db")) as database:
        found = database.execute("select key, step, value from metrics order by 1, 2").fetchall()
    assert found == WANTED


def test_a_database_that_is_none_is_refused_before_anything_is_written(tracker, root, tmp_path):
    (root / "mlflow.db").write_text("user,item\n" * 100)
    (tmp_path / "run").mkdir()
    with pytest.raises(TrackingError, match="file is not a database"):
        tracker().start(name="run", params={}, tags={}, folder=tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_deleted_experiment_is_refused_and_leaves_nothing(tracker, server, tmp_path):
    server._experiments_get_by_name = lambda told: (
        200, {"experiment": {"experiment_id": "1", "name": "recsys", "lifecycle_stage": "deleted"}}
    )  # fmt: skip
    (tmp_path / "run").mkdir()
    one = tracker(uri=server.uri)
    for _ in range(2):
        with pytest.raises(ConfigError, match="was deleted"):
            one.start(name="run", params={}, tags={}, folder=tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


# ------------------------------------------------------------------------------------------- parents and processes


def test_parts_begun_while_the_server_was_away_are_put_under_their_parent(
    tracker, server, tmp_path
):
    server.mode = "500"
    parent, parts = tracker(uri=server.uri), [tracker(uri=server.uri) for _ in range(2)]
    (tmp_path / "sweep").mkdir()
    key = parent.start(name="sweep", params={}, tags={}, folder=tmp_path / "sweep")
    for number, part in enumerate(parts):
        (tmp_path / "sweep" / f"{number}").mkdir()
        part.start(
            name="part", params={}, tags={}, folder=tmp_path / "sweep" / f"{number}", parent_id=key
        )
        part.metrics({"loss": number + 1.0})
        part.finish()
    parent.finish()
    for folder in (tmp_path / "sweep").rglob("events.jsonl"):
        left_alone(folder.parent)
    server.mode = "well"
    assert {told.state for told in deliver(tmp_path / "sweep", server.uri).runs} == {"delivered"}
    by_key = {run["tags"]["recsys.key"]: run for run in server.runs.values()}
    parent_id = by_key.pop(key)["info"]["run_id"]
    assert [run["tags"]["mlflow.parentRunId"] for run in by_key.values()] == [parent_id] * 2


def test_a_run_that_was_cut_off_goes_on_as_the_same_one(tracker, server, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    died = tracker(uri=server.uri)
    run_id = died.start(name="run", params={"rank": 8}, tags={}, folder=folder)
    died.metrics({"loss": 1.0, "ndcg": 0.1}, step=1, time_ms=1)
    eventually(lambda: server.calls.count("runs/log-batch") == 2)
    die(died)
    again = tracker(uri=server.uri)
    assert again.start(name="run", params={"rank": 8}, tags={}, folder=folder) == run_id
    for epoch in range(1, EPOCHS + 1):  # all are told again
        again.metrics({"loss": 1 / epoch, "ndcg": epoch / 10}, step=epoch, time_ms=epoch)
    again.finish()
    expect_all(server, dataset=False)

"""What is delivered late is what would have been delivered in time, and only what is over or dead is touched."""

import json
import shutil

import pytest
from mlflow.tracking import MlflowClient

from recsys_cli.errors import ConfigError
from recsys_cli.progress import Silent
from recsys_cli.tracking.events import EVENTS, PENDING, Events
from recsys_cli.tracking.process import process_tags
from recsys_cli.tracking.sync import sync
from tests.tracking.servers import die, left_alone


@pytest.fixture
def told(root):
    """Syncs the folder of runs."""

    def call(*named, uri=None, where=root):
        return sync(named, root=where, uri=uri, progress=Silent())

    return call


@pytest.fixture
def away(tracker, root, server):
    """Records runs while the server is away."""
    server.mode = "500"

    def record(name, *, finish=True, epochs=2, **about):
        if name is not None:
            (root / name).mkdir(parents=True)
        one = tracker(uri=server.uri.replace("user:CANARY@", ""))
        folder = None if name is None else root / name
        key = one.start(name=str(name), params={"rank": 8}, tags={}, folder=folder, **about)
        for epoch in range(1, epochs + 1):
            one.metrics({"loss": 1 / epoch}, step=epoch)
        if finish:
            one.finish()
        else:
            die(one)
        for path in root.rglob(EVENTS):
            left_alone(path.parent)
        return key

    return record


def test_all_that_is_pending_is_delivered_once(away, told, server, root):
    keys = [away("a"), away("b"), away(None)]
    assert [run.state for run in told().runs] == ["pending"] * 3
    assert {run.run_id for run in told().runs} == {*keys}
    server.mode = "well"
    found = told()
    assert [run.state for run in found.runs] == ["delivered"] * 3
    assert {run.run_id for run in found.runs} == {*server.runs}
    assert [[row[:3] for row in run["metrics"]] for run in server.runs.values()] == [
        [("loss", 1, 1.0), ("loss", 2, 0.5)]
    ] * 3
    assert not (root / PENDING).exists()
    assert told().runs == []
    assert [run.state for run in told("a").runs] == ["delivered"]
    assert len(server.runs) == 3


def test_one_that_fails_is_not_asked_for_each_run(away, told, server):
    for name in "abc":
        away(name)
    server.calls.clear()
    found = told()
    assert len(server.calls) == 1
    assert {run.why for run in found.runs} == {
        f"cannot write to {server.uri.replace('user:CANARY@', '')}: too many 500 error responses"
    }


def test_a_dead_run_is_delivered_and_killed_and_may_still_go_on(away, told, server, root, tracker):
    away("dead", finish=False)
    server.mode = "well"
    assert [run.state for run in told().runs] == ["delivered"]
    (run,) = server.runs.values()
    assert (run["info"]["status"], len(run["metrics"])) == ("KILLED", 2)
    assert told().runs == []
    again = tracker(uri=server.uri)
    run_id = again.start(name="dead", params={"rank": 8}, tags={}, folder=root / "dead")
    assert (run["info"]["run_id"], run["info"]["status"]) == (run_id, "RUNNING")
    assert [run.state for run in told().runs] == ["under way"]
    again.metrics({"loss": 0.25}, step=3)
    again.finish()
    assert (run["info"]["status"], len(run["metrics"])) == ("FINISHED", 3)


def test_one_of_another_machine_is_left_alone_until_it_is_over(away, told, server, root):
    away("there", finish=False)
    path = root / "there" / EVENTS
    events = Events(root / "there")
    elsewhere = [dict(entry) for entry in events.entries]
    events.close()
    path.unlink()
    events = Events(root / "there")
    elsewhere[0]["tags"] |= {"recsys.host": "another"}
    for entry in elsewhere:
        events.add(entry.pop("kind"), **{k: v for k, v in entry.items() if k != "seq"})
    events.close()
    server.mode = "well"
    (run,) = told().runs
    assert (run.state, run.why) == (
        "elsewhere", "it was begun on another, where it may be under way"
    )  # fmt: skip
    assert server.runs == {}
    events = Events(root / "there")
    events.add("finish", status="FINISHED")
    events.close()
    assert [run.state for run in told().runs] == ["delivered"]


def test_damage_is_named_and_the_others_are_delivered(away, told, server, root):
    away("bad")
    away("good")
    path = root / "bad" / EVENTS
    path.write_bytes(path.read_bytes().replace(b'"loss": 1.0', b'"loss": 2.0'))
    server.mode = "well"
    states = {run.run: (run.state, run.why) for run in told().runs}
    assert states[str(root / "good")] == ("delivered", "")
    state, why = states[str(root / "bad")]
    assert state == "damaged"
    assert f"{path}:2: the line is damaged" in why
    assert len(server.runs) == 1


def test_parents_come_before_their_parts(away, told, server):
    key = away("z parent")
    away("a part", parent_id=key)
    server.mode = "well"
    assert [run.state for run in told().runs] == ["delivered"] * 2
    parent, part = server.runs.values()
    assert part["tags"]["mlflow.parentRunId"] == parent["info"]["run_id"]


def test_a_part_whose_parent_is_not_there_waits(away, told, server, root):
    key = away("z parent")
    away("a part", parent_id=key)
    server.mode = "well"
    (run,) = told("a part").runs
    assert (run.state, key in run.why) == ("pending", True)
    assert [run.state for run in told().runs] == ["delivered"] * 2


def test_a_password_is_asked_for(tracker, told, server, root):
    server.mode = "500"
    (root / "run").mkdir()
    one = tracker(uri=server.uri)
    one.start(name="run", params={}, tags={}, folder=root / "run")
    one.finish()
    left_alone(root / "run")
    server.mode = "well"
    (run,) = told().runs
    assert (run.state, "give the whole URI with --uri" in run.why) == ("pending", True)
    assert [run.state for run in told(uri=server.uri).runs] == ["delivered"]


def test_a_folder_of_runs_that_was_moved_keeps_its_database(tracker, told, root, tmp_path):
    (root / "run").mkdir()
    one = tracker()
    run_id = one.start(name="run", params={}, tags={}, folder=root / "run")
    one.metrics({"loss": 1.0})
    die(one)
    shutil.move(root, tmp_path / "moved")
    (run,) = told(where=tmp_path / "moved").runs
    assert (run.state, run.run_id) == ("delivered", run_id)
    client = MlflowClient(f"sqlite:///{tmp_path}/moved/mlflow.db")
    assert client.get_run(run_id).info.status == "KILLED"


def test_dead_runs_without_a_folder_are_closed(tracker, told, root):
    (root / "run").mkdir()
    one = tracker()
    own = process_tags()
    dead = json.dumps(json.loads(own["recsys.process"]) | {"pid": 2**22 + 1})
    run_id = one.start(
        name="run",
        params={},
        tags={"recsys.process": dead},
        folder=root / "run",
        parent_id="0" * 32,
    )
    die(one)
    shutil.rmtree(root / "run")
    assert told().closed == [run_id]
    assert told().closed == []


@pytest.mark.parametrize("name", ["", "nothing", "empty"])
def test_what_is_no_tracked_run_is_refused(told, root, name):
    (root / "empty").mkdir()
    with pytest.raises(ConfigError, match="is no tracked run"):
        told(name)

"""`recsys sync` from the typed line: what is printed, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli.tracking import sync
from recsys_cli.tracking.events import EVENTS
from recsys_cli.tracking.sync import Synced, Told

HERE = Told("runs/a", "delivered", "1f")
AWAY = Told("runs/b", "pending", "local-2", "cannot write to http://host: Connection refused")
BROKEN = Told(
    "runs/c", "damaged", why="runs/c/events.jsonl:2: the line is damaged; restore the file"
)
BUSY = Told("runs/d", "under way")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Makes the stores answer so; what they were asked."""
    asked: dict[str, Any] = {}

    def answer(*runs: Told, closed: list[str] | None = None) -> dict[str, Any]:
        def instead(named: list[str], **how: Any) -> Synced:
            asked.update(how, named=named)
            return Synced(list(runs), closed or [])

        monkeypatch.setattr(sync, "sync", instead)
        return asked

    return answer


def test_what_was_delivered_is_listed(recsys, found):
    asked = found(HERE, BUSY, closed=["9e"])
    ended = recsys("sync", "a", "d", "--root=elsewhere", "--uri=http://host")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "run\tstate\tid\twhy",
        "runs/a\tdelivered\t1f\t",
        "runs/d\tunder way\t\t",
        "closed as killed\t9e",
    ]
    assert (asked["named"], asked["root"], asked["uri"]) == (
        ["a", "d"], Path("elsewhere"), "http://host"
    )  # fmt: skip


def test_nothing_is_said_to_be_nothing(recsys, found):
    asked = found()
    ended = recsys("sync")
    assert (ended.code, ended.out) == (0, "nothing is pending in runs\n")
    assert (asked["named"], asked["root"], asked["uri"]) == ([], Path("runs"), None)


def test_one_object_holds_it_all(recsys, found):
    found(HERE, AWAY, closed=["9e"])
    told = json.loads(recsys("sync", "--json").out)
    assert told["closed"] == ["9e"]
    assert told["runs"][1] == {
        "run": "runs/b", "state": "pending", "run_id": "local-2",
        "why": "cannot write to http://host: Connection refused",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "code", "said"),
    [
        ([HERE, AWAY, BROKEN], 6, "1 of 3 runs are still pending: cannot write to http://host"),
        ([HERE, BROKEN], 2, "runs/c/events.jsonl:2: the line is damaged; restore the file"),
    ],
)
def test_what_could_not_be_delivered_is_an_error_after_the_table(recsys, found, runs, code, said):
    found(*runs)
    ended = recsys("sync")
    assert ended.code == code
    assert ended.out.count("\n") == 1 + len(runs)
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_name_that_is_no_run_is_refused(recsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = recsys("sync", "nothing")
    assert ended.code == 2
    assert f"'nothing' is no tracked run: there is no {EVENTS} in it" in ended.err
    assert list(tmp_path.iterdir()) == []

"""`recsys data describe`: the numbers, the split and the best that can be reached, for people and for programs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SMALL = ["demo", "data.events=2000"]
Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RECSYS_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def csv(rows: str) -> list[str]:
    Path("events.csv").write_text("user,item,time\n" + rows)
    return ["csv", "data.path=events.csv"]


def facts(out: str) -> dict[str, str]:
    pairs = [line.split("\t") for line in out.splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def rows(out: str) -> dict[str, list[str]]:
    return {cells[0]: cells[1:] for line in out.splitlines() if len(cells := line.split("\t")) > 2}


def test_people_read_counts_split_and_ladder(recsys: Call) -> None:
    ended = recsys("data", "describe", *SMALL)
    assert ended.code == 0
    told, table = facts(ended.out), rows(ended.out)
    assert told["users"] == "40"
    assert told["items"].startswith("200")
    assert told["events"] == "2,000, no user with an item twice"
    assert told["times"].startswith("2024-01-01T")
    assert told["split"].startswith("global_time(")
    assert told["leaks"] == "nothing of the future"
    assert "caution" in told
    assert table["events a user"][:2] == ["10", "17.5"]
    assert table["training"][1] == "40"
    assert int(table["test"][1]) <= 40
    ladder = [float(table[f"{known}"][0]) for known in LADDER]
    assert ladder == sorted(ladder)
    assert ladder[0] < ladder[-1]


LADDER = (
    "popularity alone",
    "and each user's taste",
    "and the order of events",
    "and the moment: everything",
)


def test_programs_read_the_same(recsys: Call) -> None:
    told = json.loads(recsys("data", "describe", *SMALL, "--json").out)
    assert (told["data"], told["users"], told["events"]) == ("demo", 40, 2_000)
    assert told["settings"]["events"] == 2_000
    assert told["split"]["name"].startswith("global_time(")
    assert len(told["split"]["hash"]) == 64
    assert told["split"]["counts"]["train_events"] < 2_000
    assert list(told["best_reachable"]) == ["none", "taste", "sequence", "time"]
    assert (
        told["best_reachable"]["time"]["ndcg_at_10"] > told["best_reachable"]["none"]["ndcg_at_10"]
    )
    assert told["picture"] is None


def test_the_split_is_that_of_a_run(recsys: Call, tmp_path: Path) -> None:
    quick = ["model=popularity", "tracking=none", f"root={tmp_path}/runs", "device=cpu"]
    run = json.loads(recsys("train", "--json", "data=demo", "data.events=2000", *quick).out)
    told = json.loads(recsys("data", "describe", *SMALL, "--json").out)
    assert told["split"]["hash"] == run["split_hash"]
    assert told["split"]["counts"].items() <= run["counts"].items()
    assert run["metrics"]["test"]["ndcg_at_10"] < told["best_reachable"]["time"]["ndcg_at_10"]


def test_another_split_and_its_settings(recsys: Call) -> None:
    said = recsys("data", "describe", *SMALL, "split.min_events=12", "--split=leave_last_out")
    assert "leave_last_out(users with 12 or more events)" in said.out
    assert "other users' later events" in facts(said.out)["leaks"]
    assert "and the moment: everything" in rows(said.out)


def test_where_the_oracle_cannot_be_asked_it_is_said_why(recsys: Call) -> None:
    ended = recsys("data", "describe", *SMALL, "--split=per_user_ratio")
    assert ended.code == 0
    assert "events later than those that are asked for" in facts(ended.out)["best reachable"]
    assert "and the moment: everything" not in ended.out


def test_other_data_has_no_oracle(recsys: Call) -> None:
    data = csv("1,1,1000000000\n1,2,1000000001\n1,3,1000000002\n2,1,1000000003\n")
    ended = recsys("data", "describe", *data, "--split=leave_last_out")
    assert ended.code == 0
    assert "best reachable" not in ended.out
    assert facts(ended.out)["sittings"].startswith("2 (a gap of more than an hour ends one)")


def test_data_that_its_split_cannot_cut_is_described_all_the_same(recsys: Call) -> None:
    data = csv("1,1,1000000000\n2,2,1000000000\n")  # all at one moment
    ended = recsys("data", "describe", *data)
    assert ended.code == 0
    assert facts(ended.out)["users"] == "2"
    assert "the train part of split global_time" in facts(ended.out)["split"]
    told = json.loads(recsys("data", "describe", *data, "--json").out)
    assert "is empty" in told["split"]["problem"]


@pytest.mark.parametrize("said", [["--split=leave_last_out"], ["split.test_days=3"]])
def test_a_split_that_was_named_must_be_possible(said: list[str], recsys: Call) -> None:
    ended = recsys("data", "describe", *csv("1,1,1000000000\n2,2,1000000000\n"), *said)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "is empty" in ended.err


def test_data_without_times_or_values(recsys: Call) -> None:
    data = csv("1,1,x\n1,2,x\n2,2,x\n2,2,x\n")
    ended = recsys("data", "describe", *data, "data.time_column=null")
    told = facts(ended.out)
    assert told["times"] == "none in this data"
    assert told["values"] == "all 1"
    assert told["events"] == "4, 1 with an item that the user had before"
    assert "needs times" in told["split"]


def test_a_picture_is_drawn_and_told(recsys: Call) -> None:
    ended = recsys("data", "describe", *SMALL, "--picture", "demo.png")
    assert facts(ended.out)["picture"] == "demo.png"
    assert Path("demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["dmo"], "no data called 'dmo'; did you mean 'demo'?"),
        (["csv"], "no value for data.path"),
        (["csv", "data.path=absent.csv"], "absent.csv: does not exist"),
        (
            [*SMALL, "--split=globl_time"],
            "no split called 'globl_time'; did you mean 'global_time'?",
        ),
        (
            [*SMALL, "data.event=5"],
            "no setting called 'data.event' here; did you mean 'data.events'?",
        ),
        ([*SMALL, "data.topics=1"], "data.topics=1"),
        ([*SMALL, "data=demo"], "data is given twice"),
        ([*SMALL, "--picture=demo.jpg"], "--picture demo.jpg does not end in .png"),
        ([*SMALL, "--picture=absent/demo.png"], "absent is no folder"),
        (["imported", "data.path=absent"], "absent: holds no manifest.json"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    said: list[str], words: str, recsys: Call, tmp_path: Path
) -> None:
    ended = recsys("data", "describe", *said)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".png", ".npy", ".jpg")]

"""`recsys recommend`: a list for one person, from the typed line to what is printed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import TrainedRuns


@pytest.fixture(autouse=True)
def in_the_folder(finished: TrainedRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)


def listed(ended: Any) -> list[int]:
    assert ended.code == 0, ended.err
    return [row["item"] for row in json.loads(ended.out)["items"]]


def test_a_user_is_shown_unseen_items_with_scores(recsys: Callable[..., Any]) -> None:
    ended = recsys("recommend", "ease", "--user=3", "-k", "4")
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert lines[0] == ["rank", "item", "score"]
    assert [line[0] for line in lines[1:5]] == ["1", "2", "3", "4"]
    scores = [float(line[2]) for line in lines[1:5]]
    assert scores == sorted(scores, reverse=True)
    assert "events are known and their items left out" in lines[5][1]


def test_a_longer_list_begins_with_the_shorter_one_and_holds_no_seen_item(
    recsys: Callable[..., Any], finished: TrainedRuns
) -> None:
    short, long = (
        listed(recsys("recommend", "ease", "--user=3", f"-k{k}", "--json")) for k in (3, 150)
    )
    assert long[:3] == short
    assert not set(long) & finished.items_of(3)


def test_a_history_is_answered_by_what_goes_with_it(recsys: Callable[..., Any]) -> None:
    first, second = (listed(recsys("recommend", "ease", f"--history={ids}", "--json")) for ids in ("1, 2", "7,8"))  # fmt: skip
    assert first != second
    assert len(first) == len(second) == 10
    assert not set(first) & {1, 2}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["ease"], "say who it is for"),
        (["ease", "--user=1", "--history=1"], "say who it is for"),
        (["ease", "--user=100000"], "no user '100000' in the data; user ids of this data are whole"),
        (["ease", "--user=x"], "no user 'x'"),
        (["ease", "--user="], "no user ''"),
        (["ease", "--history=1,x"], "no item 'x'"),
        (["ease", "--history=,"], "the history is empty"),
        (["ease", "--user=1", "-k0"], "-k 0: a list has 1 to 1000 items"),
        (["ease", "--user=1", "-k-1"], "-k -1: a list has 1 to 1000 items"),
        (["ease", "--user=1", "-k1001"], "-k 1001: a list has 1 to 1000 items"),
        (["ease", "--user=1", "-k999"], "items of the catalogue"),
        (["ease", "--user=1", "-kx"], "Invalid value for '-k'"),
        (["popularity", "--history=1"], "Popularity reads no history"),
        (["eas", "--user=1"], "no run 'eas'"),
    ],
)  # fmt: skip
def test_who_or_what_is_unknown_is_one_line(
    recsys: Callable[..., Any], said: list[str], message: str
) -> None:
    ended = recsys("recommend", "--no-progress", *said)
    assert ended.code == 2
    assert ended.out == ""
    assert message in ended.err.splitlines()[-1]

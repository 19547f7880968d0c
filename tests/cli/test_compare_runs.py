"""`recsys compare-runs` from the typed line to what is printed, on small runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TrainedRuns


@pytest.fixture(autouse=True)
def in_the_folder(finished: TrainedRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)


def test_a_winner_and_a_tie_are_told_in_a_table_and_in_words(recsys: Callable[..., Any]) -> None:
    ended = recsys("compare-runs", "ease", "runs/ease_again", "untrained")
    assert ended.code == 0
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert lines[0][:3] == ["run", "metric", "mean"]
    assert [line[0] for line in lines[1:4]] == ["ease", "ease_again", "untrained"]
    assert {line[1] for line in lines[1:4]} == {"ndcg_at_10"}
    assert lines[4] == ["ease_again", "cannot be told apart from ease: +0.0000 [+0.0000, +0.0000]"]
    assert lines[5][1].startswith("worse than ease: -0.")
    assert lines[6][0] == "note"


def test_metrics_and_reference_can_be_named(recsys: Callable[..., Any]) -> None:
    said = ["--metric", "hit_at_5", "--metric", "recall_at_20", "--reference", "popularity"]
    told = json.loads(recsys("compare-runs", "ease", "popularity", *said, "--json").out)
    assert told["reference"] == "popularity"
    assert [(row["name"], row["metric"]) for row in told["rows"]] == [
        ("popularity", "hit_at_5"),
        ("ease", "hit_at_5"),
        ("popularity", "recall_at_20"),
        ("ease", "recall_at_20"),
    ]
    assert told["rows"][1]["difference"]["mean"] > 0
    assert len(told["split_hash"]) == 64


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["ease"], "a comparison needs two runs"),
        (["ease", "ease"], "is given twice"),
        (["ease", "eas"], "no run 'eas'"),
        (["ease", "other_split"], "answer different questions"),
        (["ease", "popularity", "--metric=ndcg_at_9"], "no value per user of 'ndcg_at_9'"),
        (["ease", "popularity", "--metric=coverage_at_10"], "no value per user of 'coverage_at_10'"),
        (["ease", "popularity", "--reference=other_split"], "not among the runs"),
        (["ease", "popularity", "--root=nowhere"], "no run 'ease'"),
        ([], "Missing argument"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(
    recsys: Callable[..., Any], said: list[str], message: str
) -> None:
    ended = recsys("compare-runs", *said)
    assert ended.code == 2
    assert ended.out == ""
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_unfinished_run_is_said_to_be_one(
    recsys: Callable[..., Any], finished: TrainedRuns, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder / "runs" / "ease", tmp_path / "cut_off")
    (tmp_path / "cut_off" / "metrics.json").unlink()
    ended = recsys("compare-runs", "ease", str(tmp_path / "cut_off"))
    assert ended.code == 2
    assert "is not finished" in ended.err

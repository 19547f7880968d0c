"""`recsys verify`: from the typed line to the verdict and the exit code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli import integrity
from tests.cli.conftest import TrainedRuns


@pytest.fixture(autouse=True)
def in_the_folder(finished: TrainedRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)


@pytest.fixture
def spoilt(finished: TrainedRuns, tmp_path: Path) -> Path:
    """A copy of a run, to be changed."""
    return shutil.copytree(finished.folder / "runs" / "ease", tmp_path / "ease")


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_a_run_that_comes_out_again_says_so(recsys: Callable[..., Any]) -> None:
    ended = recsys("verify", "ease", "--no-progress")
    assert ended.code == 0
    told = rows(ended.out)
    assert told[0] == ["check", "of", "verdict", "detail"]
    assert [row[2] for row in told[1:7]] == ["intact"] * 6
    assert [row[:3] for row in told[7:11]] == [
        ["measured again", "metrics", "equal"],
        ["trained again", "weights", "equal"],
        ["trained again", "history", "equal"],
        ["trained again", "metrics", "equal"],
    ]
    assert ["verdict", "whole, and measured and trained again the same, bit for bit"] in told
    assert any(row[0] == "promise" and row[1].startswith("bit-for-bit: on ") for row in told)
    assert "--no-rerun" in ended.err


def test_without_training_it_says_what_was_done(recsys: Callable[..., Any]) -> None:
    ended = recsys("verify", "ease", "--no-rerun")
    assert ["verdict", "whole, and measured again the same, bit for bit"] in rows(ended.out)
    assert "trained again" not in ended.out


def test_the_same_as_one_object(recsys: Callable[..., Any]) -> None:
    ended = recsys("verify", "ratings", "--no-rerun", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["intact"], told["reproduced"]) == (0, True, True)
    assert told["promise"]["class"] == "bit-for-bit"
    assert {check["verdict"] for check in told["checks"]} == {"intact", "equal"}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_damaged_file_ends_with_code_5(
    recsys: Callable[..., Any], spoilt: Path, as_json: bool
) -> None:
    for name in ("model.safetensors", "per_user.parquet"):
        (spoilt / name).write_bytes((spoilt / name).read_bytes() + b"\0")
    ended = recsys("verify", str(spoilt), *(["--json"] if as_json else []))
    assert ended.code == 5
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"recsys: error: {spoilt}/model.safetensors: it has ")
    assert line.endswith("(and 1 more); restore the file, or train again")
    if as_json:
        assert json.loads(ended.out)["intact"] is False
    else:
        told = rows(ended.out)
        assert [row[1] for row in told if row[2:3] == ["damaged"]] == [
            "model.safetensors", "per_user.parquet"
        ]  # fmt: skip
        assert ["verdict", "damaged: its numbers are not to be trusted"] in told


def change(path: Path, by: float, **device: str) -> None:
    record = json.loads((path / "metrics.json").read_text())
    record["metrics"]["test"]["ndcg_at_10"] += by
    record["device"] |= device
    (path / "metrics.json").write_text(json.dumps(integrity.sealed(record)))


def test_numbers_that_do_not_come_out_again_end_with_code_1(
    recsys: Callable[..., Any], spoilt: Path
) -> None:
    change(spoilt, 1e-9)
    ended = recsys("verify", str(spoilt), "--no-rerun")
    assert ended.code == 1
    verdict = ["verdict", "its files are whole, and its numbers do not come out again"]
    assert verdict in rows(ended.out)
    assert "error" not in ended.err


def test_elsewhere_close_is_enough_and_it_is_said(recsys: Callable[..., Any], spoilt: Path) -> None:
    change(spoilt, 1e-9, threads="9")
    ended = recsys("verify", str(spoilt), "--no-rerun")
    assert ended.code == 0
    assert ["elsewhere", "threads is 9 there and 1 here"] in rows(ended.out)
    assert "close to what it says; bits are not promised here" in ended.out


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["eas"], "did you mean 'ease'?"),
        ([], "Missing argument 'RUN'"),
        (["."], "is not the folder of a run"),
    ],
)
def test_what_cannot_be_verified_is_one_line(
    recsys: Callable[..., Any], said: list[str], message: str
) -> None:
    ended = recsys("verify", *said)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err.splitlines()[-1]


def test_a_run_that_is_under_way_is_left_alone(recsys: Callable[..., Any], spoilt: Path) -> None:
    (spoilt / "running.json").write_text("{}")
    ended = recsys("verify", str(spoilt))
    assert ended.code == 2
    assert (
        f"is not finished; let it end, or go on with it: recsys train --resume={spoilt}"
        in ended.err
    )

"""`recsys evaluate`: a run again, or lists of another program, from the typed line to what is printed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli import config, experiment, integrity, outcome
from recsys_cli.progress import Silent
from tests.cli.conftest import DEMO, TrainedRuns


@pytest.fixture(autouse=True)
def in_the_folder(finished: TrainedRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)


def test_a_run_measured_again_says_that_it_is_the_same(recsys: Callable[..., Any]) -> None:
    ended = recsys("evaluate", "ease", "--no-progress")
    assert ended.code == 0
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert ["metric", "valid", "test"] in lines
    assert ["recorded", "the same metrics, bit for bit"] in lines


def test_the_same_as_one_object(recsys: Callable[..., Any], finished: TrainedRuns) -> None:
    told = json.loads(recsys("evaluate", "ease", "--device=cpu", "--json").out)
    recorded = json.loads((finished.folder / "runs" / "ease" / "metrics.json").read_text())
    assert told["equal"] is True
    assert told["largest_difference"] == 0
    for key in ("metrics", "split_hash", "weights_sha256"):
        assert told[key] == recorded[key]


@pytest.fixture
def trial(tmp_path: Path) -> str:
    """A run that left the test part alone, as those of a search do."""
    settings = config.load([*DEMO, "model=popularity"])
    experiment.run(settings, run_dir=tmp_path / "trial", progress=Silent(), tested=False)
    return str(tmp_path / "trial")


def test_what_a_trial_left_alone_is_not_measured_now(
    recsys: Callable[..., Any], trial: str
) -> None:
    ended = recsys("evaluate", trial, "--no-progress")
    assert ended.code == 0
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert ["metric", "valid"] in lines
    assert ["recorded", "the same metrics, bit for bit"] in lines


@pytest.mark.parametrize(
    "said",
    [("evaluate", "{trial}", "--lists=lists.csv"), ("compare-runs", "popularity", "{trial}")],
    ids=["lists", "compared"],
)
def test_what_needs_the_test_of_a_trial_is_refused(
    recsys: Callable[..., Any], trial: str, said: tuple[str, ...]
) -> None:
    ended = recsys(*(word.format(trial=trial) for word in said))
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert "trial was not measured on its test part" in line
    assert "recsys train" in line


def test_a_difference_is_told(recsys: Callable[..., Any], spoilt: Callable[..., Path]) -> None:
    path = spoilt("ease")
    record = json.loads((path / "metrics.json").read_text())
    record["metrics"]["test"]["ndcg_at_10"] += 0.25
    (path / "metrics.json").write_text(json.dumps(integrity.sealed(record)))
    ended = recsys("evaluate", str(path))
    assert ended.code == 0
    assert "differs by up to 0.25 (in test ndcg_at_10)" in ended.out


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_lists_that_are_written_out_come_back_with_the_same_numbers(
    recsys: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"mine.{kind}"
    assert recsys("evaluate", "ease", "--lists", str(path)).code == 0
    said = ["--recommendations", str(path), "--against", "ease", "--json"]
    told = json.loads(recsys("evaluate", *said).out)
    assert told["metrics"] == told["against"]
    assert told["rows"][1]["name"] == path.name
    assert told["rows"][1]["difference"]["mean"] == 0


def test_lists_are_told_in_a_table_and_in_words(recsys: Callable[..., Any]) -> None:
    lists = "runs/untrained/recommendations.parquet"
    ended = recsys("evaluate", "--recommendations", lists, "--against", "ease")
    assert ended.code == 0
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert lines[0] == ["metric", "lists", "95 % interval", "run"]
    assert any(line[1].startswith("worse than ease: ") for line in lines if len(line) == 2)
    assert any(line[0] == "note" for line in lines)


USAGE = [
    ([], "nothing to evaluate"),
    (["ease", "--against=ease"], "--against goes with --recommendations"),
    (["ease", "--metric=hit_at_5"], "--metric goes with --recommendations"),
    (["--recommendations=x.csv"], "give --against RUN"),
    (["ease", "--recommendations=x.csv", "--against=ease"], "no model is run"),
    (["--recommendations=x.csv", "--against=ease", "--lists=y.csv"], "no model is run"),
    (["--recommendations=x.csv", "--against=ease", "--device=cpu"], "no model is run"),
    (["--recommendations=x.csv", "--against=ease"], "x.csv: does not exist"),
    (["--recommendations=x.csv", "--against=eas"], "no run 'eas'"),
    (["ease", "--lists=y.txt"], "written as .parquet or .csv"),
    (["ratings", "--lists=y.csv"], "it has no lists"),
    (["--recommendations=x.csv", "--against=ratings"], "not by lists"),
    (["ease", "--device=gpu"], "no device called 'gpu'"),
    (["eas"], "did you mean 'ease'?"),
]


@pytest.mark.parametrize(("said", "message"), USAGE)
def test_what_cannot_be_evaluated_is_one_line(
    recsys: Callable[..., Any], said: list[str], message: str
) -> None:
    ended = recsys("evaluate", "--no-progress", *said)
    assert ended.code == 2
    assert ended.out == ""
    assert message in ended.err.splitlines()[-1]


LISTS = {
    "an empty file": ("", ":1: the file is empty"),
    "a header alone": ("user,item,rank\n", ":2: no row"),
    "an unknown user": ("user,item,rank\n0,1,1\nx,1,1\n", ":3: no user 'x'"),
    "an unknown item": ("user,item,score\n0,1000000,1\n", ":2: no item '1000000'"),
    "an item twice": ("user,item,rank\n0,1,1\n0,1,2\n", ":3: user '0' has item '1' more than once"),
    "no rank": ("user,item,rank\n0,1,\n", ":2: rank ''"),
    "a score that is no number": ("user,item,score\n0,1,inf\n", ":2: score 'inf'"),
}


@pytest.mark.parametrize("name", LISTS)
def test_doubtful_lists_are_refused_with_their_line(
    recsys: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    content, message = LISTS[name]
    (tmp_path / "mine.csv").write_text(content)
    said = ["--recommendations", str(tmp_path / "mine.csv"), "--against", "ease"]
    ended = recsys("evaluate", *said)
    assert ended.code == 2
    assert f"mine.csv{message}" in ended.err
    assert ended.out == ""


@pytest.fixture
def spoilt(finished: TrainedRuns, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a run, to be changed."""
    return lambda name: shutil.copytree(finished.folder / "runs" / name, tmp_path / name)


def test_corrupt_weights_end_with_code_5(
    recsys: Callable[..., Any], spoilt: Callable[..., Path]
) -> None:
    path = spoilt("ease")
    weights = bytearray((path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (path / "model.safetensors").write_bytes(weights)
    for command in (["evaluate", str(path)], ["recommend", str(path), "--user", "0"]):
        ended = recsys(*command)
        assert ended.code == 5
        assert "model.safetensors: it was changed: SHA-256" in ended.err
        assert ended.out == ""


def test_settings_that_name_other_code_are_not_run(
    recsys: Callable[..., Any], spoilt: Callable[..., Path]
) -> None:
    path = spoilt("ease")
    text = (path / "config.yaml").read_text()
    evil = text.replace("recsys_cli.models.baselines.ease.EASE", "os.system")
    assert evil != text
    (path / "config.yaml").write_text(evil)
    assert recsys("evaluate", str(path)).code == 5
    record = json.loads((path / "metrics.json").read_text()) | {"files": outcome.files(path)}
    (path / "metrics.json").write_text(json.dumps(integrity.sealed(record)))
    ended = recsys("evaluate", str(path))
    assert ended.code == 2, "also where the record was sealed anew"
    assert "'os.system' is none of ours" in ended.err


def test_a_run_of_other_events_is_not_measured(
    recsys: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    events = tmp_path / "events.csv"
    lines = [f"{u},{(u * 7 + i * 3) % 20},{86_400 * i}\n" for u in range(30) for i in range(5)]
    events.write_text("user,item,time\n" + "".join(lines))
    run = str(tmp_path / "run")
    said = [
        "--model=ease",
        "--data=csv",
        f"data.path={events}",
        "data.time_unit=s",
        "--tracking=none",
    ]
    assert recsys("train", *said, "split=leave_last_out", f"--run-dir={run}").code == 0
    events.write_text(events.read_text() + "1,5,999999\n")
    for command in (["evaluate", run], ["recommend", run, "--user=1"]):
        ended = recsys(*command, "--no-progress")
        assert ended.code == 2
        assert ended.out == ""
        assert ended.err.startswith(
            "recsys: error: the data or its split is not what the run run had"
        )
        assert ended.err.count("\n") == 1

"""`recsys train` from the typed line to the printed table, nothing replaced."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.conftest import REPOSITORY

SMALL = ["--model=mf", "--data=demo", "data.events=2000", "model.rank=4"]
SHORT = [*SMALL, "trainer.epochs=2"]


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, where the program would write."""
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_ends_in_one_json_object(recsys: Callable[..., Any], empty_folder: Path) -> None:
    ended = recsys("train", *SHORT, "--tracking=none", "--run-dir=here", "--json", "--no-progress")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert told == json.loads((empty_folder / "here" / "metrics.json").read_text())
    assert told["run_dir"] == "here"
    assert set(told["metrics"]) == {"valid", "test"}
    assert 0 <= told["metrics"]["test"]["ndcg_at_10"] <= 1
    assert [len(told[name]) for name in ("config_hash", "split_hash", "weights_sha256")] == [64] * 3


def test_a_run_ends_in_a_table(recsys: Callable[..., Any]) -> None:
    ended = recsys("train", *SHORT, "--tracking=none", "--run-dir=here", "--no-progress")
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert ["metric", "valid", "test"] in lines
    assert {"ndcg_at_10", "data", "test", "split", "leaks", "seconds"} <= {
        line[0] for line in lines
    }
    assert ["files", "here"] in lines


def test_the_same_seed_gives_the_same_weights(recsys: Callable[..., Any]) -> None:
    def weights(seed: int, folder: str) -> str:
        said = [*SHORT, "--tracking=none", f"--seed={seed}", f"--run-dir={folder}", "--json"]
        return str(json.loads(recsys("train", *said).out)["weights_sha256"])

    assert weights(1, "a") == weights(1, "b") != weights(2, "c")


def test_a_dry_run_writes_nothing(recsys: Callable[..., Any], empty_folder: Path) -> None:
    ended = recsys("train", *SHORT, "--run-dir=here", "--dry-run")
    assert "rank: 4" in ended.out
    assert list(empty_folder.iterdir()) == []


@pytest.mark.slow
def test_a_run_is_logged_and_says_how_to_open_it(
    spawn: Callable[..., Any], empty_folder: Path
) -> None:
    ended = spawn("train", *SHORT, cwd=empty_folder)
    assert ended.code == 0
    facts = dict(line.split("\t")[:2] for line in ended.out.splitlines())
    assert "mlflow.db" in facts["logged at"]
    assert facts["open with"].startswith("recsys ui")
    assert (empty_folder / "runs" / "mlflow.db").is_file()


BAD = [
    ("--model=mff", "no model called 'mff'; did you mean 'mf'?"),
    ("--model=", "no model called ''"),
    ("--data=dmo", "no data called 'dmo'; did you mean 'demo'?"),
    ("--split=global", "no split called 'global'; did you mean 'global_time'?"),
    ("--trainer=adm", "no trainer called 'adm'; did you mean 'adam'?"),
    ("--device=cudaa", "no device called 'cudaa'; did you mean 'cuda'?"),
    ("--tracking=mlfow", "no tracking called 'mlfow'; did you mean 'mlflow'?"),
    ("model=../../evil", "no model called"),
    ("--model=mf model=deep", "model is given twice"),
    ("model=mf model=deep", "model is given twice"),
    ("--model=mf,deep", "holds several values"),
    ("model.rnk=3", "did you mean 'model.rank'?"),
    ("rank=3", "did you mean 'model.rank'?"),
    ("+model.rnk=3", "model.rnk"),
    ("model.rank=abc", "model.rank='abc'"),
    ("model.rank=-1", "model.rank=-1"),
    ("model.rank=1.5", "model.rank=1.5"),
    ("model.rank=true", "model.rank=True"),
    ("model.rank=null", "model.rank=None"),
    ("model.rank=1,2", "holds several values"),
    ("~model.rank", "model.rank"),
    ("trainer.lr=nan", "trainer.lr=nan"),
    ("trainer.lr=1e400", "trainer.lr=inf"),
    ("trainer.lr=0", "trainer.lr=0"),
    ("model.loss=bprr", "model.loss='bprr'"),
    ("data.events=10", "data.events=10"),
    ("data.events=many", "data.events='many'"),
    ("device.name=cudaa", "cudaa"),
    ("device.threads=0", "device.threads=0"),
    ("--seed=-1", "seed=-1"),
    ("seed=1.5", "seed=1.5"),
    ("seed=x", "seed='x'"),
    ("nonsense", "'nonsense' is neither an option nor key=value"),
    ("model.rank=[1", "model.rank=[1"),
    ("hydra.run.dir=x", "Hydra's own settings"),
    ("+x._target_=os.system", "leading underscore"),
    ("model._target_=os.system", "leading underscore"),
    ("trainer.lr=${oc.env:HOME}", "resolver"),
    ("--allow-package=../x", "not the name of a Python package"),
    ("--allow-mismatch", "--allow-mismatch goes with --resume"),
]


def refused(recsys: Callable[..., Any], folder: Path, message: str, *arguments: str) -> None:
    before = sorted(folder.rglob("*"))
    ended = recsys("train", *arguments)
    assert ended.code == 2, ended.out
    assert ended.out == ""
    assert ended.err.startswith("recsys: error: ")
    assert ended.err.count("\n") == 1, ended.err
    assert message in ended.err
    assert sorted(folder.rglob("*")) == before, "something was written"


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[arguments for arguments, _ in BAD])
def test_a_bad_setting_is_refused_in_one_line(
    recsys: Callable[..., Any], empty_folder: Path, arguments: str, message: str
) -> None:
    rest = [] if "--data" in arguments else ["--data=demo"]
    refused(recsys, empty_folder, message, *arguments.split(), *rest)


HEAD = b"user,item,time\n"
BAD_FILES = {
    "empty": (b"", "bad.csv:1:1: the file is empty"),
    "header only": (HEAD, "bad.csv:2:1: no event"),
    "missing column": (b"u,item,time\n1,2,1700000000\n", "bad.csv:1:1: no column 'user'"),
    "short row": (HEAD + b"1,2,1700000000\n4,5\n", "bad.csv:3:"),
    "long row": (HEAD + b"1,2,1700000000,4\n", "bad.csv:2:4: has 4 fields"),
    "empty id": (HEAD + b",2,1700000000\n", "bad.csv:2:1:"),
    "text for a time": (HEAD + b"1,2,noon\n", "bad.csv:2:3: time 'noon'"),
    "not UTF-8": (HEAD + b"1,2,\xff\n", "bad.csv:2:3: byte 0xff"),
    "one event": (HEAD + b"1,2,1700000000\n", "all 1 events are of one user"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_with_the_place(
    recsys: Callable[..., Any], empty_folder: Path, content: bytes, message: str
) -> None:
    (empty_folder / "bad.csv").write_bytes(content)
    refused(recsys, empty_folder, message, "--data=csv", "data.path=bad.csv")


@pytest.mark.parametrize(
    ("path", "message"), [("absent.csv", "absent.csv: does not exist"), (".", "is a folder")]
)
def test_what_is_no_file_is_refused(
    recsys: Callable[..., Any], empty_folder: Path, path: str, message: str
) -> None:
    refused(recsys, empty_folder, message, "--data=csv", f"data.path={path}")


def test_a_file_must_be_named(recsys: Callable[..., Any], empty_folder: Path) -> None:
    refused(recsys, empty_folder, "no value for data.path", "--data=csv")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("said", ["--device=cuda", "device.name=cuda", "device.name=cuda:7"])
def test_a_device_that_is_not_there_is_refused(
    recsys: Callable[..., Any], empty_folder: Path, said: str
) -> None:
    refused(recsys, empty_folder, "cuda", "--data=demo", "data.events=2000", said)


def test_a_used_run_folder_is_refused(recsys: Callable[..., Any], empty_folder: Path) -> None:
    (empty_folder / "used").mkdir()
    (empty_folder / "used" / "something").touch()
    refused(recsys, empty_folder, "used is not an empty folder", "--data=demo", "--run-dir=used")


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_can_be_stopped(empty_folder: Path, sent: signal.Signals, code: int) -> None:
    long = [*SMALL, "trainer.epochs=100000", "trainer.patience=100000", "--tracking=none"]
    run = subprocess.Popen(
        [sys.executable, "-m", "recsys_cli", "train", *long, "--run-dir=here"],
        cwd=empty_folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    history = empty_folder / "here" / "history.jsonl"
    while not (history.exists() and history.stat().st_size):
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.1)
    run.send_signal(sent)
    out, err = run.communicate(timeout=30)
    assert run.returncode == code
    assert out == ""
    assert err.splitlines()[-1] == "recsys: interrupted"
    assert "Traceback" not in err


DAY = 86_400
EVENTS = {  # name: lines of user, item and seconds; what is said; what the one line names, empty where it is trained on
    "one event a user": ([(u, u % 7, u) for u in range(50)], [], "the test part of split leave_last_out"),
    "one moment": (
        [(u, i, DAY) for u in range(6) for i in range(6)], ["split=global_time"], "the train part of split global_time"
    ),
    "a test after all events": (
        [(u, i, DAY * i) for u in range(6) for i in range(6)],
        ["split=global_date", "split.valid_from=2200-01-01", "split.test_from=2201-01-01"],
        "the test part of split global_date",
    ),
    "one pair again and again": ([(u, 1, u) for u in range(9)], [], "all 9 events are of one item"),
    "duplicates that are refused": (
        [(u, i, k) for k in range(3) for u in range(2) for i in range(2)],
        ["data.duplicates=error"],
        "events.csv:6:1: user 0 has item 0 more than once",
    ),
    "fewer items than the list is long": ([(u, i, DAY * i) for u in range(30) for i in range(5)], [], ""),
    "duplicates that stay": ([(u, i, DAY * k) for k in range(2) for u in range(9) for i in range(4)], [], ""),
    "an item that training never saw": (
        [(u, i, DAY * i) for u in range(30) for i in (0, 1, 2, 100 + u)], [], ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_a_whole_data_set_that_is_odd_is_trained_on_or_refused_in_one_line(
    name: str, recsys: Callable[..., Any], empty_folder: Path
) -> None:
    lines, said, words = EVENTS[name]
    text = "".join(f"{user},{item},{seconds}\n" for user, item, seconds in lines)
    Path("events.csv").write_text("user,item,time\n" + text)
    given = ["--model=popularity", "--data=csv", "data.path=events.csv", "data.time_unit=s"]
    usual = [] if any(text.startswith("split=") for text in said) else ["split=leave_last_out"]
    ended = recsys("train", *given, *usual, *said, "--tracking=none", "--json", "--no-progress")
    if not words:
        assert ended.code == 0
        assert 0 <= json.loads(ended.out)["metrics"]["test"]["ndcg_at_10"] <= 1
        return
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("recsys: error: ")
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert [path.name for path in empty_folder.iterdir()] == ["events.csv"]

"""`recsys train --resume`: killed or stopped at any moment and started again, it ends as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recsys_cli.tracking.under_way import CHECKPOINT, LOCK
from tests.moments import module_with

REPOSITORY = Path(__file__).resolve().parent.parent
QUIET = ["--no-progress", "--json"]
SMALL = [
    *QUIET, "--data=demo", "data.events=3000", "device=cpu", "device.threads=1", "trainer.patience=100",
]  # fmt: skip
OFTEN = ["trainer.checkpoint_seconds=0", "trainer.checkpoint_every_steps=3"]
SAID = {
    "mf": ["--model=mf", "model.rank=8", "trainer.batch_size=256"],
    "deep": ["--model=deep", "model.dim=8", "trainer.batch_size=256"],
    "seq": ["--model=seq", "model.dim=8", "model.hidden=8", "model.dropout=0.3", "trainer.batch_size=256"],
}  # fmt: skip
FILES = {
    "config.yaml", "history.jsonl", "metrics.json", "model.safetensors", "per_user.parquet", "recommendations.parquet",
}  # fmt: skip


def start(folder: Path, *said: str, moment: str = "") -> subprocess.Popen[str]:
    """A training, in which something happens at a moment."""
    return subprocess.Popen(
        [*module_with("recsys_cli", moment), "train", *said],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "RECSYS_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    return dict(json.loads(out))


def result(told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """All that must not depend on what happened on the way."""
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    numbers = [
        {
            key: value
            for key, value in line.items()
            if key not in {"time_ms", "epoch_seconds", "crc32"}
        }
        for line in lines
    ]
    kept = {key: value for key, value in told.items() if key not in {"run_id", "run_dir", "timings", "logged_at", "how_to_open", "files", "seal"}}  # fmt: skip
    return kept | {
        "history": numbers,
        "files": {path.name for path in folder.iterdir()},
        "settings": (folder / "config.yaml").read_bytes(),
        "weights": (folder / "model.safetensors").read_bytes(),
        "per user": (folder / "per_user.parquet").read_bytes(),
        "lists": (folder / "recommendations.parquet").read_bytes(),
    }


def often(model: str, *, epochs: int) -> list[str]:
    """A run that saves every few steps."""
    return [*SMALL, *OFTEN, "--tracking=none", *SAID[model], f"trainer.epochs={epochs}"]


def saves(folder: Path) -> int:
    """The number of the newest checkpoint, 0 = none."""
    numbers = [path.stem for path in (folder / CHECKPOINT).glob("*.json")]
    return max((int(number) for number in numbers), default=0)


def end_of(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and what was said."""
    out, err = run.communicate(timeout=300)
    return run.returncode, out, err


def at_epoch(number: int, sent: int) -> str:
    """The moment at which the n-th epoch of a process is about to be on disk, and the signal that it then gets."""
    return f"before('fsync', 'history.jsonl', signalled({int(sent)}), nth={number})"


def check_kills(folder: Path, said: list[str], chance: random.Random, *, kills: int) -> None:
    """A run that is killed so many times, each time at some write to the disk, ends as one that is not."""
    whole = result(ended(start(folder, *said, "--run-dir=whole")), folder / "whole")
    arguments = [*said, "--run-dir=broken", "--resume=auto"]
    for _ in range(kills):
        moment = f"before('fsync', '', die, nth={chance.randrange(5, 45)})"
        code, _, err = end_of(start(folder, *arguments, moment=moment))
        assert code == -signal.SIGKILL, err
    assert saves(folder / "broken") > 0
    broken = result(ended(start(folder, *arguments)), folder / "broken")
    assert broken == whole
    assert broken["files"] == FILES


def test_a_run_that_is_killed_ends_as_one_that_is_not(tmp_path):
    check_kills(tmp_path, often("seq", epochs=6), random.Random(1), kills=3)


RARELY = [*SMALL, "--tracking=none", *SAID["mf"], "trainer.epochs=60"]  # saved at its end only


@pytest.fixture(scope="module")
def not_stopped(tmp_path_factory) -> dict[str, Any]:
    """What comes of a run that nothing happens to."""
    folder = tmp_path_factory.mktemp("not stopped")
    return result(ended(start(folder, *RARELY, "--run-dir=whole")), folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_says_how_to_go_on_and_does(tmp_path, not_stopped, sent, code):
    """It would not have saved before its end, and goes on with its own settings."""
    status, out, err = end_of(start(tmp_path, *RARELY, "--run-dir=run", moment=at_epoch(2, sent)))
    assert (status, out) == (code, ""), err
    assert err.splitlines()[-2:] == [
        "go on with: recsys train --resume=run", "recsys: interrupted"
    ]  # fmt: skip
    assert saves(tmp_path / "run") == 1
    assert not (tmp_path / "run" / LOCK).exists()
    broken = result(ended(start(tmp_path, *QUIET, "--resume=run")), tmp_path / "run")
    assert broken == not_stopped


def tracked(folder: Path) -> list[Any]:
    from recsys_cli.tracking.opening import open_store
    from recsys_cli.tracking.store import locate

    client = open_store(locate(None, str(folder / "runs")))
    experiments = [found.experiment_id for found in client.search_experiments()]
    return [
        (
            run.info.status,
            {key: [point.step for point in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics},
        )
        for run in client.search_runs(experiments)
    ]  # fmt: skip


@pytest.mark.slow
def test_one_tracked_run_has_every_epoch_once(tmp_path):
    said = [*SMALL, *OFTEN, "--tracking=mlflow", *SAID["mf"], "trainer.epochs=60", "tracking.flush_seconds=0"]  # fmt: skip
    arguments = [*said, "--run-dir=run", "--resume=auto"]
    for epochs, sent, then, left in [
        (2, signal.SIGTERM, 128 + signal.SIGTERM, "KILLED"),
        (8, signal.SIGKILL, -signal.SIGKILL, "RUNNING"),
    ]:
        code, _, err = end_of(start(tmp_path, *arguments, moment=at_epoch(epochs, sent)))
        assert code == then, err
        ((status, _),) = tracked(tmp_path)
        assert status == left
    ended(start(tmp_path, *arguments))
    ((status, points),) = tracked(tmp_path)
    assert status == "FINISHED"
    for key in ("train_loss", "epoch_seconds", "valid_ndcg_at_10"):
        steps = points.pop(key)
        assert steps[:60] == list(range(1, 61))
        assert len(steps) == (61 if key.startswith("valid_") else 60)
    assert points["test_ndcg_at_10"] == [60]

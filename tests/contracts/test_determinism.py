"""The same settings give the same bits, for every model; another number of threads gives the same numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from recsys_cli import config, experiment
from recsys_cli.outcome import Outcome
from recsys_cli.progress import Silent
from recsys_cli.promises import TOLERANCE
from tests.contracts.fits import MODELS, target

DEMO = ["data=demo", "data.events=2500"]
RATED = ["data=csv", "data.value_column=rating", "data.time_unit=s", "split=leave_last_out"]
SHORT = {
    "mf": ["trainer.epochs=2"],
    "deep": ["trainer.epochs=2"],
    "esasrec": ["trainer.epochs=1", "model.dim=8", "model.history_length=20"],
    "gru4rec": ["trainer.epochs=1", "model.dim=8"],
    "crnn": ["trainer.epochs=1", "model.dim=8", "model.hidden=8"],
    "hstu": ["trainer.epochs=1", "model.dim=8", "model.history_length=20"],
    "sasrec": ["trainer.epochs=1", "model.dim=8", "model.history_length=20"],
    "seq": ["trainer.epochs=1"],
    "slim": ["model.tolerance=0.01"],
    "svd": ["model.epochs=2"],
}
RESULTS = ("config_hash", "split_hash", "weights_sha256", "metrics", "counts", "promise")
FILES = ("model.safetensors", "per_user.parquet", "recommendations.parquet")


def settings(name: str, folder: Path) -> list[str]:
    """Small data of the kind that the model learns from, and how it is judged."""
    if ".ratings." not in target(name).__module__:
        return DEMO
    chance = np.random.default_rng(0)
    rows = zip(*(chance.integers(high, size=1500) for high in (60, 40, 5, 10**6)), strict=True)
    events = {
        (user, item): f"{user},{item},{rating + 1},{time}" for user, item, rating, time in rows
    }
    path = folder / "ratings.csv"
    path.write_text("\n".join(["user,item,rating,time", *events.values()]) + "\n")
    return [*RATED, f"data.path={path}", "evaluation=ratings"]


def runs(said: list[str], folder: Path) -> Outcome:
    """Run an experiment twice: the outcome of both, which is the same."""
    first, second = (
        experiment.run(config.load(said), run_dir=folder / f"{n}", progress=Silent())
        for n in range(2)
    )
    assert results(first) == results(second)
    assert [first.files[file] for file in FILES] == [second.files[file] for file in FILES]
    assert first.promise["class"] == "bit-for-bit"
    return first


def results(outcome: Outcome) -> str:
    """What `metrics.json` says of the numbers, as it is written."""
    told = json.loads((outcome.run_dir / "metrics.json").read_text())
    return json.dumps({key: told[key] for key in RESULTS})


@pytest.mark.parametrize("name", MODELS)
def test_a_repeat_gives_the_same_bits_and_other_threads_the_same_numbers(name, tmp_path):
    said = [*settings(name, tmp_path), f"model={name}", "tracking=none", "device=cpu"]
    said += SHORT.get(name, [])
    one, two = (
        runs([*said, f"device.threads={threads}"], tmp_path / f"{threads}") for threads in (1, 2)
    )
    assert one.promise["why"] != two.promise["why"], "threads are part of the promise"
    primary = "rmse" if "evaluation=ratings" in said else "ndcg_at_10"
    for part in ("valid", "test"):
        assert one.metrics[part][primary] > 0
        assert abs(one.metrics[part][primary] - two.metrics[part][primary]) <= TOLERANCE

"""The work of `scripts/bench` by this program."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import recsys_nets
import shared
import torch
from recsys_nets import CPU, accuracy

from recsys_cli.allocator import keep_freed_memory
from recsys_cli.data.batches import PairBatches
from recsys_cli.data.delimited import load_csv
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.movielens import ml_1m
from recsys_cli.data.split import Split
from recsys_cli.data.user_splits import per_user_ratio
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.baselines.ials import IALS
from recsys_cli.models.first_try.mf import MF
from recsys_cli.progress import Silent
from recsys_cli.seeds import isolated
from recsys_cli.training.loop import GradientTrainer

VERSION = version("recsys-cli")
EPOCHS = {"mf-epoch": 6, "mf-epoch-20m": 2}
GOAL = 0.24
QUALITY = {"lr": 0.1, "l2": 0.005, "epochs": 40}


def make_mf(n_users: int, n_items: int, l2: float = 0.002) -> MF:
    """BPR without biases, as the peers have it."""
    with isolated(0, "init"):
        return MF(
            n_users=n_users,
            n_items=n_items,
            rank=64,
            biases=False,
            loss="bpr",
            negatives=1,
            l2=l2,
            init_sd=0.1,
        )


class _Enough(Exception):  # noqa: N818 - not an error
    """The goal is reached."""


def fit(
    model: MF, events, epochs: int, *, variant: str = "", lr: float = 0.1, validate=lambda: 0.0
) -> None:
    """Train with validation by a function of ours."""
    GradientTrainer(
        epochs=epochs, batch_size=None, validate_every=1, patience=epochs, checkpoint_seconds=86_400,
        checkpoint_every_steps=None, seed=0, lr=0.05 if variant.endswith("sgd") else lr,
        engine="torch" if variant.startswith("torch") else "kernel",
        optimiser="sgd" if variant.endswith("sgd") else "rowwise_adagrad",
    ).fit(
        model, events, device=CPU, primary="it", validate=lambda: {"it": validate()},
        report=lambda epoch, numbers: None, progress=Silent(),
    )  # fmt: skip


def mf_epoch(row: str, variant: str, data: str) -> None:
    """Seconds an epoch, all in: order, negatives and steps."""
    if row == "mf-epoch":
        arrays = shared.load(data)
        events = from_columns(users=arrays["train_users"], items=arrays["train_items"])
    else:
        users, items, _, _ = shared.drawn()
        events = from_columns(users=users, items=items)

    def train(epochs: int, some: Interactions = events) -> None:
        fit(make_mf(events.n_users, events.n_items), some, epochs, variant=variant)

    train(1, events.take(np.arange(1000)))  # load the kernels
    cpu, wall = shared.of_an_epoch(train, EPOCHS[row])
    shared.tell(VERSION, cpu, wall, note="row-wise Adagrad, a step an event")


def ials(data: str) -> None:
    """Seconds an iteration, over users and items."""
    arrays = shared.load(data)
    events = from_columns(users=arrays["train_users"], items=arrays["train_items"])

    def train(epochs: int) -> None:
        with isolated(0, "init"):
            model = IALS(
                n_items=events.n_items, rank=64, unobserved_weight=0.1, l2=0.003, frequency_power=1.0,
                epochs=epochs, init_sd=0.1, solver="cg",
            )  # fmt: skip
        model.load_kernel()
        model.fit(events)

    train(1)
    cpu, wall = shared.of_an_epoch(train, 5)
    shared.tell(VERSION, cpu, wall)


def quality(data: str) -> None:
    """CPU seconds of training until the test's NDCG@10 is there; its measurement is not counted."""
    arrays = shared.load(data)
    n_users = 1 + max(int(arrays[f"{part}_users"].max()) for part in ("train", "valid", "test"))
    n_items = 1 + max(int(arrays[f"{part}_items"].max()) for part in ("train", "valid", "test"))
    everything = [
        np.concatenate([arrays[f"{p}_{c}"] for p in ("train", "valid", "test")])
        for c in ("users", "items")
    ]
    whole = from_columns(users=everything[0], items=everything[1])
    events = whole.take(whole.rows < len(arrays["train_users"]))
    model, measuring, training = (
        make_mf(n_users, n_items, QUALITY["l2"]),
        shared.Clock(),
        shared.Clock(),
    )
    curve = []

    def validate() -> float:
        with measuring.running():
            found = shared.ndcg(model.users.detach().numpy(), model.items.detach().numpy(), arrays)
        curve.append(round(found, 4))
        if found >= GOAL:
            raise _Enough
        return found

    fit(make_mf(n_users, n_items), events.take(np.arange(1000)), 1)
    with training.running(), suppress(_Enough):
        fit(model, events, QUALITY["epochs"], lr=QUALITY["lr"], validate=validate)
    cpu, wall = training.cpu - measuring.cpu, training.wall - measuring.wall
    shared.tell(VERSION, cpu, wall, ndcg_at_10=curve[-1], epochs=len(curve), curve=curve)


def movielens(source: str) -> Interactions:
    """MovieLens-1M as it is parsed or kept."""
    return ml_1m(source=f"{source}/ml-1m", min_rating=None, progress=Silent())


def drawn_csv(data: str) -> Interactions:
    """As many events as MovieLens-20M trains on, from a csv or as they are kept."""
    return load_csv(
        path=f"{data}/ml-20m-drawn.csv", delimiter=",", user_column="user", item_column="item", time_column="time",
        time_unit="s", value_column=None, value_low=None, value_high=None, id_type="auto", duplicates="keep",
        progress=Silent(),
    )  # fmt: skip


def by_chance(events: Interactions) -> Split:
    """The parts, 80/10/10 of each user."""
    return per_user_ratio(
        interactions=events, seed=0, valid_ratio=0.1, test_ratio=0.1, chronological=False
    )


def data_alone(variant: str, read: Callable[[], Interactions]) -> None:
    """File to batches, all imports done; parsed anew, or as it was kept."""
    model, loading, clock = make_mf(1, 1), shared.Clock(), shared.Clock()
    if variant == "cached":
        read()
    with clock.running():
        with loading.running():
            events = read()
        train = by_chance(events).train
        PairBatches(train, model, batch_size=2048, seed=0, device=CPU.torch)
    shared.tell(VERSION, clock.cpu, clock.wall, load_wall_seconds=loading.wall)


def evaluation(source: str) -> None:
    """The ranking of all users of the test."""
    import numba  # noqa: F401  # a run that trains `mf` has loaded it before it evaluates

    split, protocol = (
        by_chance(movielens(source)),
        accuracy("ndcg", "recall", "precision", "hit", "mrr"),
    )
    model = make_mf(split.n_users, split.n_items)
    cpu, wall = shared.median(lambda: evaluate(model, split.test, protocol, device=CPU.torch))
    shared.tell(VERSION, cpu, wall)


def command(name: str, source: str) -> None:
    """The whole command, in this process."""
    from recsys_cli.cli import main

    clock = shared.Clock()
    sys.argv = [
        "recsys", "train", "--json", "--model=mf", f"--data={name}", "--split=per_user_ratio", "model.loss=bpr",
        "model.negatives=1", "model.biases=false", "model.l2=0.002", "trainer.epochs=10", "trainer.validate_every=10",
        "tracking=none", "device=cpu", "device.threads=1", "evaluation.cutoffs=[10]", f"data.source={source}/{name}",
    ]  # fmt: skip
    said = io.StringIO()
    with clock.running(), redirect_stdout(said):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
    found = json.loads(said.getvalue())["metrics"]["test"]["ndcg_at_10"]
    shared.tell(VERSION, clock.cpu, clock.wall, ndcg_at_10=found)


def main(row: str, variant: str, data: str, source: str) -> None:
    """Do one row."""
    if row.startswith("mf-epoch"):
        mf_epoch(row, variant, data)
    elif row == "ials-iteration":
        ials(data)
    elif row == "mf-quality":
        quality(data)
    elif row == "mf-evaluation":
        evaluation(source)
    elif row == "data":
        data_alone(variant, lambda: movielens(source))
    elif row == "draw-20m":
        shared.write_20m(Path(data))
    elif row == "data-20m":
        data_alone(variant, lambda: drawn_csv(data))
    elif row in recsys_nets.ROWS:
        cpu, wall, more = recsys_nets.ROWS[row](variant, Path(source))
        shared.tell(VERSION, cpu, wall, **more)
    else:
        command("ml-100k" if row.endswith("100k") else "ml-1m", source)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    main(*sys.argv[1:])

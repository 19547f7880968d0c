"""The work of `scripts/bench` by this program."""

import io
import json
import sys
from contextlib import redirect_stdout, suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import shared
import torch

from recsys_cli.allocator import keep_freed_memory
from recsys_cli.data.interactions import from_columns
from recsys_cli.devices import Device
from recsys_cli.models.baselines.ials import IALS
from recsys_cli.models.first_try.mf import MF
from recsys_cli.progress import Silent
from recsys_cli.seeds import isolated
from recsys_cli.training.loop import GradientTrainer

CPU = Device("cpu", 1)
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


def fit(model: MF, events, epochs: int, lr: float = 0.1, validate=lambda: 0.0) -> None:
    """Train with validation by a function of ours."""
    GradientTrainer(
        epochs=epochs, batch_size=None, engine="kernel", optimiser="rowwise_adagrad", lr=lr, validate_every=1,
        patience=epochs, checkpoint_seconds=86_400, checkpoint_every_steps=None, seed=0,
    ).fit(
        model, events, device=CPU, primary="it", validate=lambda: {"it": validate()},
        report=lambda epoch, numbers: None, progress=Silent(),
    )  # fmt: skip


def mf_epoch(row: str, data: str) -> None:
    """Seconds an epoch, all in: order, negatives and steps."""
    if row == "mf-epoch":
        arrays = shared.load(data)
        events = from_columns(users=arrays["train_users"], items=arrays["train_items"])
    else:
        users, items, _, _ = shared.drawn()
        events = from_columns(users=users, items=items)
    fit(
        make_mf(events.n_users, events.n_items), events.take(np.arange(1000)), 1
    )  # load the kernels
    cpu, wall = shared.of_an_epoch(
        lambda epochs: fit(make_mf(events.n_users, events.n_items), events, epochs), EPOCHS[row]
    )
    shared.tell(version("recsys-cli"), cpu, wall, note="row-wise Adagrad, a step an event")


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
    shared.tell(version("recsys-cli"), cpu, wall)


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
        fit(model, events, QUALITY["epochs"], QUALITY["lr"], validate)
    cpu, wall = training.cpu - measuring.cpu, training.wall - measuring.wall
    shared.tell(
        version("recsys-cli"), cpu, wall, ndcg_at_10=curve[-1], epochs=len(curve), curve=curve
    )


def command(source: str) -> None:
    """The whole command, in this process."""
    from recsys_cli.cli import main

    clock = shared.Clock()
    sys.argv = [
        "recsys", "train", "--json", "--model=mf", "--data=ml-1m", "--split=per_user_ratio", "model.loss=bpr",
        "model.negatives=1", "model.biases=false", "model.l2=0.002", "trainer.epochs=10", "trainer.validate_every=10",
        "tracking=none", "device=cpu", "device.threads=1", "evaluation.cutoffs=[10]", f"data.source={source}/ml-1m",
    ]  # fmt: skip
    said = io.StringIO()
    with clock.running(), redirect_stdout(said):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
    found = json.loads(said.getvalue())["metrics"]["test"]["ndcg_at_10"]
    shared.tell(version("recsys-cli"), clock.cpu, clock.wall, ndcg_at_10=found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    row, data, source = sys.argv[1:]
    assert Path(data).exists()
    if row.startswith("mf-epoch"):
        mf_epoch(row, data)
    elif row == "ials-iteration":
        ials(data)
    elif row == "mf-quality":
        quality(data)
    else:
        command(source)

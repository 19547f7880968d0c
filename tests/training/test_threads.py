"""With two threads a seed repeats bit for bit too."""

import numpy as np
import pytest
import torch

from recsys_cli.data.context import ContextFacts
from recsys_cli.data.interactions import from_columns
from recsys_cli.devices import Device
from recsys_cli.models.first_try.deep import Deep
from recsys_cli.models.first_try.mf import MF
from recsys_cli.models.framings.seq import Seq
from recsys_cli.outcome import weights_digest
from recsys_cli.seeds import isolated
from recsys_cli.training.optimisers import make_optimiser
from recsys_cli.training.steps import KINDS, Autograd, train_step


@pytest.fixture(scope="module")
def many():
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(300), 60)
    return from_columns(
        users=users, items=random.integers(0, 400, len(users)), times=np.arange(len(users)) * 999
    )


def make(name: str, x) -> torch.nn.Module:
    shared = {"n_users": x.n_users, "n_items": x.n_items, "loss": "bpr", "negatives": 4, "l2": 0.01}
    if name == "mf":
        return MF(**shared, rank=64, biases=True, init_sd=0.1)
    if name == "deep":
        return Deep(**shared, dim=64, widths=[64, 32], activation="relu")
    return Seq(
        n_items=x.n_items,
        context_facts=ContextFacts({}, None),
        shuffled=False,
        dim=64,
        hidden=64,
        dropout=0.2,
        last_item=False,
        shift=False,
        returns=False,
        context=["gap", "hour"],
        history_length=50,
        softmax="auto",
        n_negatives=512,
    )


@pytest.mark.parametrize("name", ["mf", "deep", "seq"])
def test_repeats_are_equal(many, name):
    digests = set()
    with Device("cpu", 2).active():
        for _ in range(4):
            with isolated(0, "test"):
                model = make(name, many)
                optimiser = make_optimiser("adam", model.parameters(), 0.01)
                batches = KINDS[model.batches](
                    many, model, batch_size=2048, seed=0, device=torch.device("cpu")
                )
                for _, batch in zip(range(5), batches.epoch(1), strict=False):
                    train_step(Autograd(model, optimiser), batch)
            digests.add(weights_digest(model))
    assert len(digests) == 1

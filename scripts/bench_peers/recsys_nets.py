"""The work of `scripts/bench` by this program's nets: a sequence model, its softmax, and the deep net's scores."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import shared
import torch
from torch.nn.functional import cross_entropy

from recsys_cli.data.batches import SequenceBatches
from recsys_cli.data.context import ContextFacts
from recsys_cli.data.movielens import ml_1m
from recsys_cli.data.queries import Queries
from recsys_cli.data.split import Split
from recsys_cli.data.user_splits import leave_last_out
from recsys_cli.devices import Device
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.first_try.deep import Deep
from recsys_cli.models.framings.seq import Seq
from recsys_cli.models.softmax import sampled_softmax_loss, softmax_loss
from recsys_cli.progress import Silent
from recsys_cli.seeds import isolated
from recsys_cli.training.optimisers import make_optimiser
from recsys_cli.training.steps import Autograd, train_step

CPU = Device("cpu", 1)
BATCH, LR = 4096, 2e-3
STEPS_TIMED = 24
QUALITY, MOST_EPOCHS = 0.145, 16


def movielens(source: Path) -> Split:
    """MovieLens-1M, each user's last event for the test and the one before it for validation."""
    events = ml_1m(source=str(source / "ml-1m"), min_rating=None, progress=Silent())
    return leave_last_out(interactions=events, min_events=3)


def sequence_model(n_items: int, softmax: str) -> Seq:
    """A GRU of 128 units over vectors of 64, without context."""
    with isolated(0, "init"):
        return Seq(
            n_items=n_items,
            context_facts=ContextFacts({}, None),
            shuffled=False,
            last_item=False,
            shift=False,
            returns=False,
            dim=64,
            hidden=128,
            dropout=0.2,
            context=[],
            history_length=100,
            softmax=softmax,
            n_negatives=512,
        )


def accuracy(*metrics: str) -> RankingProtocol:
    """These metrics of the first ten, seen items left out."""
    return RankingProtocol(
        cutoffs=[10],
        metrics=list(metrics),
        primary="ndcg_at_10",
        exclude_seen=True,
        dialect="recsys",
    )


def sequence_epoch(variant: str, source: Path) -> tuple[float, float, dict]:
    """An epoch over all targets, from steps spread by chance over the lengths; the first is not counted."""
    split = movielens(source)
    model = sequence_model(split.n_items, variant or "full")
    batches = SequenceBatches(split.train, model, batch_size=BATCH, seed=0, device=CPU.torch)
    optimiser = make_optimiser("adam", model.parameters(), LR)
    clock, targets = shared.Clock(), 0
    with isolated(0, "epoch", 1):
        steps = batches.epoch(1)
        train_step(Autograd(model, optimiser), next(steps))
        with clock.running():
            for batch in islice(steps, STEPS_TIMED):
                train_step(Autograd(model, optimiser), batch)
                targets += len(batch)
    scale = batches.n_examples / targets
    return clock.cpu * scale, clock.wall * scale, {"targets": batches.n_examples}


def sequence_quality(variant: str, source: Path) -> tuple[float, float, dict]:
    """Training until the test's NDCG@10 has passed what is wanted; evaluation is not counted."""
    split = movielens(source)
    model = sequence_model(split.n_items, variant or "full")
    batches = SequenceBatches(split.train, model, batch_size=BATCH, seed=0, device=CPU.torch)
    optimiser = make_optimiser("adam", model.parameters(), LR)
    protocol, clock, curve = accuracy("ndcg"), shared.Clock(), []
    while len(curve) < MOST_EPOCHS and not (curve and curve[-1] >= QUALITY):
        epoch = len(curve) + 1
        with isolated(0, "epoch", epoch):
            model.train()
            with clock.running():
                for batch in batches.epoch(epoch):
                    train_step(Autograd(model, optimiser), batch)
        curve.append(evaluate(model, split.test, protocol, device=CPU.torch).primary)
    return clock.cpu, clock.wall, {"ndcg_at_10": curve[-1], "curve": curve}


def deep_scoring(variant: str, source: Path) -> tuple[float, float, dict]:
    """256 users with 3,706 items: folded, or with every pair concatenated and sent through all layers."""
    del source
    with isolated(0, "init"):
        model = Deep(
            n_users=256,
            n_items=3706,
            dim=64,
            widths=[64, 32, 16, 8],
            activation="relu",
            loss="bpr",
            negatives=1,
            l2=0.0,
        )
    users = torch.arange(256)

    def folded() -> torch.Tensor:
        return model.score(Queries(users=users))

    def concatenated() -> torch.Tensor:
        weight = torch.cat([model.first_user.weight, model.first_item.weight], dim=1)
        scores = torch.empty(256, 3706)
        for rows in users.split(4):
            own = model.users[rows, None].expand(-1, 3706, -1)
            pairs = torch.cat([own, model.items.expand(len(rows), -1, -1)], dim=2)
            scores[rows] = model.rest(pairs @ weight.T + model.first_user.bias).squeeze(2)
        return scores

    with torch.no_grad():
        cpu, wall = shared.median(concatenated if variant else folded)
        apart = float((folded() - concatenated()).abs().max())
    return cpu, wall, {"largest_difference": apart}


def softmax(variant: str, source: Path) -> tuple[float, float, dict]:
    """Loss and gradients of a batch of 4,096 positions of 64 numbers over as many items as MovieLens-20M has."""
    del source
    with isolated(0, "softmax"):
        states = torch.randn(BATCH, 64, requires_grad=True)
        items = (torch.randn(shared.ITEMS_20M, 64) / 8).requires_grad_()
        bias = torch.zeros(shared.ITEMS_20M, requires_grad=True)
        targets = torch.randint(shared.ITEMS_20M, (BATCH,))
        negatives = torch.randint(shared.ITEMS_20M, (512,))
    even = torch.full((shared.ITEMS_20M,), -torch.log(torch.tensor(float(shared.ITEMS_20M))).item())
    losses: dict[str, Callable[[], torch.Tensor]] = {
        "": lambda: softmax_loss(states, items, bias, targets),
        "sampled": lambda: sampled_softmax_loss(states, items, bias, targets, negatives, even),
        "autograd": lambda: cross_entropy(torch.addmm(bias, states, items.T), targets),
    }
    loss = losses[variant]
    cpu, wall = shared.median(lambda: torch.autograd.grad(loss(), (states, items, bias)))
    return cpu, wall, {}


ROWS: dict[str, Callable[[str, Path], tuple[float, float, dict]]] = {
    "seq-epoch": sequence_epoch,
    "seq-quality": sequence_quality,
    "deep-scoring": deep_scoring,
    "softmax": softmax,
}

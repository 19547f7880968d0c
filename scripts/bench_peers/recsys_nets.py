#!/usr/bin/env python
"""Measure the sequence model, the losses over items, full-ranking evaluation and the scoring of the deeper net.

Usage: scripts/bench_rows_sequences.py ROW [--source DIR]    DIR holds ml-1m; prints one line of JSON

Each ROW is a function below and is best run in a process of its own, as peak memory is that of the process. Times
are CPU seconds of one thread.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from recsys_cli.data.batches import SequenceBatches
from recsys_cli.data.movielens import ml_1m
from recsys_cli.data.queries import Queries
from recsys_cli.data.split import Split
from recsys_cli.data.user_splits import leave_last_out
from recsys_cli.devices import Device
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.first_try.deep import Deep
from recsys_cli.models.first_try.mf import MF
from recsys_cli.models.framings.seq import Seq
from recsys_cli.models.softmax import sampled_softmax_loss, softmax_loss
from recsys_cli.progress import Silent
from recsys_cli.seeds import isolated
from recsys_cli.training.optimisers import make_optimiser
from recsys_cli.training.steps import train_step

Row = dict[str, float | str]
CPU = Device("cpu", 1)
REPEATS = 5
BATCH, LR = 4096, 2e-3
QUALITY, MOST_EPOCHS = 0.145, 16


def cpu_seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median over some runs, after one that is not counted."""
    work()
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return sorted(spent)[repeats // 2]


def movielens(source: Path) -> Split:
    """MovieLens-1M, each user's last event for the test and the one before it for validation."""
    events = ml_1m(source=str(source / "ml-1m"), min_rating=None, progress=Silent())
    return leave_last_out(interactions=events, min_events=3)


def sequence_model(n_items: int, softmax: str) -> Seq:
    """A GRU of 128 units over vectors of 64, without context."""
    with isolated(0, "init"):
        return Seq(
            n_items=n_items,
            dim=64,
            hidden=128,
            dropout=0.2,
            context=[],
            history_length=100,
            softmax=softmax,
            n_negatives=512,
        )


def seq_epoch(source: Path, *, softmax: str) -> Row:
    """A whole epoch over all targets, by the clock of the process."""
    split = movielens(source)
    model = sequence_model(split.n_items, softmax)
    batches = SequenceBatches(split.train, model, batch_size=BATCH, seed=0, device=CPU.torch)
    optimiser = make_optimiser("adam", model.parameters(), LR)
    with isolated(0, "epoch", 1):
        started, padding = time.process_time(), 0
        for batch in batches.epoch(1):
            train_step(model, optimiser, batch)
            padding += batch.real.numel() - len(batch)
        spent = time.process_time() - started
    return {
        "row": f"seq epoch, {softmax} softmax",
        "cpu_seconds": spent,
        "targets": batches.n_examples,
        "microseconds_a_target": 1e6 * spent / batches.n_examples,
        "padding": padding / (padding + batches.n_examples),
        "peak_bytes": CPU.peak_memory_bytes(),
    }


def seq_quality(source: Path, *, softmax: str) -> Row:
    """CPU seconds of training until the test's NDCG@10 has passed what is wanted; evaluation is not counted."""
    split = movielens(source)
    model = sequence_model(split.n_items, softmax)
    batches = SequenceBatches(split.train, model, batch_size=BATCH, seed=0, device=CPU.torch)
    optimiser = make_optimiser("adam", model.parameters(), LR)
    protocol = accuracy("ndcg")
    spent = ndcg = 0.0
    for epoch in range(1, MOST_EPOCHS + 1):
        with isolated(0, "epoch", epoch):
            model.train()
            started = time.process_time()
            for batch in batches.epoch(epoch):
                train_step(model, optimiser, batch)
            spent += time.process_time() - started
        ndcg = evaluate(model, split.test, protocol, device=CPU.torch).primary
        if ndcg >= QUALITY:
            break
    return {
        "row": f"seq to NDCG@10 {QUALITY}, {softmax} softmax",
        "cpu_seconds": spent,
        "epochs": epoch,
        "ndcg_at_10": ndcg,
        "reached": str(ndcg >= QUALITY),
    }


def accuracy(*metrics: str) -> RankingProtocol:
    """These metrics of the first ten, seen items left out."""
    return RankingProtocol(
        cutoffs=[10],
        metrics=list(metrics),
        primary="ndcg_at_10",
        exclude_seen=True,
        dialect="recsys",
    )


def evaluation(source: Path) -> Row:
    """Five metrics of the first ten of a full ranking by a matrix factorisation of rank 64."""
    import numba  # noqa: F401  # a run that trains `mf` has loaded it before it evaluates

    split = movielens(source)
    with isolated(0, "init"):
        model = MF(
            n_users=split.n_users,
            n_items=split.n_items,
            rank=64,
            biases=True,
            loss="bpr",
            negatives=1,
            l2=0.0,
            init_sd=0.1,
        )
    protocol = accuracy("ndcg", "recall", "precision", "hit", "mrr")
    spent = cpu_seconds(lambda: evaluate(model, split.test, protocol, device=CPU.torch))
    return {
        "row": "full-ranking evaluation, mf 64, top 10, five metrics",
        "cpu_seconds": spent,
        "users_a_second": len(split.test.users) / spent,
    }


def deep_scoring(source: Path, *, naive: bool) -> Row:
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
        spent = cpu_seconds(concatenated if naive else folded)
        apart = (folded() - concatenated()).abs().max()
    return {
        "row": f"deep [64, 32, 16, 8], all items, {'concatenated' if naive else 'folded'}",
        "cpu_seconds": spent,
        "nanoseconds_a_pair": 1e9 * spent / (256 * 3706),
        "largest_difference": float(apart),
    }


def softmax_cost(source: Path, *, how: str, n_items: int) -> Row:
    """Loss and gradients of a batch of 4,096 positions of 64 numbers."""
    del source
    with isolated(0, "softmax"):
        states = torch.randn(BATCH, 64, requires_grad=True)
        items = (torch.randn(n_items, 64) / 8).requires_grad_()
        bias = torch.zeros(n_items, requires_grad=True)
        targets = torch.randint(n_items, (BATCH,))
        negatives = torch.randint(n_items, (512,))
    even = torch.full((n_items,), -torch.log(torch.tensor(float(n_items))).item())
    losses: dict[str, Callable[[], torch.Tensor]] = {
        "fused": lambda: softmax_loss(states, items, bias, targets),
        "sampled": lambda: sampled_softmax_loss(states, items, bias, targets, negatives, even),
        "autograd": lambda: cross_entropy(torch.addmm(bias, states, items.T), targets),
    }
    CPU.reset_peak_memory()
    before = CPU.peak_memory_bytes()
    spent = cpu_seconds(lambda: torch.autograd.grad(losses[how](), (states, items, bias)), 3)
    return {
        "row": f"softmax over {n_items:,} items, {how}",
        "cpu_seconds": spent,
        "microseconds_a_position": 1e6 * spent / BATCH,
        "peak_bytes": CPU.peak_memory_bytes() - before,
    }


ROWS: dict[str, Callable[[Path], Row]] = {
    "seq-epoch-full": lambda source: seq_epoch(source, softmax="full"),
    "seq-epoch-sampled": lambda source: seq_epoch(source, softmax="sampled"),
    "seq-quality-full": lambda source: seq_quality(source, softmax="full"),
    "seq-quality-sampled": lambda source: seq_quality(source, softmax="sampled"),
    "evaluation": evaluation,
    "deep-folded": lambda source: deep_scoring(source, naive=False),
    "deep-concatenated": lambda source: deep_scoring(source, naive=True),
}
for _how in ("fused", "sampled", "autograd"):
    for _n_items in (3_706, 26_744, 100_000):
        ROWS[f"softmax-{_how}-{_n_items}"] = lambda source, how=_how, n_items=_n_items: (
            softmax_cost(source, how=how, n_items=n_items)
        )


def main() -> None:
    """Measure one row and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("row", choices=sorted(ROWS))
    parser.add_argument("--source", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    with CPU.active():
        print(json.dumps(ROWS[given.row](given.source)))


if __name__ == "__main__":
    main()

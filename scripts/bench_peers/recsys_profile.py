"""Where the three hot loops spend their time, for `scripts/bench profile`: functions by CPU seconds of their own.

A compiled kernel counts for the function that calls it; what torch does in one call is one line.
"""

import cProfile
import io
import pstats
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import recsys_work
import torch
from recsys_nets import BATCH, CPU, LR, accuracy, movielens, sequence_model

from recsys_cli.allocator import keep_freed_memory
from recsys_cli.data.batches import PairBatches, SequenceBatches
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.kernels.negatives import CompiledUnseenItems
from recsys_cli.seeds import isolated
from recsys_cli.training.optimisers import RowwiseAdagrad, make_optimiser
from recsys_cli.training.steps import Autograd, train_step

EPOCHS, STEPS, LINES = 5, 10, 12


def mf(source: Path) -> tuple[str, Callable[[], None]]:
    """Epochs of BPR by the kernel."""
    train = recsys_work.whole(str(source)).train
    model = recsys_work.make_mf(train.n_users, train.n_items)
    optimiser = make_optimiser("rowwise_adagrad", model.parameters(), 0.1)
    assert isinstance(optimiser, RowwiseAdagrad)
    batches = PairBatches(
        train,
        model,
        batch_size=model.events_at_once,
        seed=0,
        device=CPU.torch,
        unseen=CompiledUnseenItems,
    )

    def work() -> None:
        for epoch in range(EPOCHS):
            for pairs in batches.epoch(epoch):
                model.descend(pairs, 0.1, optimiser.sums())

    return f"mf: {EPOCHS} epochs of BPR, {len(train):,} events each", work


def seq(source: Path) -> tuple[str, Callable[[], None]]:
    """Steps of the GRU with the softmax over all items."""
    split = movielens(source)
    model = sequence_model(split.n_items, "full")
    batches = SequenceBatches(split.train, model, batch_size=BATCH, seed=0, device=CPU.torch)
    optimiser = make_optimiser("adam", model.parameters(), LR)

    def work() -> None:
        with isolated(0, "epoch", 1):
            for batch in islice(batches.epoch(1), STEPS):
                train_step(Autograd(model, optimiser), batch)

    return f"seq: {STEPS} steps of {BATCH:,} positions, all {split.n_items:,} items", work


def evaluation(source: Path) -> tuple[str, Callable[[], None]]:
    """A full ranking by matrix factorisation."""
    import numba  # noqa: F401  # a run that trains `mf` has loaded it before it evaluates

    split, protocol = recsys_work.whole(str(source)), accuracy("ndcg", "recall", "hit", "mrr")
    model = recsys_work.make_mf(split.n_users, split.n_items)

    def work() -> None:
        evaluate(model, split.test, protocol, device=CPU.torch)

    return f"evaluation: {split.n_users:,} users x {split.n_items:,} items, top 10", work


def profile(work: Callable[[], None]) -> str:
    """The lines, after one time that is not counted."""
    work()
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(work)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(LINES)
    return "\n".join(line for line in text.getvalue().splitlines() if line.strip())


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    for make in (mf, seq, evaluation):
        title, loop = make(Path(sys.argv[1]))
        print(f"{title}\n{profile(loop)}\n")

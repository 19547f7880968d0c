"""A point of `scripts/bench scale`: one epoch or iteration, or one evaluation, on drawn events.

WORK EVENTS ITEMS THREADS FOLDER: the events are drawn into FOLDER by the work `draw`, in a process of its own, so that
the peak memory of the others is theirs.
"""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import recsys_work
import shared
from recsys_nets import BATCH, LR, accuracy, sequence_model

from recsys_cli.allocator import keep_freed_memory
from recsys_cli.data.batches import SequenceBatches
from recsys_cli.data.distinct import distinct
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.user_splits import per_user_ratio
from recsys_cli.devices import Device
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.baselines.ials import IALS
from recsys_cli.seeds import isolated
from recsys_cli.training.optimisers import make_optimiser
from recsys_cli.training.steps import Autograd, train_step

EVENTS_A_USER = 145  # as in MovieLens-20M
STEPS_TIMED = 20
USERS_RANKED = 2_000


def draw(events: int, items: int, place: Path) -> None:
    """Distinct pairs, of items as unequal as in MovieLens-20M, each at least once."""
    random = np.random.default_rng(0)
    users = np.sort(random.integers(0, max(events // EVENTS_A_USER, 1), events))
    share = np.cumsum(1 / (10 + np.arange(items)) ** 0.9)
    drawn = np.searchsorted(share, random.random(events) * share[-1])
    drawn[random.permutation(events)[:items]] = np.arange(items)
    keys = distinct(users * items + drawn)
    np.save(place, np.stack([keys // items, keys % items]).astype(np.int32))


def mf(events: Interactions) -> tuple[float, float]:
    """An epoch of BPR with its preparation, by the kernel."""
    model, clock = recsys_work.make_mf(events.n_users, events.n_items), shared.Clock()
    recsys_work.fit(model, events.take(np.arange(1000)), 1)  # load the kernels
    with clock.running():
        recsys_work.fit(model, events, 1)
    return clock.cpu, clock.wall


def ials(events: Interactions) -> tuple[float, float]:
    """An iteration by conjugate gradients."""
    with isolated(0, "init"):
        model = IALS(
            n_items=events.n_items, rank=64, unobserved_weight=0.1, l2=0.003, frequency_power=1.0, epochs=1,
            init_sd=0.1, solver="cg",
        )  # fmt: skip
    model.load_kernel()
    clock = shared.Clock()
    with clock.running():
        model.fit(events)
    return clock.cpu, clock.wall


def seq(events: Interactions) -> tuple[float, float]:
    """An epoch of the GRU with 512 drawn items, with its preparation; from a sample of steps."""
    model = sequence_model(events.n_items, "sampled")
    optimiser = make_optimiser("adam", model.parameters(), LR)
    whole, sample, targets = shared.Clock(), shared.Clock(), 0
    with whole.running():
        batches = SequenceBatches(
            events, model, batch_size=BATCH, seed=0, device=Device("cpu", 1).torch
        )
    with isolated(0, "epoch", 1):
        steps = batches.epoch(1)
        with whole.running():
            train_step(Autograd(model, optimiser), next(steps))
        for batch in islice(steps, STEPS_TIMED):
            with sample.running():
                train_step(Autograd(model, optimiser), batch)
            targets += len(batch)
    scale = batches.n_examples / targets
    return whole.cpu + sample.cpu * scale, whole.wall + sample.wall * scale


def evaluation(events: Interactions) -> tuple[float, float]:
    """2,000 users ranked by matrix factorisation, each with all items; five metrics."""
    import numba  # noqa: F401  # a run that trains `mf` has loaded it before it evaluates

    some = events.take(np.arange(int(np.searchsorted(events.users, USERS_RANKED))))
    split = per_user_ratio(
        interactions=some, seed=0, valid_ratio=0.1, test_ratio=0.1, chronological=False
    )
    model = recsys_work.make_mf(some.n_users, some.n_items)
    protocol = accuracy("ndcg", "recall", "precision", "hit", "mrr")
    device = Device("cpu", 1).torch
    return shared.median(lambda: evaluate(model, split.test, protocol, device=device))


WORKS = {"mf": mf, "ials": ials, "seq": seq, "evaluation": evaluation}


def main(work: str, n_events: int, n_items: int, threads: int, folder: Path) -> None:
    """Do one point."""
    place = folder / f"{n_events}_{n_items}.npy"
    if work == "draw":
        draw(n_events, n_items, place)
        return
    users, items = np.load(place, mmap_mode="r", allow_pickle=False)  # noqa: TID251  # drawn above
    events = from_columns(users=users, items=items)
    with Device("cpu", threads).active():
        cpu, wall = WORKS[work](events)
    shared.tell(recsys_work.VERSION, cpu, wall, events=len(events))


if __name__ == "__main__":
    keep_freed_memory()
    main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))

"""What is told of the whole from a part: exact where the work grows as it is said to."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recsys_cli import config
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.split import Holdout
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.item_knn import ItemKNN
from recsys_cli.models.baselines.user_knn import UserKNN
from recsys_cli.models.contract import TellsWork
from recsys_cli.planning import probe
from recsys_cli.progress import Silent
from recsys_cli.training.state import History


class Clock:
    """A device whose time goes on when it is told to."""

    torch = torch.device("cpu")

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds


class Steps:
    """A hundred steps of a quarter of a second; the first of all takes three seconds more."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.loading = clock, 3.0

    def __len__(self) -> int:
        return 100

    def epoch(self, number: int, done: int) -> Iterator[float]:
        for _ in range(len(self)):
            self.clock.seconds += 0.25 + self.loading
            self.loading = 0.0
            yield 0.5


def test_an_epoch_is_told_from_its_steps():
    clock = Clock()
    trainer: Any = SimpleNamespace(
        optimiser="sgd", lr=0.1, seed=0, steps=lambda *given: Steps(clock)
    )
    split = SimpleNamespace(train=None)
    ready: Any = SimpleNamespace(device=clock, model=nn.Linear(2, 2), split=split)
    told = probe.probe_steps(ready, trainer, Silent())
    assert told == probe.Learning(before_seconds=3.0, seconds=25.0, seen=0.05)


class Cubic(nn.Module):
    """Its work is as the cube of the items."""

    def work(self, train: Interactions) -> float:
        return float(train.n_items) ** 3


class Solver:
    """Fits of a cubic model; `smallest`: of fewer items it makes nothing."""

    def __init__(self, clock: Clock, rate: float, smallest: int = 0) -> None:
        self.clock, self.rate, self.smallest = clock, rate, smallest
        self.items: list[int] = []

    def fit(self, model: Cubic, train: Interactions, **more: Any) -> History:
        if train.n_items < self.smallest:
            raise ModelError("too few")
        self.items.append(train.n_items)
        seconds = model.work(train) * self.rate
        self.clock.seconds += seconds
        return History(epoch_seconds=[seconds])


@pytest.fixture(scope="module")
def many_items() -> Interactions:
    """100 users who met 400 of 4,000 items each."""
    random = np.random.default_rng(0)
    items = np.concatenate([random.permutation(4_000)[:400] for _ in range(100)])
    return from_columns(users=np.repeat(np.arange(100), 400), items=items)


def fit(train: Interactions, rate: float, smallest: int = 0) -> tuple[probe.Learning, Solver]:
    clock = Clock()
    solver = Solver(clock, rate, smallest)
    split = SimpleNamespace(train=train)
    draft: Any = SimpleNamespace(
        split=split, device=clock, trainer=solver, make=lambda **sizes: Cubic()
    )
    return probe.probe_fit(draft, SimpleNamespace(model=Cubic()), Silent()), solver  # type: ignore[arg-type]


def test_a_fit_is_told_by_its_law(many_items):
    rate = 1e-9
    told, solver = fit(many_items, rate)
    assert told.seconds == pytest.approx(rate * many_items.n_items**3)
    assert told.seen == pytest.approx((solver.items[-1] / many_items.n_items) ** 3)
    assert max(solver.items) < many_items.n_items
    assert sum(rate * items**3 for items in solver.items) <= probe.FIT_SECONDS


@pytest.mark.parametrize("smallest", [0, 3_000])
def test_a_quick_fit_is_done_whole(many_items, smallest):
    told, solver = fit(many_items, 1e-12, smallest)
    assert told.seen == 1.0
    assert solver.items[-1] == many_items.n_items
    assert min(solver.items) >= smallest


def test_what_only_the_whole_data_is_too_small_for_is_an_error(many_items):
    with pytest.raises(ModelError, match="too few"):
        fit(many_items, 1e-12, smallest=5_000)


@pytest.mark.parametrize("name", ["ease", "ials", "item_knn", "knn_baseline", "rp3beta", "slim"])
def test_the_work_that_a_model_tells_grows_with_the_data(many_items, name):
    tree = config.load([f"model={name}"]).tree["model"]
    works = []
    for share in (0.2, 0.4, 1.0):
        train = many_items if share == 1.0 else probe._part(many_items, share)
        sizes = {"n_users": train.n_users, "n_items": train.n_items}
        model = config.build(tree, key="model", **sizes)
        assert isinstance(model, TellsWork)
        works.append(model.work(train))
    assert 0 < works[0] < works[1] < works[2]


def test_a_model_looks_fitted_where_the_size_of_its_numbers_is_known():
    near = ItemKNN(n_items=9, similarity="cosine", neighbours=3, shrink=0.0)
    assert probe.look_fitted(near)
    assert near.nearest.items.unique().numel() > 1
    assert 0 <= near.nearest.items.min() <= near.nearest.items.max() < 9
    assert near.nearest.weights.abs().min() > 0
    assert not probe.look_fitted(
        UserKNN(n_users=9, n_items=9, similarity="cosine", neighbours=3, shrink=0.0)
    )


@pytest.mark.parametrize(("n_users", "asked"), [(1_000, 1_000), (100_000, 4_096)])
def test_a_ranking_is_told_from_some_of_its_users(monkeypatch, n_users, asked):
    clock, most = Clock(), []
    everybody = from_columns(users=np.arange(n_users), items=np.arange(n_users) % 20)
    warm = np.ones(n_users, dtype=bool), np.ones(20, dtype=bool)
    holdout = Holdout(everybody, everybody, *warm)

    def evaluate(model: Any, few: Holdout, protocol: Any, **more: Any) -> None:
        most.append(len(few.users))
        clock.seconds += (2.0 if len(most) == 1 else 0.0) + 0.05 + 5e-5 * len(few.users)

    monkeypatch.setattr(probe, "evaluate", evaluate)
    split = SimpleNamespace(n_items=20, n_users=n_users)
    ready: Any = SimpleNamespace(
        device=clock, parts={"test": holdout}, split=split, protocol=None, model=None
    )
    first, seconds = probe.probe_ranking(ready, "test")
    assert first == pytest.approx(2.0)
    assert seconds == pytest.approx(0.05 + 5e-5 * n_users)
    assert max(most) <= asked

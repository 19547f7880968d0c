"""Published tables, reached to their printed digits on the published splits.

The metrics are written out user by user here, so that they are also an independent twin of the evaluation.
"""

import gzip
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.queries import make_queries
from recsys_cli.data.split import TEST, TRAIN, VALID, Holdout
from recsys_cli.models.baselines.ease import EASE
from recsys_cli.models.baselines.ials import IALS
from recsys_cli.models.baselines.item_knn import ItemKNN
from recsys_cli.models.baselines.popularity import Popularity
from recsys_cli.models.baselines.pure_svd import PureSVD
from recsys_cli.models.baselines.rp3beta import RP3Beta
from recsys_cli.seeds import isolated

pytestmark = pytest.mark.realdata
K = 10
DISCOUNT = 1 / np.log2(np.arange(2, 10_000))


@dataclass
class Task:
    """A published split: what is learned from and asked with, what is seen, and what is to be found."""

    train: Interactions
    seen: Interactions
    targets: Interactions

    def measure(self, model, *, ideal: int) -> NDArray[np.float64]:
        """Recall, MRR, NDCG, Hit and Precision at 10; the ideal list has at most `ideal` targets."""
        holdout = Holdout(
            self.train, self.targets, np.diff(self.train.offsets) > 0, self.train.item_counts > 0
        )
        rows = []
        for users in np.array_split(holdout.users, 20):
            with torch.no_grad():
                scores = model.score(make_queries(holdout, users, model.reads)).numpy().copy()
            for user, own in zip(users, scores, strict=True):
                own[_items(self.seen, user)] = -np.inf
                ranked = np.argsort(-own, kind="stable")[:K]
                rows.append(_measure(ranked, _items(self.targets, user), ideal))
        return np.mean(rows, axis=0)


def _items(events: Interactions, user: int) -> NDArray[np.int32]:
    return events.items[events.offsets[user] : events.offsets[user + 1]]


def _measure(ranked, targets, ideal):
    hits = np.isin(ranked, targets)
    first = np.flatnonzero(hits)[:1]
    best = DISCOUNT[: min(len(targets), ideal)].sum()
    return (
        hits.sum() / len(targets),
        (1 / (first + 1)).sum(),
        (hits * DISCOUNT[:K]).sum() / best,
        hits.any(),
        hits.mean(),
    )


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    """Splits that have been made, each once."""
    return {}


@pytest.fixture
def ml_1m(real_data, tasks) -> Task:
    """Ratings of 3 and more, 10-core; one random order of the file; of each user's n events 0.1 n each held out."""
    path = real_data("ml-1m") / "ratings.dat.gz"
    if "ml-1m" not in tasks:
        text = gzip.decompress(path.read_bytes()).replace(b"::", b" ").split()
        rows = np.array(text, dtype=np.int64).reshape(-1, 4)
        rows = _core(rows[rows[:, 2] >= 3], 10)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(2020))
        rows = rows[order.numpy()]
        events = from_columns(users=rows[:, 0], items=rows[:, 1])
        size = np.diff(events.offsets)[events.users]
        from_end = events.offsets[events.users + 1] - 1 - np.arange(len(events))
        held = size // 10
        part = np.where(from_end < held, TEST, np.where(from_end < 2 * held, VALID, TRAIN))
        tasks["ml-1m"] = Task(
            *(events.take(mask) for mask in (part == TRAIN, part != TEST, part == TEST))
        )
    return tasks["ml-1m"]


def _core(rows, least):
    """Drop users and items with too few events until none is left."""
    while True:
        enough = np.bincount(rows[:, 0])[rows[:, 0]] >= least
        enough &= np.bincount(rows[:, 1])[rows[:, 1]] >= least
        if enough.all():
            return rows
        rows = rows[enough]


@pytest.fixture
def ml_100k(real_data, tasks) -> Task:
    """The published train and test files."""
    folder = real_data("ml-100k-mcrec")
    if "ml-100k" not in tasks:
        lines = [line.split() for line in (folder / "test.rating").read_text().splitlines()]
        test = np.array([(line[0], item) for line in lines for item in line[1:]], dtype=np.int64)
        train = np.loadtxt(folder / "train.rating", dtype=np.int64)[:, :2]
        pairs = np.concatenate([train, test])
        events = from_columns(users=pairs[:, 0], items=pairs[:, 1])
        known = events.rows < len(train)
        tasks["ml-100k"] = Task(events.take(known), events.take(known), events.take(~known))
    return tasks["ml-100k"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "published"),
    [
        (lambda n: Popularity(n_items=n), [0.0769, 0.2359, 0.1180, 0.4756, 0.0929]),
        (
            lambda n: ItemKNN(n_items=n, similarity="cosine", neighbours=250, shrink=1.2),
            [0.1723, 0.4254, 0.2389, 0.7139, 0.1752],
        ),
        (lambda n: EASE(n_items=n, l2=1000.0), [0.2139, 0.4808, 0.2865, 0.7837, 0.2082]),
    ],
    ids=["popularity", "item_knn", "ease"],
)
def test_ml_1m(ml_1m, make, published):
    assert (len(ml_1m.train), len(ml_1m.targets)) == (673_059, 80_695)
    assert (ml_1m.train.n_users, ml_1m.train.n_items) == (6_033, 3_123)
    model = make(ml_1m.train.n_items)
    model.fit(ml_1m.train)
    assert (
        np.abs(ml_1m.measure(model, ideal=K) - published).max() < 0.6e-4
    )  # half a printed digit, and rounding


def _rows_of_100k(n):
    """Model, Precision, Recall, NDCG (ideal over all targets), and what separates two runs of it."""
    confidence = 0.001 * math.log(1 + 1 / 0.001)
    return {
        "popularity": (Popularity(n_items=n), (0.1907, 0.1180, 0.1361), 0.0004),
        "ease": (EASE(n_items=n, l2=458.0), (0.3739, 0.2430, 0.2905), 0.6e-4),
        "rp3beta": (
            RP3Beta(n_items=n, alpha=0.8593, beta=0.6574, neighbours=324, normalise=True),
            (0.3435, 0.2191, 0.2588),
            0.6e-4,
        ),
        "item_knn": (
            ItemKNN(n_items=n, similarity="jaccard", neighbours=161, shrink=0.0),
            (0.3177, 0.2043, 0.2431),
            0.6e-4,
        ),
        "pure_svd": (PureSVD(n_items=n, factors=13), (0.3545, 0.2247, 0.2719), 0.001),
        "ials": (
            IALS(
                solver="cholesky",
                n_items=n,
                rank=15,
                unobserved_weight=1 / confidence,
                l2=2.71e-4 / (1 + confidence),
                frequency_power=0.0,
                epochs=10,
                init_sd=0.1,
            ),
            (0.3596, 0.2283, 0.2759),
            0.003,
        ),
    }


@pytest.mark.parametrize("name", ["popularity", "ease", "rp3beta", "item_knn", "pure_svd", "ials"])
def test_ml_100k(ml_100k, name):
    with isolated(0, "init"):
        model, published, spread = _rows_of_100k(ml_100k.train.n_items)[name]
    model.fit(ml_100k.train)
    recall, _, ndcg, _, precision = ml_100k.measure(model, ideal=len(DISCOUNT))
    assert np.abs(np.array([precision, recall, ndcg]) - published).max() < spread

"""Numbers that others have published, from files that others have split."""

from typing import Any

import numpy as np
import pytest

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.ranking import evaluate
from tests.evaluation.cases import CPU, Table, protocol

pytestmark = pytest.mark.realdata


def holdout(train: Any, history: Any, targets: Any) -> tuple[Holdout, np.ndarray]:
    """What is known and what is to be predicted, and how often training has each item; columns user, item."""
    everything = np.concatenate([train, history, targets])
    data = from_columns(users=everything[:, 0], items=everything[:, 1])
    n_train, n_known = len(train), len(train) + len(history)
    learnt = data.take(data.rows < n_train)
    known = data.take((data.rows >= n_train) & (data.rows < n_known)) if len(history) else learnt
    warm_users, counts = np.diff(learnt.offsets) > 0, learnt.item_counts
    return Holdout(known, data.take(data.rows >= n_known), warm_users, counts > 0), counts


@pytest.fixture
def movielens_split(real_data) -> tuple[Holdout, np.ndarray]:
    folder = real_data("ml-100k-mcrec")
    train = np.loadtxt(folder / "train.rating", dtype=np.int64)[:, :2]
    lines = [line.split() for line in (folder / "test.rating").read_text().splitlines()]
    test = [(int(line[0]), int(item)) for line in lines for item in line[1:]]
    return holdout(train, np.empty((0, 2), dtype=np.int64), test)


def test_popularity_and_ease_on_a_published_movielens_split(movielens_split):
    """NDCG there divides by the ideal of all targets."""
    asked, counts = movielens_split
    rules = protocol(["precision", "recall", "ndcg_full_ideal"], [10])
    X = np.zeros((asked.history.n_users, asked.history.n_items))
    X[asked.history.users, asked.history.items] = 1
    inverse = np.linalg.inv(X.T @ X + 458 * np.eye(X.shape[1]))
    ease = X @ (np.eye(X.shape[1]) - inverse / np.diag(inverse))
    keys = ["precision_at_10", "recall_at_10", "ndcg_full_ideal_at_10"]
    for scores, published, within in (
        (
            np.broadcast_to(counts, X.shape).astype(float),
            (0.1907, 0.1180, 0.1361),
            3e-4,
        ),  # tie order
        (ease, (0.3739, 0.2430, 0.2905), 5e-5),
    ):
        metrics = evaluate(Table(np.ascontiguousarray(scores)), asked, rules, device=CPU).metrics
        assert [metrics[key] for key in keys] == pytest.approx(published, abs=within)


def test_popularity_on_a_published_global_time_split(real_data):
    folder = real_data("amazon-beauty-gts")
    train, history, targets = (
        np.loadtxt(folder / f"{name}.csv.gz", np.int64, delimiter=",", skiprows=1)[:, :2]
        for name in ("train", "test_input", "test_target")
    )
    asked, counts = holdout(train, history, targets)

    class Popularity(Table):
        def score(self, queries):
            return self.scores.expand(len(queries), -1)

    result = evaluate(Popularity(counts.astype(float)), asked, protocol(["hit"], [10]), device=CPU)
    assert result.n_users == 5375
    assert result.metrics["hit_at_10"] == pytest.approx(0.0087, abs=5e-5)
    assert result.metrics["ndcg_at_10"] == pytest.approx(0.0040, abs=5e-5)

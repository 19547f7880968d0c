"""Item neighbours, against the definitions written out pair by pair."""

import math

import numpy as np
import pytest
import torch

from recsys_cli.errors import ModelError
from recsys_cli.models.baselines import item_knn
from recsys_cli.models.baselines.item_knn import ItemKNN
from tests.models.baselines.examples import QUERIES, as_rows, dense, some_events


def pair(similarity, users, i, j, shrink):
    """The similarity of two items from sets of users."""
    n_items = len(users)
    met = {u: sum(u in own for own in users) for u in set().union(*users)}
    idf = {u: math.log((1 + n_items) / (1 + count)) for u, count in met.items()}
    common = users[i] & users[j]
    if similarity == "cosine":
        return len(common) / (math.sqrt(len(users[i]) * len(users[j])) + shrink)
    if similarity == "jaccard":
        return len(common) / (len(users[i] | users[j]) + shrink)
    if similarity == "tfidf":
        long = [math.sqrt(sum(idf[u] ** 2 for u in users[k])) for k in (i, j)]
        return sum(idf[u] ** 2 for u in common) / (long[0] * long[1] + shrink)
    mean = sum(map(len, users)) / n_items
    length = [2.2 / (1.2 * (0.25 + 0.75 * len(users[k]) / mean) + 1) for k in (i, j)]
    return sum(idf[u] ** 2 for u in common) * length[0] * length[1]


def brute_force(events, similarity, neighbours, shrink):
    """Weights, history item x target item."""
    matrix = dense(events)
    users = [set(np.flatnonzero(column)) for column in matrix.T]
    n_items = len(users)
    weights = np.zeros((n_items, n_items))
    for target in range(n_items):
        alike = {
            other: pair(similarity, users, other, target, shrink)
            for other in range(n_items)
            if other != target
        }
        for other in sorted(alike, key=lambda item: (-alike[item], item))[:neighbours]:
            weights[other, target] = alike[other]
    return weights


@pytest.mark.parametrize("neighbours", [3, 100])
@pytest.mark.parametrize(
    ("similarity", "shrink"),
    [("cosine", 0.0), ("cosine", 7.0), ("jaccard", 2.5), ("tfidf", 1.5), ("bm25", 0.0)],
)
def test_it_is_its_definition(similarity, shrink, neighbours, monkeypatch):
    monkeypatch.setattr(item_knn, "BLOCK_ITEMS", 5)
    events = some_events()
    model = ItemKNN(n_items=12, similarity=similarity, neighbours=neighbours, shrink=shrink)
    model.fit(events)
    expected = as_rows(QUERIES, 12) @ brute_force(events, similarity, neighbours, shrink)
    assert torch.allclose(model.score(QUERIES).double(), torch.from_numpy(expected), atol=1e-6)


def test_an_item_that_nobody_met_is_like_no_other():
    events = some_events()
    without = events.take(events.items != 4)
    for similarity in ("cosine", "jaccard", "tfidf", "bm25"):
        model = ItemKNN(n_items=12, similarity=similarity, neighbours=5, shrink=0.0)
        model.fit(without)
        scores = model.score(QUERIES)
        assert scores.isfinite().all()
        assert not scores[:, 4].any()


def test_bm25_has_nothing_to_shrink():
    with pytest.raises(ModelError, match=r"model\.shrink=3"):
        ItemKNN(n_items=12, similarity="bm25", neighbours=5, shrink=3.0)

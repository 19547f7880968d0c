"""The three-step walk, against the definition written out step by step."""

import numpy as np
import pytest
import torch

from recsys_cli.models.baselines import rp3beta
from recsys_cli.models.baselines.rp3beta import RP3Beta
from tests.models.baselines.examples import QUERIES, as_rows, dense, some_events


def keep(weights, k):
    """Each row with its k largest entries."""
    kept = np.zeros_like(weights)
    for row, values in enumerate(weights):
        for column in sorted(range(len(values)), key=lambda c: (-values[c], c))[:k]:
            kept[row, column] = values[column]
    return kept


def brute_force(matrix, alpha, beta, neighbours, normalise):
    met, users = matrix.sum(1), matrix.sum(0)
    n_items = len(users)
    weights = np.zeros((n_items, n_items))
    for i in range(n_items):
        for j in range(n_items):
            both = np.flatnonzero(matrix[:, i] * matrix[:, j])
            if i != j and len(both):
                walk = sum(users[i] ** -alpha * met[u] ** -alpha for u in both)
                weights[i, j] = walk / users[j] ** beta
    weights = keep(weights, neighbours)
    if normalise:
        weights /= weights.sum(1, keepdims=True)
    return keep(weights.T, neighbours).T


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("neighbours", [4, 100])
def test_it_is_its_definition(neighbours, normalise, monkeypatch):
    monkeypatch.setattr(rp3beta, "BLOCK_ITEMS", 5)
    events = some_events()
    model = RP3Beta(n_items=12, alpha=0.7, beta=0.4, neighbours=neighbours, normalise=normalise)
    model.fit(events)
    weights = brute_force(dense(events), 0.7, 0.4, neighbours, normalise)
    expected = torch.from_numpy(as_rows(QUERIES, 12) @ weights)
    assert torch.allclose(model.score(QUERIES).double(), expected, atol=1e-6)


def test_with_alpha_1_and_beta_0_a_start_s_ends_are_chances():
    events = some_events()
    model = RP3Beta(n_items=12, alpha=1.0, beta=0.0, neighbours=100, normalise=False)
    model.fit(events)
    matrix = dense(events)
    to_users = matrix.T / matrix.sum(0)[:, None]
    walk = to_users @ (matrix / matrix.sum(1)[:, None])
    back = walk.diagonal()  # the walk that returns to its start is left out
    reached = np.zeros(12)
    np.add.at(reached, model.nearest.items.numpy(), model.nearest.weights.numpy())
    assert np.allclose(reached, 1 - back, atol=1e-6)


def test_an_item_that_nobody_met_is_never_reached():
    events = some_events()
    model = RP3Beta(n_items=12, alpha=0.8, beta=0.6, neighbours=5, normalise=True)
    model.fit(events.take(events.items != 4))
    scores = model.score(QUERIES)
    assert scores.isfinite().all()
    assert not scores[:, 4].any()

"""User neighbours, against the definition written out user by user."""

import math

import numpy as np
import pytest
import torch

from recsys_cli.models.baselines.user_knn import UserKNN
from tests.models.baselines.examples import QUERIES, dense, histories, some_events


def brute_force(events, history, user, similarity, neighbours, shrink):
    matrix = dense(events)
    alike = np.zeros(len(matrix))
    for other, row in enumerate(matrix):
        own = set(np.flatnonzero(row))
        common = len(own & history)
        if other == user or not common:
            continue
        whole = math.sqrt(len(own) * len(history)) if similarity == "cosine" else len(own | history)
        alike[other] = common / (whole + shrink)
    least = sorted(alike)[-min(neighbours, len(alike))]
    nearest = alike >= least - 1e-9
    return alike[nearest] @ matrix[nearest]


@pytest.mark.parametrize("neighbours", [4, 1000])
@pytest.mark.parametrize("similarity", ["cosine", "jaccard"])
@pytest.mark.parametrize("shrink", [0.0, 3.7])
def test_it_is_its_definition(similarity, neighbours, shrink):
    events = some_events()
    model = UserKNN(
        n_users=30, n_items=12, similarity=similarity, neighbours=neighbours, shrink=shrink
    )
    model.fit(events)
    for row in range(5):
        history = {item for item in QUERIES.items[row].tolist() if item >= 0}
        expected = brute_force(events, history, None, similarity, neighbours, shrink)
        assert np.allclose(model.score(QUERIES)[row].numpy(), expected, atol=1e-5)


def test_a_known_user_is_not_their_own_neighbour():
    events = some_events()
    model = UserKNN(n_users=30, n_items=12, similarity="cosine", neighbours=1000, shrink=0.0)
    model.fit(events)
    history = sorted(set(events.items[events.users == 7].tolist()))
    known, unseen = model.score(histories(history, history, users=[7, -1]))
    expected = brute_force(events, set(history), 7, "cosine", 1000, 0.0)
    assert np.allclose(known.numpy(), expected, atol=1e-5)
    assert torch.allclose((unseen - known)[history], torch.ones(len(history)), atol=1e-5)

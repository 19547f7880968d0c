"""Neighbours among an item's raters, against the same written out pair by pair."""

import numpy as np
import pytest
import torch

from recsys_cli.data.interactions import from_columns
from recsys_cli.models.ratings.knn_baseline import KNNBaseline
from tests.models.ratings.examples import ratings


def fitted(events, neighbours=3, min_common=1) -> KNNBaseline:
    model = KNNBaseline(
        n_users=events.n_users, n_items=events.n_items, neighbours=neighbours, min_common=min_common,
        l2_users=3.0, l2_items=2.0, epochs=4,
    )  # fmt: skip
    model.fit(events)
    return model


def by_hand(model, given, user, item, neighbours, min_common):
    """`given[u][i]` is a rating."""

    def baseline(u):
        return float(model.baseline.predict(torch.tensor([u]), torch.tensor([item])))

    def alike(u, v):
        common = given[u].keys() & given[v].keys()
        if len(common) < min_common:
            return 0.0
        return 1 / (1 + np.mean([(given[u][i] - given[v][i]) ** 2 for i in common]))

    raters = [(alike(user, v), v) for v in given if item in given[v] and v != user]
    nearest = sorted(raters, key=lambda rater: (-rater[0], rater[1]))[:neighbours]
    total = sum(likeness for likeness, _ in nearest)
    said = sum(likeness * (given[v][item] - baseline(v)) for likeness, v in nearest)
    return baseline(user) + (said / total if total else 0.0)


@pytest.mark.parametrize(("neighbours", "min_common"), [(3, 1), (1, 1), (40, 1), (3, 4), (40, 99)])
def test_it_equals_the_sums_written_out(neighbours, min_common):
    events = ratings()
    model = fitted(events, neighbours, min_common)
    given = {u: {} for u in range(events.n_users)}
    for u, i, value in zip(events.users, events.items, events.values, strict=True):
        given[u][i] = float(value)
    users, items = (index.ravel() for index in np.indices((events.n_users, events.n_items)))
    predicted = model.predict(torch.from_numpy(users), torch.from_numpy(items))
    expected = [
        by_hand(model, given, u, i, neighbours, min_common)
        for u, i in zip(users, items, strict=True)
    ]
    assert predicted.tolist() == pytest.approx(expected, abs=1e-5)


def test_nobody_alike_leaves_the_baseline():
    events = ratings()
    model = fitted(events)
    users, items = torch.tensor([-1, events.n_users - 1]), torch.tensor([0, 1])
    assert torch.equal(model.predict(users, items), model.baseline.predict(users, items))


def test_of_a_pair_that_was_rated_twice_the_last_rating_counts():
    users, items = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 0, 0, 1, 1])
    times = np.arange(6)
    twice = from_columns(users=users, items=items, times=times, values=np.array([1, 2, 5, 4, 2, 3]))
    model = fitted(twice)
    assert model.similarity[0, 1].item() == pytest.approx(1 / (1 + (1 + 0) / 2))
    assert len(model.residuals) == 5

"""Biases by alternating least squares, against the same written out rating by rating."""

import numpy as np
import pytest
import torch

from recsys_cli.models.ratings.baseline import Baseline
from tests.models.ratings.examples import ratings


def fitted(events, l2_users=3.0, l2_items=2.0, epochs=4) -> Baseline:
    model = Baseline(
        n_users=events.n_users, n_items=events.n_items, l2_users=l2_users, l2_items=l2_items, epochs=epochs
    )  # fmt: skip
    model.fit(events)
    return model


def by_hand(events, l2_users, l2_items, epochs):
    rows = list(zip(events.users, events.items, events.values, strict=True))
    mean = np.mean([value for _, _, value in rows], dtype=np.float64)
    user_bias, item_bias = dict.fromkeys(range(events.n_users), 0.0), {}
    for _ in range(epochs):
        for item in range(events.n_items):
            rest = [v - mean - user_bias[u] for u, i, v in rows if i == item]
            item_bias[item] = sum(rest) / (l2_items + len(rest)) if rest else 0.0
        for user in range(events.n_users):
            rest = [v - mean - item_bias[i] for u, i, v in rows if u == user]
            user_bias[user] = sum(rest) / (l2_users + len(rest)) if rest else 0.0
    return mean, list(user_bias.values()), list(item_bias.values())


@pytest.mark.parametrize(("l2_users", "l2_items", "epochs"), [(3.0, 2.0, 4), (0.0, 0.0, 1)])
def test_it_equals_the_sums_written_out(l2_users, l2_items, epochs):
    events = ratings()
    model = fitted(events, l2_users, l2_items, epochs)
    mean, user_bias, item_bias = by_hand(events, l2_users, l2_items, epochs)
    assert model.mean.item() == pytest.approx(mean)
    assert model.user_bias[:-1].tolist() == pytest.approx(user_bias, abs=1e-6)
    assert model.item_bias.tolist() == pytest.approx(item_bias, abs=1e-6)


def test_long_alternation_solves_the_penalised_least_squares():
    events = ratings()
    model = fitted(events, epochs=200)
    one_hot = np.zeros((len(events), events.n_users + events.n_items))
    one_hot[np.arange(len(events)), events.users] = 1
    one_hot[np.arange(len(events)), events.n_users + events.items] = 1
    penalty = np.diag([3.0] * events.n_users + [2.0] * events.n_items)
    above = events.values.astype(np.float64) - events.values.mean(dtype=np.float64)
    solution = np.linalg.solve(one_hot.T @ one_hot + penalty, one_hot.T @ above)
    biases = torch.cat([model.user_bias[:-1], model.item_bias]).numpy()
    assert np.abs(biases - solution).max() < 1e-5


def test_who_or_what_was_never_rated_has_no_bias():
    events = ratings()
    model = fitted(events)
    last_user, last_item = events.n_users - 1, events.n_items - 1
    predicted = model.predict(torch.tensor([last_user, -1]), torch.tensor([last_item, last_item]))
    assert predicted.tolist() == pytest.approx([model.mean.item()] * 2)

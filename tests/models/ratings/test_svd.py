"""Steps taken together are steps taken one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_cli.errors import DivergedError
from recsys_cli.models.ratings.svd import SVD, rounds
from recsys_cli.seeds import isolated, numpy_generator
from tests.models.ratings.examples import ratings


def unfitted(events, **given_settings) -> SVD:
    values = {"factors": 5, "epochs": 3, "lr": 0.05, "l2": 0.1, "init_sd": 0.3} | given_settings
    with isolated(0, "init"):
        return SVD(n_users=events.n_users, n_items=events.n_items, **values)


def test_it_equals_a_step_for_each_rating_in_turn():
    events = ratings()
    model = unfitted(events)
    p, q = model.users.double().numpy().copy(), model.items.double().numpy().copy()
    p[-2:], q[-1] = 0, 0
    user_bias, item_bias = np.zeros(len(p)), np.zeros(len(q))
    mean = events.values.mean(dtype=np.float64)
    model.fit(events)
    groups = rounds(events.users, events.items)
    for epoch in range(1, 4):
        for group in numpy_generator(0, "svd", epoch).permutation(len(groups)):
            for at in groups[group]:
                u, i = events.users[at], events.items[at]
                error = events.values[at] - mean - user_bias[u] - item_bias[i] - p[u] @ q[i]
                user_bias[u] += 0.05 * (error - 0.1 * user_bias[u])
                item_bias[i] += 0.05 * (error - 0.1 * item_bias[i])
                p[u], q[i] = (
                    p[u] + 0.05 * (error * q[i] - 0.1 * p[u]),
                    q[i] + 0.05 * (error * p[u] - 0.1 * q[i]),
                )
    for ours, theirs in (
        (model.users, p),
        (model.items, q),
        (model.user_bias, user_bias),
        (model.item_bias, item_bias),
    ):
        assert np.abs(ours.numpy() - theirs).max() < 1e-5


def test_it_learns_ratings_that_biases_cannot_tell():
    events = ratings(share=0.9)
    odd = (events.users % 2) ^ (events.items % 2)
    events.values[:] = np.where(odd, 5, 1)
    model = unfitted(events, epochs=200, l2=0.01)
    model.fit(events)
    users, items = (torch.from_numpy(c.astype(np.int64)) for c in (events.users, events.items))
    error = (model.predict(users, items) - torch.from_numpy(events.values)).abs().mean()
    assert error < 0.3


def test_who_or_what_was_never_rated_has_neither_bias_nor_vector():
    events = ratings()
    model = unfitted(events)
    model.fit(events)
    last_user, last_item = events.n_users - 1, events.n_items - 1
    predicted = model.predict(torch.tensor([last_user, -1]), torch.tensor([last_item] * 2))
    assert predicted.tolist() == pytest.approx([model.mean.item()] * 2)


def test_steps_that_are_too_large_are_told():
    events = ratings()
    events.values[:] *= 1000
    with pytest.raises(DivergedError, match="not finite after epoch"):
        unfitted(events, lr=1.0, epochs=50).fit(events)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60))
def test_no_user_and_no_item_is_twice_in_a_round(pairs):
    users, items = np.array(pairs).T
    groups = rounds(users, items)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(pairs)))
    for group in groups:
        assert len(np.unique(users[group])) == len(np.unique(items[group])) == len(group) > 0
    busiest = max(np.bincount(users).max(), np.bincount(items).max())
    assert busiest <= len(groups) < 2 * busiest

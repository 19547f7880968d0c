"""Multiplicative updates, against the same written out sum by sum."""

import numpy as np
import pytest
import torch

from recsys_cli.errors import ModelError
from recsys_cli.models.ratings.nmf import NMF
from recsys_cli.seeds import isolated
from tests.models.ratings.examples import ratings


def unfitted(events, epochs=3, l2=0.06) -> NMF:
    sizes = {"n_users": events.n_users, "n_items": events.n_items}
    with isolated(0, "init"):
        return NMF(factors=4, epochs=epochs, l2=l2, init_high=1.0, **sizes)


def one_epoch(p, q, events, l2):
    rows = list(zip(events.users, events.items, events.values.astype(float), strict=True))
    new_p, new_q = p.copy(), q.copy()
    for new, own, other, side in ((new_p, p, q, 0), (new_q, q, p, 1)):
        for code in range(len(own)):
            mine = [row for row in rows if row[side] == code]
            for f in range(4):
                above = sum(other[row[1 - side], f] * row[2] for row in mine)
                below = sum(other[row[1 - side], f] * (p[row[0]] @ q[row[1]]) for row in mine)
                below += l2 * len(mine) * own[code, f]
                new[code, f] = own[code, f] * above / below if below else 0.0
    return new_p, new_q


def test_it_equals_the_updates_written_out():
    events = ratings()
    model = unfitted(events)
    p, q = model.users[:-1].double().numpy().copy(), model.items.double().numpy().copy()
    for _ in range(3):
        p, q = one_epoch(p, q, events, 0.06)
    model.fit(events)
    assert np.abs(model.users[:-1].numpy() - p).max() < 1e-5
    assert np.abs(model.items.numpy() - q).max() < 1e-5
    assert (model.users >= 0).all()


def test_who_or_what_was_never_rated_is_given_the_mean():
    events = ratings()
    model = unfitted(events)
    model.fit(events)
    users = torch.tensor([0, -1, events.n_users - 1])
    items = torch.tensor([events.n_items - 1, 0, 0])
    assert model.predict(users, items).tolist() == pytest.approx([model.mean.item()] * 3)


def test_ratings_below_zero_are_refused():
    events = ratings()
    events.values[3] = -1
    with pytest.raises(ModelError, match="has -1"):
        unfitted(events).fit(events)

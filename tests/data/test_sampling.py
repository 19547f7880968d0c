"""Negatives."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.sampling import UnseenItems
from recsys_cli.seeds import generator


def test_draws_are_unseen_and_even():
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(5), 8)
    items = np.concatenate([random.permutation(12)[:8] for _ in range(5)])
    users, items = (
        np.append(users, 0),
        np.append(items, items[0]),
    )  # an event twice is one seen item
    x = from_columns(
        users=np.append(users, 5), items=np.append(items, 0)
    )  # user 5 has met one item
    sampler = UnseenItems(x, torch.device("cpu"))
    assert sampler.n_unseen.tolist() == [4, 4, 4, 4, 4, 11]
    everyone = torch.arange(6).repeat_interleave(500)
    drawn = sampler.draw(everyone, 8, generator(0, "test"))
    for user in range(6):
        seen = set(x.items[x.users == user].tolist())
        counts = torch.bincount(drawn[everyone == user].flatten(), minlength=12)
        assert {item for item in range(12) if counts[item]} == set(range(12)) - seen
        expected = 4000 / (12 - len(seen))
        chi_square = sum((float(c) - expected) ** 2 / expected for c in counts if c)
        assert chi_square < 30  # 99.9th percentile with 10 degrees of freedom is 29.6


def test_a_stream_repeats():
    x = from_columns(users=np.array([0, 1]), items=np.array([0, 5]))
    sampler = UnseenItems(x, torch.device("cpu"))
    users = torch.tensor([0, 1, 0])
    first = sampler.draw(users, 4, generator(1, "negatives", 1))
    assert torch.equal(first, sampler.draw(users, 4, generator(1, "negatives", 1)))
    assert set(first.flatten().tolist()) <= {0, 1}


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(0, 9),
)
def test_nobody_is_given_an_item_that_they_have_met(pairs, seed):
    users, items = (np.array(column) for column in zip(*[*pairs, (9, 0)], strict=True))
    x = from_columns(users=users, items=items)
    sampler = UnseenItems(x, torch.device("cpu"))
    met = [set(x.items[x.users == user].tolist()) for user in range(x.n_users)]
    assert sampler.n_unseen.tolist() == [x.n_items - len(own) for own in met]
    askable = torch.tensor(
        [user for user, own in enumerate(met) if len(own) < x.n_items], dtype=torch.int64
    )
    drawn = sampler.draw(askable, 20, generator(seed, "test")).tolist()
    for user, row in zip(askable.tolist(), drawn, strict=True):
        assert set(row) <= set(range(x.n_items)) - met[user]

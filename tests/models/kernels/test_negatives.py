"""The compiled draw of unseen items is the draw of torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.sampling import UnseenItems
from recsys_cli.models.kernels.negatives import CompiledUnseenItems
from recsys_cli.seeds import generator

CPU = torch.device("cpu")
CompiledUnseenItems.compile()  # no example waits for it


def both(x, users, count):
    return [
        kind(x, CPU).draw(users, count, generator(0, "test"))
        for kind in (UnseenItems, CompiledUnseenItems)
    ]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 11)), min_size=1, max_size=60),
    st.integers(1, 9),
)
def test_it_draws_what_torch_draws(events, count):
    columns = np.array([*events, (7, 12)])  # user 7 has met one item; item 12 is nobody else's
    x = from_columns(users=columns[:, 0], items=columns[:, 1])
    users = torch.randint(0, x.n_users, (50,), generator=generator(1, "users"))
    for given_order in (users, users.sort().values):
        plain, compiled = both(x, given_order, count)
        assert torch.equal(plain, compiled)


@pytest.mark.parametrize("count", [1, 4])
def test_of_all_users_of_real_size(count):
    random = np.random.default_rng(0)
    keys = np.unique(random.integers(0, 300 * 500, 20_000))
    x = from_columns(users=keys // 500, items=keys % 500)
    plain, compiled = both(x, torch.from_numpy(x.users.astype(np.int64)), count)
    assert torch.equal(plain, compiled)
    drawn = (x.users[:, None].astype(np.int64) * x.n_items + compiled.numpy()).ravel()
    assert not np.isin(drawn, x.users.astype(np.int64) * x.n_items + x.items).any()

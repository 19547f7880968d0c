"""Distinct keys are what numpy's own `unique` finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.distinct import distinct


@given(st.lists(st.integers(-5, 2**62) | st.integers(0, 9), max_size=40))
def test_it_is_what_unique_finds(keys):
    given_keys = np.array(keys, np.int64)
    found = distinct(given_keys)
    assert found.dtype == np.int64
    assert found.tolist() == np.unique(given_keys).tolist()
    assert given_keys.tolist() == keys

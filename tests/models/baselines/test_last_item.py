"""Shared users, counted by hand."""

import numpy as np
import pytest

from recsys_cli.models.baselines.last_item import LastItem
from tests.models.baselines.examples import dense, histories, some_events


@pytest.mark.parametrize("smoothing", [1e-9, 3.0])
def test_it_is_the_share_of_the_last_items_users(smoothing):
    events = some_events()
    model = LastItem(n_items=12, followers=12, smoothing=smoothing)
    model.fit(events)
    matrix = dense(events)
    popularity = events.item_counts / len(events)
    for last in range(12):
        met = matrix[matrix[:, last] > 0]
        shared = met.sum(axis=0) * (np.arange(12) != last)
        expected = (shared + smoothing * popularity) / (len(met) + smoothing)
        found = model.score(histories([3, last]))[0].numpy()
        assert found == pytest.approx(expected, abs=1e-6)

"""Popularity of the last days."""

import numpy as np
import pytest

from recsys_cli.data.context import ContextFacts
from recsys_cli.data.interactions import from_columns
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.recent_popularity import RecentPopularity
from tests.models.baselines.examples import histories

DAY = 86_400


def make(n_items, window_days, span=(0, 1)):
    facts = ContextFacts({}, span)
    return RecentPopularity(n_items=n_items, context_facts=facts, window_days=window_days)


def test_only_the_last_days_of_training_count():
    events = from_columns(
        users=np.array([0, 0, 1, 1, 2]),
        items=np.array([0, 1, 0, 1, 2]),
        times=np.array([0, 8 * DAY, 3 * DAY, 9 * DAY, 10 * DAY]),
    )
    model = make(3, 2.0)
    model.fit(events)
    assert model.score(histories([0])).tolist() == [
        [0, 1, 1]
    ]  # exactly 2 days before the end is outside
    longer = make(3, 7.5)
    longer.fit(events)
    assert longer.score(histories([0])).tolist() == [[1, 2, 1]]


def test_data_without_times_is_refused():
    with pytest.raises(ModelError, match="needs the times"):
        make(12, 7.0, span=None)

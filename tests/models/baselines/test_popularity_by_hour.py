"""Popularity by hour, counted by hand."""

import numpy as np
import pytest
import torch

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.popularity_by_hour import PopularityByHour


def test_an_hour_has_its_own_list_as_far_as_it_has_events():
    """Three events at 7 o'clock, one at 20 on another day; all four count once more for each hour."""
    times = np.array([7, 7, 7, 20 + 48]) * 3_600 + 59
    model = PopularityByHour(n_items=2, smoothing=4.0)
    model.fit(from_columns(users=np.arange(4), items=np.array([0, 0, 1, 1]), times=times))

    shares = model.score(Queries(now=torch.tensor([7, 20, 3, 7 + 24]) * 3_600))

    expected = [[(2 + 2) / 7, (1 + 2) / 7], [2 / 5, (1 + 2) / 5], [0.5, 0.5], [4 / 7, 3 / 7]]
    assert torch.allclose(shares, torch.tensor(expected))


def test_without_times_it_is_refused():
    with pytest.raises(ModelError, match="needs the times"):
        PopularityByHour(n_items=1, smoothing=1.0).fit(
            from_columns(users=np.arange(2), items=np.zeros(2, int))
        )

"""Popularity by hour, counted by hand."""

import numpy as np
import pytest
import torch

from recsys_cli.data.context import ContextFacts
from recsys_cli.data.interactions import from_columns
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ConfigError, ModelError
from recsys_cli.models.baselines.popularity_by_hour import PopularityByHour


def make(by="hour", sizes=None):
    facts = ContextFacts(sizes or {}, None)
    return PopularityByHour(n_items=2, context_facts=facts, by=by, smoothing=4.0)


def test_an_hour_has_its_own_list_as_far_as_it_has_events():
    """Three events at 7 o'clock, one at 20 on another day; all four count once more for each hour."""
    times = np.array([7, 7, 7, 20 + 48]) * 3_600 + 59
    model = make()
    model.fit(from_columns(users=np.arange(4), items=np.array([0, 0, 1, 1]), times=times))

    shares = model.score(Queries(now=torch.tensor([7, 20, 3, 7 + 24]) * 3_600))

    expected = [[(2 + 2) / 7, (1 + 2) / 7], [2 / 5, (1 + 2) / 5], [0.5, 0.5], [4 / 7, 3 / 7]]
    assert torch.allclose(shares, torch.tensor(expected))


def test_without_times_it_is_refused():
    with pytest.raises(ModelError, match="needs the times"):
        make().fit(from_columns(users=np.arange(2), items=np.zeros(2, int)))


def test_a_column_of_the_data_may_stand_for_the_hour():
    model = make("daytime", {"daytime": 3})
    x = from_columns(
        users=np.arange(4),
        items=np.array([0, 0, 1, 1]),
        context={"daytime": np.array([2, 2, 2, 0])},
    )
    model.fit(x)
    shares = model.score(Queries(asked={"daytime": torch.tensor([2, 0])}))
    assert torch.allclose(shares, torch.tensor([[4 / 7, 3 / 7], [2 / 5, 3 / 5]]))


@pytest.mark.parametrize("by", ["daytme", "event_type", "gap"])
def test_what_is_not_known_by_then_is_refused(by):
    with pytest.raises(ConfigError, match=f"model.by='{by}' is no moment"):
        make(by, {"daytime": 3, "event_type": 2})

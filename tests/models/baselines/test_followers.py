"""Chances after one item, against the definition."""

import numpy as np
import pytest
import torch
from scipy import sparse

from recsys_cli.data.interactions import from_columns
from recsys_cli.models.baselines import followers
from recsys_cli.models.baselines.followers import Followers

SEEN = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
EVENTS = from_columns(users=np.arange(10), items=np.repeat([0, 1, 2], [5, 4, 1]))
POPULARITY = np.array([0.5, 0.4, 0.1])


def make(followers: int, smoothing: float = 2.0) -> Followers:
    model = Followers(n_items=3, followers=followers, smoothing=smoothing)
    model.keep(lambda rows: sparse.csr_array(SEEN[rows]), SEEN.sum(axis=1), EVENTS)
    return model


@pytest.mark.parametrize("block", [2, 1024])
def test_it_is_its_definition(block, monkeypatch):
    monkeypatch.setattr(followers, "BLOCK_ITEMS", block)
    expected = (SEEN + 2 * POPULARITY) / (SEEN.sum(axis=1, keepdims=True) + 2)
    found = make(3)(torch.arange(3)).numpy()
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_without_an_item_and_after_one_of_which_nothing_is_known_it_is_popularity():
    found = make(3)(torch.tensor([-1, 2])).numpy()
    assert found == pytest.approx(np.stack([POPULARITY, POPULARITY]), abs=1e-6)


def test_the_rarest_are_left_to_popularity():
    found = make(1)(torch.tensor([0]))[0].numpy()
    assert found == pytest.approx([1 / 6, 3.8 / 6, 0.2 / 6], abs=1e-6)

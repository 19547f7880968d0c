"""Transitions, counted by hand."""

import numpy as np
import pytest

from recsys_cli.data.interactions import from_columns
from recsys_cli.models.baselines.markov import Markov
from tests.models.baselines.examples import histories

EVENTS = from_columns(
    users=np.array([0, 0, 0, 0, 1, 1, 2]),
    items=np.array([0, 1, 0, 1, 2, 0, 1]),
    times=np.array([10, 20, 30, 40, 5, 6, 7]),
)


def test_it_counts_what_came_right_after():
    """0 > 1 > 0 > 1, 2 > 0: from 0 only to 1, from 1 to 0; nothing from one user to the next."""
    model = Markov(n_items=3, followers=3, smoothing=1e-6)
    model.fit(EVENTS)
    scores = model.score(histories([2, 0], [0, 1], [1, 2])).numpy()
    assert scores == pytest.approx(np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0]]), abs=1e-5)


def test_only_the_last_event_and_only_its_order_counts():
    model = Markov(n_items=3, followers=3, smoothing=1.0)
    model.fit(EVENTS)
    one, other, turned = model.score(histories([2, 1, 0], [1, 0], [0, 1]))
    assert one.tolist() == other.tolist()
    assert one.tolist() != turned.tolist()


def test_smoothing_is_so_many_events_that_are_as_all_others():
    model = Markov(n_items=3, followers=3, smoothing=7.0)
    model.fit(EVENTS)
    expected = [(0 + 3) / 9, (2 + 3) / 9, (0 + 1) / 9]
    assert model.score(histories([0]))[0].tolist() == pytest.approx(expected)
    assert model.score(histories([]))[0].tolist() == pytest.approx([3 / 7, 3 / 7, 1 / 7])

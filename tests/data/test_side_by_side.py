"""Sessions side by side: who is in which lane when, and what a step holds."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.batches import Draws
from recsys_cli.data.interactions import from_columns
from recsys_cli.data.side_by_side import SideBySideBatches, schedule
from recsys_cli.errors import ConfigError, DataError

CPU = torch.device("cpu")


def sessions(sizes, starts=None):
    """Session s has the items 10 s, 10 s + 1, ... at moments from its start on."""
    users = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(users)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    begin = np.arange(len(sizes)) if starts is None else np.array(starts)
    items = 10 * users + place
    return from_columns(users=users, items=items, times=begin[users] * 1_000 + place)


def batches(x, lanes=2, longest=100, negatives=None, batch_size=None, **own):
    model = SimpleNamespace(lanes=lanes, history_length=longest, negatives=negatives, **own)
    return SideBySideBatches(x, model, batch_size=batch_size or lanes, seed=0, device=CPU)


def raw(x, codes):
    """Items as `sessions` called them."""
    return [int(x.item_ids.ids[code]) for code in codes.tolist()]


def test_a_lane_that_is_free_takes_the_next_session_and_at_the_end_there_are_fewer():
    x = sessions([3, 2, 1, 3, 2], starts=[0, 1, 2, 3, 4])
    found = [
        (raw(x, b.items), raw(x, b.targets), b.lanes.tolist(), b.first.tolist())
        for b in batches(x).epoch(1)
    ]
    assert found == [
        ([0, 10], [1, 11], [0, 1], [True, True]),
        ([1, 30], [2, 31], [0, 1], [False, True]),  # a session of one event predicts nothing
        ([40, 31], [41, 32], [0, 1], [True, False]),
    ]
    found = [(raw(x, b.items), b.lanes.tolist()) for b in batches(x, lanes=3).epoch(1)]
    assert found == [([0, 10, 30], [0, 1, 2]), ([1, 40, 31], [0, 1, 2])]
    one = [(raw(x, b.items), b.lanes.tolist()) for b in batches(x, lanes=1).epoch(1)]
    assert one == [([i], [0]) for i in (0, 1, 10, 30, 31, 40)]


def test_sessions_come_in_the_order_in_which_they_began():
    x = sessions([2, 2, 2], starts=[7, 3, 5])
    assert [raw(x, b.items)[0] for b in batches(x, lanes=1).epoch(1)] == [10, 20, 0]


def test_a_session_that_is_too_long_is_cut_as_windows_are():
    x = sessions([5])
    found = [(raw(x, b.items)[0], b.first.tolist()) for b in batches(x, 1, longest=3).epoch(1)]
    assert found == [(0, [True]), (1, [True]), (2, [False]), (3, [False])]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=20), st.integers(1, 6))
def test_no_lane_is_idle_while_a_session_waits(lengths, n_lanes):
    lanes, steps = schedule(np.array(lengths), n_lanes)
    taken = [
        (int(lane), int(step) + t)
        for lane, step, length in zip(lanes, steps, lengths, strict=True)
        for t in range(length)
    ]
    assert len(set(taken)) == len(taken), "no two at once in a lane"
    assert (np.diff(steps) >= 0).all()
    busy = np.bincount([t for _, t in taken])
    assert (busy[: int(steps.max())] == n_lanes).all()


def test_an_epoch_can_be_repeated_and_only_its_draws_are_its_own():
    x = sessions([3, 2, 4])
    drawing = batches(x, negatives=4, draws=Draws(power=0.5))
    one, again, other = (list(drawing.epoch(n)) for n in (1, 1, 2))
    assert len(one) == len(drawing) == 4
    assert sum(map(len, one)) == drawing.n_examples == 6
    for a, b, c in zip(one, again, other, strict=True):
        assert torch.equal(a.items, c.items)
        assert torch.equal(a.negatives.items, b.negatives.items)
        assert a.negatives.items.shape == (4,)
    assert not all(
        torch.equal(a.negatives.items, c.negatives.items) for a, c in zip(one, other, strict=True)
    )


def test_a_step_of_another_size_and_no_sequence_are_errors():
    with pytest.raises(ConfigError, match=r"model.lanes=2 and trainer.batch_size=64"):
        batches(sessions([3]), batch_size=64)
    with pytest.raises(DataError, match="no user has two events"):
        batches(sessions([1, 1]))

"""What gradient descent reads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.batches import Draws, PairBatches, SequenceBatches, windows
from recsys_cli.data.interactions import from_columns
from recsys_cli.errors import DataError

CPU = torch.device("cpu")


def pairs(x, seed=0, batch_size=7, negatives=2):
    return PairBatches(
        x, SimpleNamespace(negatives=negatives), batch_size=batch_size, seed=seed, device=CPU
    )


def sequences(x, longest=4, batch_size=6, seed=0, negatives=None, reads=("items", "times"), **own):
    model = SimpleNamespace(
        history_length=longest, negatives=negatives, reads=frozenset(reads), **own
    )
    return SequenceBatches(x, model, batch_size=batch_size, seed=seed, device=CPU)


def test_an_epoch_of_pairs_has_every_event_once_with_unseen_negatives(checkerboard):
    batches = pairs(checkerboard)
    epoch = list(batches.epoch(1))
    assert len(epoch) == len(batches) == -(-320 // 7)
    found = sorted(
        (u, i) for b in epoch for u, i in zip(b.users.tolist(), b.items.tolist(), strict=True)
    )
    assert found == sorted(
        zip(checkerboard.users.tolist(), checkerboard.items.tolist(), strict=True)
    )
    seen = set(found)
    drawn = [
        (u, i)
        for b in epoch
        for u, row in zip(b.users.tolist(), b.negatives.tolist(), strict=True)
        for i in row
    ]
    assert len(drawn) == 640
    assert not seen & set(drawn)


def test_an_epoch_can_be_repeated_without_its_predecessors(checkerboard):
    straight = [list(pairs(checkerboard).epoch(n)) for n in (1, 2, 3)][2]
    alone = list(pairs(checkerboard).epoch(3))
    for a, b in zip(straight, alone, strict=True):
        assert torch.equal(a.items, b.items)
        assert torch.equal(a.negatives, b.negatives)
    other = list(pairs(checkerboard, seed=1).epoch(3))
    assert not torch.equal(other[0].items, alone[0].items)


def test_users_who_have_met_everything_are_left_out():
    x = from_columns(users=np.array([0, 0, 1]), items=np.array([0, 1, 0]))
    assert pairs(x).n_examples == 1
    with pytest.raises(DataError, match="met every item"):
        pairs(from_columns(users=np.array([0, 0]), items=np.array([0, 1])))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 9))
def test_windows_cover_every_input_once_and_the_latest_are_whole(sizes, longest):
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    starts, lengths = windows(offsets, longest)
    covered = [
        row
        for start, length in zip(starts, lengths, strict=True)
        for row in range(start, start + length)
    ]
    inputs = [
        row
        for user, size in enumerate(sizes)
        for row in range(offsets[user], offsets[user] + size - 1)
    ]
    assert sorted(covered) == inputs
    assert all(1 <= length <= longest for length in lengths)
    latest = {start + length for start, length in zip(starts, lengths, strict=True)}
    assert {offsets[u] + size - 1 for u, size in enumerate(sizes) if size > 1} <= latest


def test_sequences_predict_the_next_event_and_know_its_moment():
    x = from_columns(users=np.array([0] * 6 + [1] * 3), items=np.arange(9), times=np.arange(9) * 10)
    batches = sequences(x)
    assert batches.n_examples == 7
    found = []
    for batch in batches.epoch(1):
        real = batch.real
        found += list(
            zip(
                *(c[real].tolist() for c in (batch.items, batch.times, batch.targets, batch.now)),
                strict=True,
            )
        )
        assert (batch.items[~real] == 0).all()
    assert sorted(found) == [(i, i * 10, i + 1, (i + 1) * 10) for i in (0, 1, 2, 3, 4, 6, 7)]


def test_batches_of_sequences_are_of_like_length_and_bounded():
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(50), random.integers(1, 40, 50))
    x = from_columns(users=users, items=random.integers(0, 9, len(users)))
    batches = sequences(x, longest=20, batch_size=64)
    epoch = list(batches.epoch(2))
    assert len(epoch) == len(batches)
    assert max(len(batch) for batch in epoch) <= 64
    padding = 1 - sum(len(b) for b in epoch) / sum(b.real.numel() for b in epoch)
    assert padding < 0.15
    assert epoch[0].times is None


def uneven(n_users=200):
    """Events of users with 2 to 39 of them, which repeat no pair of item and moment."""
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(n_users), random.integers(2, 40, n_users))
    return from_columns(
        users=users, items=random.integers(0, 50, len(users)), times=np.arange(len(users))
    )


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1_000_000])
def test_every_epoch_has_as_many_steps_and_each_target_once(batch_size):
    x = uneven()
    batches = sequences(x, longest=20, batch_size=batch_size)
    expected = sorted(np.delete(x.times, x.offsets[:-1]).tolist())
    for number in (1, 2, 3):
        epoch = list(batches.epoch(number))
        assert len(epoch) == len(batches)
        assert max(len(b) for b in epoch) <= max(batch_size, 20)
        assert sorted(t for b in epoch for t in b.now[b.real].tolist()) == expected


def test_windows_of_like_length_meet_in_other_batches_each_epoch():
    batches = sequences(uneven(), longest=20, batch_size=64)

    def together(number):
        return {frozenset(b.now[:, 0].tolist()) for b in batches.epoch(number)}

    assert len(together(1) & together(2)) < len(batches) / 4


def test_an_epoch_of_sequences_can_be_repeated_without_its_predecessors():
    straight = [list(sequences(uneven(), negatives=9).epoch(n)) for n in (1, 2, 3)]
    alone = list(sequences(uneven(), negatives=9).epoch(3))
    for a, b in zip(straight[2], alone, strict=True):
        assert torch.equal(a.items, b.items)
        assert torch.equal(a.negatives.items, b.negatives.items)
    assert not torch.equal(alone[0].negatives.items, alone[1].negatives.items)
    other = next(sequences(uneven(), negatives=9, seed=1).epoch(3))
    assert not torch.equal(other.negatives.items, alone[0].negatives.items)


def test_negatives_are_drawn_half_by_events_and_half_evenly():
    x = from_columns(users=np.arange(8) // 2, items=np.array([0, 0, 0, 0, 0, 0, 1, 2]))
    chance = np.array([(6 / 8 + 1 / 3) / 2, (1 / 8 + 1 / 3) / 2, (1 / 8 + 1 / 3) / 2])
    drawn = next(sequences(x, negatives=200_000).epoch(1)).negatives
    assert np.allclose(drawn.log_chance.exp(), chance, atol=1e-6)
    found = np.bincount(drawn.items, minlength=3) / 200_000
    assert np.allclose(found, chance, atol=0.005)
    assert next(sequences(x).epoch(1)).negatives is None


@pytest.mark.parametrize(
    ("power", "expected"),
    [(0.0, [1 / 3] * 3), (1.0, [0.6, 0.3, 0.1]), (0.5, [0.473, 0.334, 0.193])],
)
def test_negatives_are_drawn_by_a_power_of_the_events(power, expected):
    x = of([(user, item) for item, n in enumerate([6, 3, 1]) for user in range(n)])
    drawn = next(sequences(x, negatives=200_000, draws=Draws(power=power)).epoch(1)).negatives
    shares = drawn.items.bincount(minlength=3) / len(drawn.items)
    assert torch.allclose(shares, torch.tensor(expected), atol=0.01)
    assert torch.allclose(drawn.log_chance.exp(), torch.tensor(expected), atol=0.001)


def test_every_position_may_have_draws_of_its_own():
    batches = sequences(uneven(), negatives=3, draws=Draws(power=0.0, each=True))
    batch = next(batches.epoch(1))
    assert batch.negatives.items.shape == (*batch.items.shape, 3)
    assert len(batch.negatives.items.unique()) > 3
    last = torch.tensor([batch.items.numel() - 1])
    assert torch.equal(batch.negatives.at(last).items[0], batch.negatives.items[-1, -1])
    shared = next(sequences(uneven(), negatives=3).epoch(1)).negatives
    assert shared.at(last) is shared


def test_moments_are_left_out_where_the_model_does_not_read_them():
    batch = next(sequences(uneven(), reads=("items",)).epoch(1))
    assert batch.times is None
    assert batch.now is None


def test_columns_are_those_of_each_event_and_of_the_next_as_far_as_it_tells_them_beforehand():
    context = {"weather": np.array([3, 4, 5]), "event_type": np.array([0, 1, 1])}
    x = from_columns(users=np.zeros(3, int), items=np.arange(3), context=context)
    (batch,) = sequences(x, reads=("items", *(f"context.{name}" for name in context))).epoch(0)
    told, asked = (
        {name: codes.tolist() for name, codes in columns.items()}
        for columns in (batch.context, batch.asked)
    )
    assert told == {"weather": [[3, 4]], "event_type": [[0, 1]]}
    assert asked == {"weather": [[4, 5]]}
    (plain,) = sequences(x, reads=("items",)).epoch(0)
    assert (plain.context, plain.asked) == ({}, {})


def test_no_sequence_is_an_error():
    with pytest.raises(DataError, match="two events"):
        sequences(from_columns(users=np.array([0, 1]), items=np.array([0, 1])))


EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=40)


def of(lines):
    users, items = (np.array(column) for column in zip(*lines, strict=True))
    return from_columns(users=users, items=items, times=np.arange(len(lines)) * 10)


@given(EVENTS, st.integers(1, 9), st.integers(1, 3))
def test_an_epoch_of_any_pairs_is_every_event_of_whoever_has_an_unseen_item(lines, size, epoch):
    x = of([*lines, (6, 0)])
    met = [set(x.items[x.users == user].tolist()) for user in range(x.n_users)]
    expected = sorted(
        (u, i)
        for u, i in zip(x.users.tolist(), x.items.tolist(), strict=True)
        if len(met[u]) < x.n_items
    )
    if not expected:
        with pytest.raises(DataError):
            pairs(x, batch_size=size)
        return
    batches = pairs(x, batch_size=size)
    found = list(batches.epoch(epoch))
    assert len(found) == len(batches)
    assert all(len(batch) <= size for batch in found)
    told = [pair for b in found for pair in zip(b.users.tolist(), b.items.tolist(), strict=True)]
    assert sorted(told) == expected
    assert not any(
        set(row) & met[u]
        for b in found
        for u, row in zip(b.users.tolist(), b.negatives.tolist(), strict=True)
    )


@given(EVENTS, st.integers(1, 6), st.integers(1, 12), st.integers(1, 3))
def test_an_epoch_of_any_sequences_predicts_every_event_but_the_first_once(
    lines, longest, size, epoch
):
    x = of(lines)
    expected = sorted(
        (int(x.times[row - 1]), int(x.times[row]))
        for row in range(1, len(x))
        if x.users[row] == x.users[row - 1]
    )
    if not expected:
        with pytest.raises(DataError):
            sequences(x, longest=longest, batch_size=size)
        return
    batches = sequences(x, longest=longest, batch_size=size)
    found = list(batches.epoch(epoch))
    assert len(found) == len(batches)
    assert sum(map(len, found)) == batches.n_examples == len(expected)
    assert all(len(batch) <= size or batch.items.shape[0] == 1 for batch in found)
    moments = [
        pair
        for b in found
        for pair in zip(b.times[b.real].tolist(), b.now[b.real].tolist(), strict=True)
    ]
    assert sorted(moments) == expected

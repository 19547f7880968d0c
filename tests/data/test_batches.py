"""What gradient descent reads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.batches import PairBatches, SequenceBatches, windows
from recsys_cli.data.interactions import from_columns
from recsys_cli.errors import DataError

CPU = torch.device("cpu")


def pairs(x, seed=0, batch_size=7, negatives=2):
    return PairBatches(
        x, SimpleNamespace(negatives=negatives), batch_size=batch_size, seed=seed, device=CPU
    )


def sequences(x, longest=4, batch_size=6, seed=0):
    return SequenceBatches(
        x, SimpleNamespace(history_length=longest), batch_size=batch_size, seed=seed, device=CPU
    )


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

"""Splits user by user, and of whole users."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.split import DAY_SECONDS, Split
from recsys_cli.data.user_splits import (
    _by_user_and,
    leave_last_out,
    per_user_ratio,
    user_holdout,
)
from recsys_cli.errors import DataError


def events(part: Interactions) -> set[int]:
    return set(part.rows.tolist())


@pytest.fixture
def month() -> Interactions:
    """Three users, an event a day for 40 days, in turn."""
    days = np.arange(40)
    return from_columns(users=days % 3, items=days, times=1_000_000_000 + days * DAY_SECONDS)


def ratio(x: Interactions, **settings: object) -> Split:
    given = {"seed": 0, "valid_ratio": 0.1, "test_ratio": 0.2, "chronological": False} | settings
    return per_user_ratio(interactions=x, **given)  # type: ignore[arg-type]


def test_leave_last_out_takes_the_two_latest_of_each_user(month):
    split = leave_last_out(interactions=month, min_events=3)
    assert events(split.test.targets) == {39, 38, 37}
    assert events(split.valid.targets) == {36, 35, 34}
    assert split.leaks


def test_equal_times_are_cut_in_file_order():
    x = from_columns(users=np.zeros(5, int), items=np.array([9, 8, 7, 6, 5]), times=np.full(5, 100))
    split = leave_last_out(interactions=x, min_events=3)
    assert split.test.targets.item_ids.decode(split.test.targets.items).tolist() == [5]
    assert split.valid.targets.item_ids.decode(split.valid.targets.items).tolist() == [6]


def test_short_histories_stay_in_training():
    x = from_columns(users=np.array([1, 1, 2, 2, 2, 2]), items=np.arange(6), times=np.arange(6))
    split = leave_last_out(interactions=x, min_events=3)
    assert events(split.test.targets) == {5}
    assert {0, 1} <= events(split.train)


@given(size=st.integers(1, 60), seed=st.integers(0, 3))
def test_a_ratio_takes_its_floor_of_each_user(size, seed):
    x = from_columns(
        users=np.repeat([0, 1], [20, size]), items=np.arange(20 + size), times=np.arange(20 + size)
    )
    split = ratio(x, seed=seed)
    assert np.bincount(split.test.targets.users, minlength=2).tolist() == [4, size * 2 // 10]
    assert np.bincount(split.valid.targets.users, minlength=2).tolist() == [2, size // 10]


def test_a_tenth_of_ten_is_one():
    x = from_columns(users=np.zeros(10, int), items=np.arange(10), times=np.arange(10))
    split = ratio(x, valid_ratio=0.1, test_ratio=0.3)
    assert (len(split.valid.targets), len(split.test.targets)) == (1, 3)


def test_the_latest_or_a_draw_that_its_seed_repeats(month):
    latest = ratio(month, chronological=True)
    assert events(latest.test.targets) == {39, 38, 37, 36, 35, 34}
    assert ratio(month, seed=1).hash == ratio(month, seed=1).hash
    assert ratio(month, seed=1).hash != ratio(month, seed=2).hash


def test_ratios_that_leave_nothing_are_refused(month):
    with pytest.raises(DataError, match="nothing is left"):
        ratio(month, valid_ratio=0.5, test_ratio=0.5)
    with pytest.raises(DataError) as caught:
        ratio(month, valid_ratio=0.75, test_ratio=0.5)
    assert caught.value.line == (
        "split.valid_ratio + split.test_ratio is 1.25: nothing is left for training; let them add up to less than 1"
    )


def many() -> Interactions:
    """60 users with 4 to 12 of 40 items each, in a file that is in no order."""
    generator = np.random.default_rng(3)
    users = np.repeat(np.arange(60), generator.integers(4, 13, 60))
    order = generator.permutation(len(users))
    return from_columns(users=users[order] * 10 + 7, items=generator.integers(0, 40, len(users)))


def held_out(x: Interactions, **settings: object) -> Split:
    given = {"held_out_users": 10, "target_ratio": 0.2, "min_events": 5, "seed": 98765} | settings
    return user_holdout(interactions=x, **given)  # type: ignore[arg-type]


def test_held_out_users_are_the_last_of_the_shuffled_ones_and_never_trained_on():
    x = many()
    split = held_out(x)
    order = np.random.RandomState(98765).permutation(60)
    asked = {"valid": order[40:50], "test": order[50:]}
    assert set(split.train.users.tolist()) == set(order[:40].tolist())
    for name, users in asked.items():
        part = getattr(split, name)
        assert set(part.history.users.tolist()) == set(users.tolist())
        assert not part.warm_users[part.users].any()


def test_a_fifth_of_their_events_are_targets_drawn_in_file_order():
    x = many()
    split = held_out(x)
    draw = np.random.RandomState(98765)
    known = np.isin(x.items, split.train.items)
    for user in sorted(set(split.test.history.users.tolist())):
        own = np.sort(x.rows[(x.users == user) & known])
        n_targets = len(own) // 5 if len(own) >= 5 else 0
        drawn = draw.choice(len(own), n_targets, replace=False) if len(own) >= 5 else []
        expected = set(own[drawn].tolist()) if n_targets else set()
        assert events(split.test.targets.take(split.test.targets.users == user)) == expected
        assert (
            len(split.test.history.take(split.test.history.users == user)) == len(own) - n_targets
        )


def test_items_that_no_training_user_has_are_dropped_and_counted():
    x = from_columns(
        users=np.repeat(np.arange(9), 6), items=np.concatenate([np.tile(np.arange(6), 8), np.arange(3, 9)])
    )  # fmt: skip
    last = next(s for s in range(50) if np.random.RandomState(s).permutation(9)[-1] == 8)
    split = held_out(x, held_out_users=1, seed=last, min_events=2, target_ratio=0.5)
    assert split.dropped == {"items that no training user has": 3}
    assert set(split.test.history.items.tolist()) | set(split.test.targets.items.tolist()) == {
        3,
        4,
        5,
    }
    assert len(split.test.targets) == 1


def test_users_with_few_events_are_not_asked():
    x = from_columns(users=np.repeat(np.arange(30), 4), items=np.tile(np.arange(4), 30))
    with pytest.raises(DataError, match="the test part"):
        held_out(x, min_events=5)
    assert len(held_out(x, min_events=4, target_ratio=0.25).test.users) == 10


@pytest.mark.parametrize("held", [30, 31])
def test_somebody_must_be_left_to_train_on(held):
    with pytest.raises(DataError) as caught:
        held_out(many(), held_out_users=held)
    assert caught.value.line == (
        f"split.held_out_users={held} for validation and as many for the test of 60 users: "
        "nobody is left for training; hold out fewer, such as split.held_out_users=6"
    )
    assert len(np.unique(held_out(many(), held_out_users=29).train.users)) == 2


@pytest.mark.parametrize("apart", [1.0, 1e-12])
def test_events_are_in_the_order_of_their_users_and_draws_however_close_these_are(apart):
    """Sums of a large code and draws that are closer than rounding tells are equal."""
    users = np.repeat(np.array([3, 2**30, 2**30 + 1], dtype=np.int32), 50)
    draw = np.random.default_rng(0).random(150) * apart
    assert (_by_user_and(draw, users) == np.lexsort((draw, users))).all()

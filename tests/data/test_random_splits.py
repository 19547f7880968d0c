"""Draws over the whole file, bit for bit those of other programs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.filters import steps
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.movielens import ml_1m, ml_100k
from recsys_cli.data.random_splits import k_fold, recbole
from recsys_cli.data.split import Split
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.progress import Silent


def events(part: Interactions) -> set[int]:
    return set(part.rows.tolist())


@pytest.fixture
def file() -> Interactions:
    """103 lines of 7 users in no order, with times that go another way than the lines."""
    generator = np.random.default_rng(1)
    return from_columns(
        users=generator.integers(0, 7, 103),
        items=generator.integers(0, 50, 103),
        times=generator.permutation(103),
    )


def fold(x: Interactions, number: int, **settings: object) -> Split:
    given = {"folds": 5, "fold": number, "valid_ratio": 0, "seed": 0} | settings
    return k_fold(interactions=x, **given)  # type: ignore[arg-type]


def test_folds_are_slices_of_the_shuffled_lines(file):
    order = np.arange(103)
    np.random.RandomState(0).shuffle(order)
    sizes = [21, 21, 21, 20, 20]
    for number, lines in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
        split = fold(file, number)
        assert events(split.test.targets) == set(lines.tolist())
        assert events(split.train) == set(range(103)) - set(lines.tolist())
        assert len(split.valid.users) == 0


def test_validation_is_drawn_from_the_other_folds(file):
    with_validation, without = fold(file, 2, valid_ratio=0.25), fold(file, 2)
    assert with_validation.test.targets.digest() == without.test.targets.digest()
    assert len(with_validation.valid.targets) == 82 // 4
    assert events(with_validation.test.history) == events(without.train)
    assert with_validation.hash == fold(file, 2, valid_ratio=0.25).hash
    drawn = {
        frozenset(events(fold(file, 2, valid_ratio=0.25, seed=s).valid.targets)) for s in (0, 1)
    }
    assert len(drawn) == 2


def test_folds_are_counted_from_0(file):
    with pytest.raises(ConfigError) as caught:
        fold(file, 5)
    assert caught.value.line == (
        "split.fold=5 and split.folds=5: folds are counted from 0; give split.fold=0 to 4"
    )


def test_a_users_lines_are_dealt_in_the_shuffled_order(file):
    split = recbole(interactions=file, valid_ratio=0.1, test_ratio=0.2, seed=2020)
    order = torch.randperm(103, generator=torch.Generator().manual_seed(2020)).tolist()
    user_of = dict(zip(file.rows.tolist(), file.users.tolist(), strict=True))
    expected: dict[str, set[int]] = {"train": set(), "valid": set(), "test": set()}
    for user in range(7):
        own = [line for line in order if user_of[line] == user]
        n_valid, n_test = len(own) // 10, len(own) // 5
        start = len(own) - n_valid - n_test
        expected["train"] |= set(own[:start])
        expected["valid"] |= set(own[start : start + n_valid])
        expected["test"] |= set(own[start + n_valid :])
    assert events(split.train) == expected["train"]
    assert events(split.valid.targets) == expected["valid"]
    assert events(split.test.targets) == expected["test"]
    assert events(split.test.history) == expected["train"]
    assert events(split.test.seen) == expected["train"] | expected["valid"]
    assert split.leaks


def test_the_global_generator_is_left_alone(file):
    before = torch.random.get_rng_state()
    recbole(interactions=file, valid_ratio=0.1, test_ratio=0.2, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_ratios_that_leave_nothing_are_refused(file):
    with pytest.raises(DataError, match="nothing is left"):
        recbole(interactions=file, valid_ratio=0.5, test_ratio=0.5, seed=1)
    with pytest.raises(DataError) as caught:
        recbole(interactions=file, valid_ratio=0.75, test_ratio=0.5, seed=1)
    assert caught.value.line == (
        "split.valid_ratio + split.test_ratio is 1.25: nothing is left for training; let them add up to less than 1"
    )


@pytest.mark.realdata
def test_recboles_split_of_movielens_1m_has_the_published_sizes(real_data, cache):
    ratings = ml_1m(source=str(real_data("ml-1m")), min_rating=None, progress=Silent())
    filtered = steps(interactions=ratings, steps=[{"min_value": 3}, {"k_core": 10}])
    left = filtered.interactions
    assert (len(left), left.n_users, left.n_items) == (834_449, 6_033, 3_123)
    split = recbole(interactions=left, valid_ratio=0.1, test_ratio=0.1, seed=2020)
    sizes = [len(split.train), len(split.valid.targets), len(split.test.targets)]
    assert sizes == [673_059, 80_695, 80_695]


@pytest.mark.realdata
def test_the_folds_of_movielens_100k(real_data, cache):
    ratings = ml_100k(source=str(real_data("ml-100k")), min_rating=None, progress=Silent())
    folds = [events(fold(ratings, number).test.targets) for number in range(5)]
    assert [len(lines) for lines in folds] == [20_000] * 5
    assert set.union(*folds) == set(range(100_000))


@given(st.integers(2, 40), st.integers(2, 9), st.integers(0, 5))
def test_every_event_is_test_in_one_fold(size, folds, seed):
    x = from_columns(users=np.arange(size) % 4, items=np.arange(size))
    if size < folds:
        return
    parts = [fold(x, number, folds=folds, seed=seed) for number in range(folds)]
    tests = [row for part in parts for row in part.test.targets.rows.tolist()]
    assert sorted(tests) == list(range(size))
    sizes = [len(part.test.targets) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert all(events(part.train) == set(range(size)) - events(part.test.targets) for part in parts)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 5))
def test_each_user_gives_the_floor_of_their_share(sizes, seed):
    users = np.repeat(np.arange(len(sizes) + 1), [*sizes, 30])
    x = from_columns(users=users, items=np.arange(len(users)))
    split = recbole(interactions=x, valid_ratio=0.1, test_ratio=0.3, seed=seed)
    for part, tenths in ((split.test.targets, 3), (split.valid.targets, 1)):
        found = np.bincount(part.users, minlength=len(sizes) + 1).tolist()
        assert found == [size * tenths // 10 for size in [*sizes, 30]]

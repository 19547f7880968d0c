"""What every split keeps, whichever rule made it; and that the test events reach no rule's training part."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_cli.data import official_split, random_splits, session_splits, time_splits, user_splits
from recsys_cli.data.audit import audit
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.split import (
    DAY_SECONDS,
    TEST,
    TRAIN,
    VALID,
    Split,
    assemble,
    floor_share,
    from_masks,
)
from recsys_cli.errors import DataError

START = 1_000_000_000
N = 400

Rule = Callable[[Interactions], Split]
RULES: dict[str, Rule] = {
    "global_time": lambda x: time_splits.global_time(interactions=x, test_days=10, valid_days=5),
    "global_date": lambda x: time_splits.global_date(
        interactions=x, valid_from="2001-10-01", test_from="2001-10-10"
    ),
    "global_time_quantile": lambda x: time_splits.global_time_quantile(
        interactions=x, valid_share=0.1, test_share=0.1
    ),
    "leave_last_out": lambda x: user_splits.leave_last_out(interactions=x, min_events=3),
    "per_user_ratio": lambda x: user_splits.per_user_ratio(
        interactions=x, seed=0, valid_ratio=0.1, test_ratio=0.2, chronological=False
    ),
    "per_user_ratio, latest": lambda x: user_splits.per_user_ratio(
        interactions=x, seed=0, valid_ratio=0.1, test_ratio=0.2, chronological=True
    ),
    "user_holdout": lambda x: user_splits.user_holdout(
        interactions=x, held_out_users=3, target_ratio=0.2, min_events=5, seed=1
    ),
    "k_fold": lambda x: random_splits.k_fold(
        interactions=x, folds=5, fold=1, valid_ratio=0.1, seed=0
    ),
    "recbole": lambda x: random_splits.recbole(
        interactions=x, valid_ratio=0.1, test_ratio=0.1, seed=2020
    ),
    "official": lambda x: official_split.official(interactions=x, valid_ratio=0.1, seed=0),
    "sessions": lambda x: session_splits.sessions(
        interactions=x, test_days=10, valid_days=10, ask="every_event"
    ),
}
# Where taking test events away must change the training part, and why.
COUNTING = {
    "global_time_quantile": "the cut is a share of all events",
    "leave_last_out": "the event before the last one becomes the last",
    "per_user_ratio": "a share of fewer events is another number of them",
    "per_user_ratio, latest": "a share of fewer events is another number of them",
    "k_fold": "fewer lines are shuffled into another order",
    "recbole": "fewer lines are shuffled into another order",
}


def rows(part: Interactions) -> set[int]:
    return set(part.rows.tolist())


@pytest.fixture
def world() -> Interactions:
    """20 users, 400 events, 30 items that everybody has; each user is active in their own weeks."""
    generator = np.random.default_rng(5)
    users = np.repeat(np.arange(20), 20)
    times = START + (users * 2 * DAY_SECONDS + generator.integers(0, 14 * DAY_SECONDS, N))
    roles = np.where(
        generator.random(N) < 0.2, official_split.TEST_ROLES, official_split.TRAIN_ROLES
    )
    shuffled = generator.permutation(N)
    items = np.concatenate([generator.permutation(30)[:20] for _ in range(20)])
    return from_columns(
        users=users[shuffled],
        items=items[shuffled],
        times=times[shuffled],
        context={"roles": roles[shuffled]},
    )


@pytest.mark.parametrize("name", RULES)
def test_every_event_is_in_one_part_or_counted_as_dropped(world, name):
    split = RULES[name](world)
    parts = [rows(split.train), rows(split.valid.targets), rows(split.test.targets)]
    if name == "sessions":  # first events of sessions are never asked for
        parts += [rows(split.valid.history), rows(split.test.history)]
    if name == "user_holdout":  # held-out users' events are asked with and never learnt from
        parts += [rows(split.valid.history), rows(split.test.history)]
    assert len(set.union(*parts)) + sum(split.dropped.values()) == N
    assert not set.intersection(parts[0], parts[1] | parts[2])
    assert not parts[1] & parts[2]
    assert split.counts()["dropped_events"] == sum(split.dropped.values())


@pytest.mark.parametrize("name", RULES)
def test_nobody_is_asked_with_the_answer(world, name):
    split = RULES[name](world)
    for part in (split.valid, split.test):
        known = zip(part.history.users.tolist(), part.history.rows.tolist(), strict=True)
        asked = zip(part.targets.users.tolist(), part.targets.rows.tolist(), strict=True)
        assert not set(known) & set(asked)
        assert np.array_equal(part.warm_items, split.train.item_counts > 0)


@pytest.mark.parametrize("name", RULES)
def test_the_same_events_give_the_same_split_and_the_hash_tells_another(world, name):
    split = RULES[name](world)
    assert RULES[name](world).hash == split.hash
    assert RULES[name](changed(world, split)).hash != split.hash


def changed(world: Interactions, split: Split) -> Interactions:
    """The same events, but the items of the test targets are others."""
    items = world.items.copy()
    at = np.isin(world.rows, split.test.targets.rows)
    items[at] = (items[at] + 7) % world.n_items
    return replace(world, items=items)


@pytest.mark.parametrize("name", RULES)
def test_what_was_chosen_in_the_test_changes_nothing_before_it(world, name):
    split = RULES[name](world)
    again = RULES[name](changed(world, split))
    assert again.train.digest() == split.train.digest()
    assert again.valid.targets.digest() == split.valid.targets.digest()
    assert again.valid.history.digest() == split.valid.history.digest()


def deleted(world: Interactions, split: Split) -> Interactions:
    """Every other test target is gone, but not the latest of its user, by which a part is told."""
    gone = split.test.targets.rows[::2]
    latest = world.offsets[1:] - 1
    keep = ~np.isin(world.rows, gone)
    keep[latest] = True
    return world.take(keep)


@pytest.mark.parametrize("name", RULES)
def test_deleted_test_events_change_nothing_before_them(world, name):
    split = RULES[name](world)
    fewer = deleted(world, split)
    if name == "leave_last_out":
        fewer = world.take(~np.isin(world.rows, split.test.targets.rows[::2]))
    assert len(fewer) < N
    again = RULES[name](fewer)
    same = [
        again.train.digest() == split.train.digest(),
        again.valid.targets.digest() == split.valid.targets.digest(),
    ]
    assert all(same) == (name not in COUNTING)


@pytest.mark.parametrize("name", ["global_time", "global_date", "global_time_quantile"])
def test_a_cut_in_time_is_one(world, name):
    split = RULES[name](world)
    assert split.train.times.max() < split.valid.targets.times.min()
    assert split.valid.targets.times.max() < split.test.targets.times.min()
    assert split.leaks == ""


@settings(max_examples=40)
@given(
    lines=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 30), st.sampled_from([11, 12, 16])),
        min_size=1, max_size=40,
    )
)  # fmt: skip
@pytest.mark.parametrize("name", RULES)
def test_any_data_is_split_or_refused_in_words(name, lines):
    users, items, days, roles = (np.array(column) for column in zip(*lines, strict=True))
    x = from_columns(
        users=users, items=items, times=START + days * DAY_SECONDS, context={"roles": roles}
    )
    try:
        split = RULES[name](x)
    except DataError:
        return
    assert len(split.train)
    assert len(split.test.users)
    assert len(audit(split))
    assert split.counts()["train_events"] + split.counts()["test_events"] <= len(lines)


def small() -> Interactions:
    return from_columns(
        users=np.array([1, 1, 1, 2, 2, 3]), items=np.array([1, 2, 1, 2, 9, 2]),
        times=np.array([0, 1, 20, 12, 21, 22]) * DAY_SECONDS,
    )  # fmt: skip


def test_the_cold_are_counted_and_kept():
    split = time_splits.global_time(interactions=small(), test_days=5, valid_days=8)
    counts = split.counts()
    assert counts["train_users"] == 1
    assert counts["train_items"] == 2
    assert counts["test_users"] == 3
    assert counts["test_cold_users"] == 2
    assert counts["test_cold_item_events"] == 1
    assert counts["valid_cold_users"] == 1


def test_few_warm_users_are_cautioned_about():
    split = time_splits.global_time(interactions=small(), test_days=5, valid_days=8)
    assert split.caution().startswith("only 1 test users that training knows: ")
    assert "+-0.588" in split.caution()


@pytest.mark.parametrize(("n_users", "cautious"), [(499, True), (500, False)])
def test_enough_users_are_not(n_users, cautious):
    x = from_columns(users=np.repeat(np.arange(n_users), 3), items=np.tile([1, 2, 3], n_users))
    split = user_splits.leave_last_out(interactions=x, min_events=3)
    assert bool(split.caution()) == cautious
    assert not cautious or "+-0.026" in split.caution()


def test_users_that_are_held_out_count_though_all_are_cold(world):
    caution = RULES["user_holdout"](world).caution()
    assert caution.startswith("only 3 test users: ")


def label(x: Interactions, *parts: int) -> np.ndarray:
    return np.array(parts)


def test_the_test_may_be_asked_with_the_training_events_alone_and_sees_both():
    x = from_columns(users=np.zeros(4, int), items=np.arange(4))
    part = label(x, TRAIN, TRAIN, VALID, TEST)
    usual = assemble(x, part, name="a", leaks="")
    apart = assemble(x, part, name="a", leaks="", test_asks_with_train_only=True)
    assert usual.test.history.items.tolist() == usual.test.seen.items.tolist() == [0, 1, 2]
    assert apart.test.history.items.tolist() == [0, 1]
    assert apart.test.seen.items.tolist() == [0, 1, 2]
    assert apart.valid.seen is apart.valid.history
    assert apart.hash != usual.hash


@pytest.mark.parametrize(
    ("part", "missing"),
    [((1, 1, 2), "train"), ((0, 0, 2), "validation"), ((0, 1, 1), "test"), ((0, 0, 0), "test")],
)
def test_an_empty_part_is_an_error(part, missing):
    x = from_columns(users=np.zeros(3, int), items=np.arange(3))
    with pytest.raises(DataError, match=f"the {missing} part of split a is empty"):
        assemble(x, label(x, *part), name="a", leaks="")


def test_a_rule_may_allow_that_validation_is_missing():
    x = from_columns(users=np.zeros(2, int), items=np.arange(2))
    split = assemble(x, label(x, TRAIN, TEST), name="a", leaks="", may_lack_validation=True)
    assert split.counts()["valid_users"] == 0
    with pytest.raises(DataError, match="the test part"):
        assemble(x, label(x, TRAIN, TRAIN), name="a", leaks="", may_lack_validation=True)


def test_masks_may_know_more_than_is_learnt_from():
    x = from_columns(users=np.zeros(4, int), items=np.arange(4))
    first, second, third, fourth = np.eye(4, dtype=bool)
    split = from_masks(
        x, train=first, valid=(first, second), test=(first | third, fourth), name="a", leaks="x",
        dropped={"no reason": 1},
    )  # fmt: skip
    assert split.test.history.items.tolist() == [0, 2]
    assert split.counts()["dropped_events"] == 1


def test_the_hash_tells_what_is_seen_apart():
    x = from_columns(users=np.zeros(4, int), items=np.arange(4))
    first, second, third, fourth = np.eye(4, dtype=bool)
    hashes = {
        from_masks(
            x, train=first, valid=(first, second), test=(first, fourth), test_seen=seen, name="a", leaks=""
        ).hash
        for seen in (None, first | second, first | third)
    }  # fmt: skip
    assert len(hashes) == 3


def test_shares_are_those_of_whole_numbers():
    n = np.arange(100_000)
    assert floor_share(0.1, n).tolist() == (n // 10).tolist()
    assert floor_share(0.29, np.array([100])).tolist() == [29]
    assert [int(0.2 * k) for k in range(10_000)] == floor_share(0.2, n[:10_000]).tolist()

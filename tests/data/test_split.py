"""What every split keeps, whichever rule made it; and that the test events reach no rule's training part."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
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
from tests.conftest import examples

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
    "official": lambda x: official_split.official(
        interactions=x, valid_ratio=0.1, seed=0, ask="every_user"
    ),
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
    check_parts(RULES[name](world), name, N)


def check_parts(split: Split, name: str, n_events: int) -> None:
    parts = [rows(split.train), rows(split.valid.targets), rows(split.test.targets)]
    if name == "sessions":  # first events of sessions are never asked for
        parts += [rows(split.valid.history), rows(split.test.history)]
    if name == "user_holdout":  # held-out users' events are asked with and never learnt from
        parts += [rows(split.valid.history), rows(split.test.history)]
    assert len(set.union(*parts)) + sum(split.dropped.values()) == n_events
    assert not set.intersection(parts[0], parts[1] | parts[2])
    assert not parts[1] & parts[2]
    assert split.counts()["dropped_events"] == sum(split.dropped.values())


@pytest.mark.parametrize("name", RULES)
def test_nobody_is_asked_with_the_answer(world, name):
    check_questions(RULES[name](world))


def check_questions(split: Split) -> None:
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


LINES = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 5), st.integers(0, 40), st.sampled_from([11, 12, 16])
    ),
    min_size=1,
    max_size=40,
)
# Ten users of ten events each, of whom six go on, two stop early and two earlier still: every rule finds its parts.
ORDINARY = [
    (
        user,
        (5 * user + 2 * k) % 20,
        k * last // 9,
        official_split.TEST_TARGET if k == 9 else 11 + k % 2,
    )
    for user, last in enumerate([35, 36, 37, 38, 39, 40, 18, 17, 5, 4])
    for k in range(10)
]
BUSY = LINES.map(lambda drawn: ORDINARY + drawn)
BY_CLOCK = [  # rules that the order of the lines in the file does not touch where no two times are equal
    "global_time", "global_date", "global_time_quantile", "leave_last_out", "per_user_ratio, latest",
]  # fmt: skip


def of(lines) -> Interactions:
    users, items, days, roles = (np.array(column) for column in zip(*lines, strict=True))
    return from_columns(
        users=users,
        items=items,
        times=(START + days * DAY_SECONDS).astype(int),
        context={"roles": roles},
    )


@given(lines=st.one_of(LINES, BUSY))
@pytest.mark.parametrize("name", RULES)
def test_any_data_is_split_or_refused_in_words(name, lines):
    try:
        split = RULES[name](of(lines))
    except DataError:
        assert len(lines) <= 40
        return
    assert len(split.train)
    assert len(split.test.users)
    assert len(audit(split))
    check_parts(split, name, len(lines))
    check_questions(split)


@examples(20)
@given(lines=BUSY)
@pytest.mark.parametrize("name", RULES)
def test_ids_are_only_names_to_a_split(name, lines):
    """Other ids in the same order: every row falls where it fell."""
    split = RULES[name](of(lines))
    renamed = RULES[name](of([(7 * u - 9, 3 * i + 100, *rest) for u, i, *rest in lines]))
    assert parts_of(split) == parts_of(renamed)
    assert split.dropped == renamed.dropped


def parts_of(split: Split) -> list[list[int]]:
    holdouts = (split.valid, split.test)
    columns = [part for one in holdouts for part in (one.history, one.targets, one.seen)]
    return [split.train.rows.tolist(), *(part.rows.tolist() for part in columns)]


@examples(20)
@given(lines=BUSY, random=st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", BY_CLOCK)
def test_the_order_of_the_file_is_no_matter_where_the_clock_decides(name, lines, random):
    lines = [(u, i, days + at / 1_000, roles) for at, (u, i, days, roles) in enumerate(lines)]
    shuffled = lines[:]
    random.shuffle(shuffled)
    split, again = RULES[name](of(lines)), RULES[name](of(shuffled))
    for one, other in zip(parts_of(split), parts_of(again), strict=True):
        assert {lines[row] for row in one} == {shuffled[row] for row in other}


@given(lines=BUSY)
@pytest.mark.parametrize("name", ["global_time", "global_date", "global_time_quantile"])
def test_all_of_training_lies_before_all_of_validation_and_that_before_the_test(name, lines):
    split = RULES[name](of(lines))
    assert split.train.times.max() < split.valid.targets.times.min()
    assert split.valid.targets.times.max() < split.test.targets.times.min()
    assert split.test.history.times.max() < split.test.targets.times.min()


@given(lines=LINES, later=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9))
def test_events_from_after_the_cut_change_nothing_before_it(lines, later):
    """The day of the cut is said, so whatever happens after it is test: also new users and items."""
    rule, lines = RULES["global_date"], ORDINARY + lines
    future = [(user, item, 40, 16) for user, item in later]
    split, more = rule(of(lines)), rule(of(lines + future))
    for part, same in (
        (split.train, more.train), (split.valid.targets, more.valid.targets), (split.valid.history, more.valid.history)
    ):  # fmt: skip
        assert part.rows.tolist() == same.rows.tolist()
        for ids, codes in (("user_ids", "users"), ("item_ids", "items")):
            raw, again = (getattr(p, ids).decode(getattr(p, codes)) for p in (part, same))
            assert raw.tolist() == again.tolist()
    assert len(more.test.targets) == len(split.test.targets) + len(future)


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


@given(st.integers(1, 999), st.integers(1, 1_000), st.integers(0, 1_000_000))
def test_a_share_is_the_floor_of_the_exact_product(part, whole, size):
    expected = Fraction(part, whole) * size
    assert floor_share(part / whole, np.array([size])).tolist() == [expected.__floor__()]


ANYTIME = "events from after the test events are in training: times mean nothing in this split"
TOLD = {
    # name, what it leaks, and how its hash begins: a recorded run is opened only while that stays as it is
    "global_time": ("global_time(test 10 days, validation 5 days)", "", "a624c974"),
    "global_date": (
        "global_date(validation from 2001-10-01, test from 2001-10-10, UTC)", "", "29a6716e"
    ),
    "global_time_quantile": (
        "global_time_quantile(test 0.1, validation 0.1 of all events)", "", "a1fef9bf"
    ),
    "leave_last_out": (
        "leave_last_out(users with 3 or more events)",
        "other users' later events are in training, so a model may know what became popular afterwards",
        "c255649e",
    ),
    "per_user_ratio": ("per_user_ratio(random, validation 0.1, test 0.2)", ANYTIME, "52be0076"),
    "per_user_ratio, latest": (
        "per_user_ratio(latest, validation 0.1, test 0.2)",
        "other users' later events are in training",
        "25d3f5f1",
    ),
    "user_holdout": (
        "user_holdout(3 users each, 0.2 of their events are targets, seed 1)",
        "a user's targets may be earlier than what they are asked with, and than other users' events in training",
        "93e0ee75",
    ),
    "k_fold": ("k_fold(fold 1 of 5, validation 0.1, seed 0)", ANYTIME, "110d9df9"),
    "recbole": ("recbole(random, validation 0.1, test 0.1, seed 2020)", ANYTIME, "8b8fe790"),
    "official": ("official(validation: the publisher's)", ANYTIME, "c50ce1c2"),
    "sessions": ("sessions(test 10 days, validation 10 days, every event)", "", "2ada0899"),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_what_a_split_is_called_leaks_and_draws_stays_as_it_is(name):
    split = RULES[name](of(ORDINARY))
    assert (split.name, split.leaks, split.hash[:8]) == TOLD[name]


def test_a_seed_of_its_own_draws_other_events():
    x = of(ORDINARY)
    for rule, settings in (
        (random_splits.k_fold, {"folds": 5, "fold": 1, "valid_ratio": 0.1}),
        (random_splits.recbole, {"valid_ratio": 0.1, "test_ratio": 0.1}),
        (user_splits.user_holdout, {"held_out_users": 3, "target_ratio": 0.4, "min_events": 5}),
        (official_split.official, {"valid_ratio": 0.5, "ask": "every_user"}),
    ):
        train_alone = replace(x, context={"roles": np.where(x.context["roles"] == 16, 16, 11)})
        splits = {rule(interactions=train_alone, seed=seed, **settings).hash for seed in range(3)}
        assert len(splits) == 3, rule


@pytest.mark.parametrize("rule", ["global_time", "global_date", "global_time_quantile", "sessions"])
def test_a_rule_that_needs_times_says_so(rule):
    with pytest.raises(DataError) as caught:
        RULES[rule](replace(of(ORDINARY), times=None))
    told = caught.value.line
    assert told.startswith(f"split={rule}")
    assert told.endswith(" needs times and this data has none; use split=per_user_ratio")


def test_an_empty_part_says_what_to_do():
    x = from_columns(users=np.zeros(2, int), items=np.arange(2))
    with pytest.raises(DataError) as caught:
        assemble(x, label(x, TRAIN, VALID), name="a", leaks="")
    assert caught.value.line == (
        "the test part of split a is empty (2 events in all); choose another split or other settings of this one"
    )


def test_one_event_is_enough_to_be_known():
    x = from_columns(users=np.array([5, 6, 6, 7]), items=np.array([1, 1, 2, 1]))
    split = assemble(x, label(x, TRAIN, VALID, TEST, TEST), name="a", leaks="")
    assert split.test.warm_users.tolist() == [True, False, False]
    assert split.test.warm_items.tolist() == [True, False]
    counts = split.counts()
    assert (counts["users"], counts["items"], counts["train_events"]) == (3, 2, 1)
    assert (counts["train_users"], counts["train_items"]) == (1, 1)
    assert split.test.excluded is None


def test_masks_that_leave_no_validation_are_refused_unless_the_rule_allows_it():
    x = from_columns(users=np.zeros(2, int), items=np.arange(2))
    first, none = np.array([True, False]), np.zeros(2, bool)
    with pytest.raises(DataError, match="the validation part"):
        from_masks(x, train=first, valid=(first, none), test=(first, ~first), name="a", leaks="")

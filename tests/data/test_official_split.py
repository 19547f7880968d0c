"""The publisher's own parts."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.official_split import (
    COLUMN,
    LEARNT,
    TEST_KNOWN,
    TEST_ROLES,
    TEST_TARGET,
    TRAIN_ROLES,
    VALID_KNOWN,
    VALID_ROLES,
    joined,
    merged,
    official,
)
from recsys_cli.data.queries import make_queries
from recsys_cli.errors import DataError


def events(part: Interactions) -> set[int]:
    return set(part.rows.tolist())


def made(roles: list[int], times: bool = True) -> Interactions:
    n = len(roles)
    return from_columns(
        users=np.arange(n) % 2,
        items=np.arange(n),
        times=np.arange(n) if times else None,
        context={COLUMN: np.array(roles)},
    )


def test_each_event_is_where_its_publisher_put_it():
    x = made([TRAIN_ROLES] * 4 + [VALID_ROLES] * 2 + [TEST_ROLES] * 2)
    split = official(interactions=x, valid_ratio=0.5, seed=0, ask="every_user")
    assert events(split.train) == events(split.valid.history) == {0, 1, 2, 3}
    assert events(split.valid.targets) == {4, 5}
    assert events(split.test.history) == {0, 1, 2, 3, 4, 5}
    assert events(split.test.targets) == {6, 7}
    assert split.name == "official(validation: the publisher's)"
    for part in (split.train, split.valid.targets, split.test.history, split.test.targets):
        assert part.context == {}
    assert split.leaks == ""


def test_what_the_test_is_asked_with_may_go_on_after_training():
    x = made([TRAIN_ROLES] * 4 + [VALID_ROLES, VALID_KNOWN, TEST_KNOWN, TEST_TARGET])
    split = official(interactions=x, valid_ratio=0.5, seed=0, ask="every_user")
    assert events(split.train) == {0, 1, 2, 3}
    assert events(split.valid.history) == {0, 1, 2, 3, 5}
    assert events(split.test.history) == {0, 1, 2, 3, 4, 6}


def test_validation_is_drawn_from_training_where_there_is_none():
    x = made([TRAIN_ROLES] * 20 + [TEST_ROLES] * 4)
    split = official(interactions=x, valid_ratio=0.25, seed=0, ask="every_user")
    assert len(split.valid.targets) == 5
    assert (
        events(split.train)
        == events(split.valid.history)
        == set(range(20)) - events(split.valid.targets)
    )
    assert events(split.test.history) == set(range(20))
    assert official(interactions=x, valid_ratio=0.25, seed=0, ask="every_user").hash == split.hash
    assert official(interactions=x, valid_ratio=0.25, seed=1, ask="every_user").hash != split.hash
    assert "0.25 of training" in split.name


def test_or_is_left_out():
    x = made([TRAIN_ROLES] * 20 + [TEST_ROLES] * 4)
    split = official(interactions=x, valid_ratio=0, seed=0, ask="every_user")
    assert len(split.train) == 20
    assert len(split.valid.users) == 0
    assert split.name == "official(validation: none)"


@pytest.mark.parametrize(("times", "leaks"), [(True, True), (False, False)])
def test_parts_that_are_not_in_the_order_of_time_leak(times, leaks):
    x = made([TEST_ROLES] * 4 + [TRAIN_ROLES] * 20, times)
    assert bool(official(interactions=x, valid_ratio=0, seed=0, ask="every_user").leaks) == leaks


def test_data_without_published_parts_is_refused():
    x = from_columns(users=np.zeros(3, int), items=np.arange(3))
    with pytest.raises(DataError, match="this data set has none"):
        official(interactions=x, valid_ratio=0, seed=0, ask="every_user")


def test_files_are_joined_one_behind_the_other():
    first = from_columns(
        users=np.array([5, 3, 5]), items=np.array([1, 1, 2]), times=np.array([9, 9, 1])
    )
    second = from_columns(users=np.array([4, 3]), items=np.array([2, 1]), times=np.array([2, 9]))
    both = joined((first, LEARNT), (second, TEST_TARGET))
    order = np.argsort(both.rows)
    assert both.user_ids.decode(both.users[order]).tolist() == [5, 3, 5, 4, 3]
    assert both.item_ids.decode(both.items[order]).tolist() == [1, 1, 2, 2, 1]
    assert both.times[order].tolist() == [9, 9, 1, 2, 9]
    assert both.context[COLUMN][order].tolist() == [1, 1, 1, 16, 16]


def test_an_event_of_several_files_has_the_roles_of_all():
    first = from_columns(
        users=np.array([5, 3, 5]), items=np.array([1, 1, 2]), times=np.array([9, 9, 1])
    )
    second = from_columns(
        users=np.array([4, 3, 3]), items=np.array([2, 1, 1]), times=np.array([2, 9, 8])
    )
    one = merged(joined((first, LEARNT), (second, TEST_KNOWN)))
    told = zip(
        one.user_ids.decode(one.users).tolist(), one.item_ids.decode(one.items).tolist(),
        one.times.tolist(), one.context[COLUMN].tolist(), one.rows.tolist(), strict=True,
    )  # fmt: skip
    assert list(told) == [
        (3, 1, 8, 8, 5),
        (3, 1, 9, 9, 1),
        (4, 2, 2, 8, 3),
        (5, 2, 1, 1, 2),
        (5, 1, 9, 1, 0),
    ]


def test_without_times_user_and_item_make_an_event():
    x = from_columns(users=np.array([1, 1, 2]), items=np.array([1, 2, 1]))
    one = merged(joined((x, 1), (x, 2)))
    assert len(one) == 3
    assert one.context[COLUMN].tolist() == [3, 3, 3]
    assert one.times is None


def test_asked_event_by_event_each_target_is_a_question_of_its_own_user():
    """The history is the user's, whole; the question knows who asks, and only its own target's context."""
    x = made([TRAIN_ROLES] * 4 + [VALID_ROLES] * 2 + [TEST_ROLES] * 4)
    x = replace(x, context=x.context | {"weekday": x.rows.astype(np.int32)})
    once = official(interactions=x, valid_ratio=0.5, seed=0, ask="every_user")
    split = official(interactions=x, valid_ratio=0.5, seed=0, ask="every_event")

    assert split.test.users.tolist() == [0, 1, 2, 3]
    assert split.test.history.user_ids.ids.tolist() == [6, 7, 8, 9]
    assert split.test.targets.rows.tolist() == [6, 7, 8, 9]
    assert split.hash != once.hash
    asked = make_queries(
        split.test, np.array([0, 1, 2]), frozenset({"users", "items", "context.weekday"})
    )
    assert asked.users.tolist() == [0, 1, 0]
    assert asked.items.tolist() == [[0, 2, 4], [1, 3, 5], [0, 2, 4]]
    assert asked.context["weekday"].tolist() == asked.items.tolist()
    assert asked.asked["weekday"].tolist() == [6, 7, 8]


def test_a_question_of_its_own_asks_as_the_user_whom_training_knows_or_as_nobody():
    x = made([TRAIN_ROLES, TEST_ROLES, TRAIN_ROLES, TEST_ROLES, TEST_ROLES])
    split = official(interactions=x, valid_ratio=0.5, seed=0, ask="every_event")
    asked = make_queries(split.test, split.test.users, frozenset({"users"}))
    assert asked.users.tolist() == [-1, -1, 0]


def test_a_question_of_its_own_takes_out_what_its_user_had_in_the_same_context():
    """Of the request, that is: what came with an event does not tell one context from another."""
    x = made([TRAIN_ROLES] * 6 + [TEST_ROLES] * 3)
    context = {
        "weekday": np.array([0, 0, 0, 1, 1, 1, 0, 1, 1]),
        "weather": np.array([0, 0, 0, 0, 1, 0, 0, 0, 1]),
        "event_cost": np.array([0, 1, 0, 1, 0, 1, 1, 0, 1]),
    }
    x = replace(x, context=x.context | {name: codes[x.rows] for name, codes in context.items()})
    split = official(interactions=x, valid_ratio=0, seed=0, ask="every_event")
    seen = split.test.seen
    assert [seen.items[seen.users == who].tolist() for who in range(3)] == [[0, 2], [3, 5], [4]]
    assert split.test.history.users.tolist() == [0] * 3 + [1] * 3 + [2] * 3

    x = replace(x, context={COLUMN: x.context[COLUMN]})
    split = official(interactions=x, valid_ratio=0, seed=0, ask="every_event")
    assert split.test.seen is split.test.history


def test_what_validation_takes_out_is_in_the_hash():
    x = made([TRAIN_ROLES] * 4 + [VALID_ROLES] * 2 + [TEST_ROLES] * 2)
    split = official(interactions=x, valid_ratio=0, seed=0, ask="every_user")
    apart = replace(split.valid, excluded=split.valid.history.take(slice(1)))
    assert replace(split, valid=apart).hash != split.hash

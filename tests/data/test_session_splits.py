"""Sessions: late ones are asked about, event by event."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.queries import make_queries
from recsys_cli.data.session_splits import sessions
from recsys_cli.data.split import DAY_SECONDS as DAY
from recsys_cli.errors import DataError

# session: (day of the first event, items, one an hour)
SESSIONS = {
    "a": (0, [1, 2, 3]),
    "b": (1, [2, 3]),
    "c": (3, [3, 1, 2]),  # validation
    "d": (3, [9, 1]),  # 9 is new: one event remains
    "e": (4, [1, 9, 2, 2]),  # test; 9 is known now
    "f": (4, [7, 3]),  # 7 is new
    "g": (3.97, [2, 3]),  # ends in the last day, begins before it
}


@pytest.fixture
def shop() -> Interactions:
    rows = [
        (name, item, day * DAY + hour * 3600)
        for name, (day, items) in SESSIONS.items()
        for hour, item in enumerate(items)
    ]
    users, items, times = zip(*rows, strict=True)
    return from_columns(
        users=np.array(users), items=np.array(items), times=np.array(times, dtype=int)
    )


def split_of(shop: Interactions, **settings: object):
    return sessions(
        interactions=shop, **{"test_days": 1, "valid_days": 1, "ask": "every_event", **settings}
    )


def asked(part) -> list[tuple[list[int], int]]:
    """Each question: the items it is asked with and the item it is asked for."""
    queries = make_queries(part, part.users, frozenset({"items", "users"}))
    assert (queries.users == -1).all()
    ids = part.targets.item_ids.ids
    known = [[int(ids[i]) for i in row if i >= 0] for row in queries.items.tolist()]
    return list(zip(known, ids[part.targets.items].tolist(), strict=True))


def test_sessions_that_end_late_are_asked_event_by_event(shop):
    split = split_of(shop)
    assert set(shop.user_ids.decode(split.train.users)) == {"a", "b"}
    assert asked(split.valid) == [([3], 1), ([3, 1], 2)]
    assert asked(split.test) == [([1], 9), ([1, 9], 2), ([1, 9, 2], 2), ([2], 3)]


def test_or_for_their_last_event_alone(shop):
    split = split_of(shop, ask="last_event")
    assert asked(split.valid) == [([3, 1], 2)]
    assert asked(split.test) == [([1, 9, 2], 2), ([2], 3)]


def test_a_question_is_called_by_the_row_of_its_target(shop):
    test = split_of(shop).test
    assert test.targets.user_ids.decode(test.users).tolist() == test.targets.rows.tolist()


def test_an_item_is_known_from_its_first_training_event_on(shop):
    split = split_of(shop)
    known = shop.item_ids.ids[split.test.warm_items].tolist()
    assert known == [1, 2, 3]  # item 1 has one event, 7 and 9 have none
    assert split.test.history.user_ids is split.test.targets.user_ids


def test_what_is_dropped_is_counted(shop):
    split = split_of(shop)
    assert split.dropped == {
        "items that no earlier session had": 2,
        "sessions of which one event remained": 2,
    }
    held = sum(len(items) for _, items in SESSIONS.values())
    asked_about = 3 + 4 + 2  # the events of c, e and g
    assert len(split.train) + asked_about + split.counts()["dropped_events"] == held


def test_without_validation_its_sessions_are_learnt_from(shop):
    split = split_of(shop, valid_days=0)
    assert set(shop.user_ids.decode(split.train.users)) == {"a", "b", "c", "d"}
    assert len(split.valid.users) == 0
    assert asked(split.test) == asked(split_of(shop).test)


def test_a_clock_is_needed():
    timeless = from_columns(users=np.array([1, 1]), items=np.array([1, 2]))
    with pytest.raises(DataError, match="needs times"):
        split_of(timeless)


def test_a_part_must_not_be_empty(shop):
    with pytest.raises(DataError, match="train part"):
        split_of(shop, test_days=100)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 40)), min_size=1, max_size=40
    )
)
def test_questions_are_sessions_that_nobody_learns_from_asked_in_order(lines):
    users, items, hours = map(np.array, zip(*lines, strict=True))
    x = from_columns(users=users, items=items, times=hours * 3600)
    try:
        split = split_of(x, test_days=0.25, valid_days=0.25)
    except DataError:
        return
    session_of, time_of = dict(enumerate(users)), dict(enumerate(hours * 3600))
    learnt = {session_of[row] for row in split.train.rows}
    for part in (split.valid, split.test):
        for user in part.users:
            (target,) = part.targets.rows[part.targets.users == user]
            before = part.history.rows[part.history.users == user]
            assert {session_of[row] for row in before} == {session_of[target]}
            assert session_of[target] not in learnt
            assert all((time_of[row], row) < (time_of[target], target) for row in before)
    ends = {user: max(hours[users == user]) for user in set(users.tolist())}
    asked = {session_of[row] for row in split.test.targets.rows}
    assert max(ends[user] for user in learnt) < min(ends[user] for user in asked)

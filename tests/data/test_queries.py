"""What a model is asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.queries import FIELDS, make_queries
from recsys_cli.data.split import Split, assemble
from recsys_cli.errors import DataError


@pytest.fixture
def split() -> Split:
    """User 0: four train, one test; user 1: one train, two test; user 2: test alone; user 3 has no test."""
    users = [0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3]
    part = np.array([0, 0, 0, 0, 2, 0, 2, 2, 2, 0, 1])
    x = from_columns(users=np.array(users), items=np.arange(11), times=np.arange(11) * 10)
    return assemble(x, part, name="by hand", leaks="")


def test_users_with_a_target_are_asked(split):
    assert split.test.users.tolist() == [0, 1, 2]


def test_histories_are_padded_on_the_left(split):
    queries = make_queries(split.test, split.test.users, FIELDS)
    assert queries.users.tolist() == [0, 1, -1]
    assert queries.items.tolist() == [[0, 1, 2, 3], [-1, -1, -1, 5], [-1, -1, -1, -1]]
    assert queries.times.tolist() == [[0, 10, 20, 30], [-1, -1, -1, 50], [-1, -1, -1, -1]]
    assert queries.now.tolist() == [40, 60, 80]


def test_a_validation_event_is_history_of_the_test(split):
    queries = make_queries(split.valid, split.valid.users, FIELDS)
    assert queries.items.tolist() == [[9]]
    assert split.test.history.offsets[4] - split.test.history.offsets[3] == 2


def test_only_the_latest_events_are_kept(split):
    queries = make_queries(split.test, split.test.users, frozenset({"items"}), history_length=2)
    assert queries.items.tolist() == [[2, 3], [-1, 5], [-1, -1]]


def test_what_is_not_read_is_not_built(split):
    queries = make_queries(split.test, split.test.users, frozenset({"users"}))
    assert (queries.items, queries.times, queries.now) == (None, None, None)
    assert len(queries) == 3


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30),
    st.one_of(st.none(), st.integers(1, 5)),
)
def test_a_history_is_what_its_user_did_before_in_that_order(lines, longest):
    """Whatever the parts are: the latest events of the user's history, oldest first, behind the padding."""
    lines = [(0, 0), (0, 1), (0, 2), *lines]
    users, part = (np.array(column) for column in zip(*lines, strict=True))
    x = from_columns(users=users, items=np.arange(len(lines)), times=np.arange(len(lines)) * 10)
    test = assemble(x, part[x.rows], name="drawn", leaks="").test
    queries = make_queries(test, test.users, FIELDS, longest)
    for at, user in enumerate(test.users.tolist()):
        known = [
            row
            for row, (own, role) in enumerate(lines)
            if x.user_ids.ids[user] == own and role != 2
        ]
        known = known[-longest:] if longest else known
        asked = min(
            row
            for row, (own, role) in enumerate(lines)
            if x.user_ids.ids[user] == own and role == 2
        )
        padding = [-1] * (queries.items.shape[1] - len(known))
        assert queries.items[at].tolist() == padding + known
        assert queries.times[at].tolist() == padding + [row * 10 for row in known]
        assert queries.now[at] == asked * 10
        trained = any(own == x.user_ids.ids[user] and role == 0 for own, role in lines)
        assert queries.users[at] == (user if trained else -1)


def contextual(**columns) -> Split:
    """The last event of each of two users is test; the weather is known by then, an event's type is not."""
    x = from_columns(
        users=np.array([0, 0, 0, 1, 1]),
        items=np.arange(5),
        times=np.arange(5) * 10,
        context={"weather": np.array([3, 4, 5, 6, 7]), "event_type": np.array([0, 1, 1, 0, 1])}
        | columns,
    )
    part = np.array([0, 0, 2, 0, 2])
    return assemble(x, part, name="by hand", leaks="", may_lack_validation=True)


CONTEXT = frozenset({"items", "times", "now", "context.weather", "context.event_type"})


def test_columns_are_those_of_the_history_and_of_the_request():
    test = contextual().test
    queries = make_queries(test, test.users, CONTEXT)
    assert {name: codes.tolist() for name, codes in queries.context.items()} == {
        "weather": [[3, 4], [-1, 6]],
        "event_type": [[0, 1], [-1, 0]],
    }
    assert {name: codes.tolist() for name, codes in queries.asked.items()} == {"weather": [5, 7]}
    (only,) = make_queries(test, np.array([1]), frozenset({"context.weather"})).context.values()
    assert only.tolist() == [[6]]


def test_nothing_of_the_target_is_in_its_question_but_its_moment_and_what_is_known_by_then():
    """Another item, another type of event: the same question."""
    test = contextual().test
    other = contextual(event_type=np.array([0, 1, 0, 0, 0])).test
    other = replace(other, targets=replace(other.targets, items=other.targets.items[::-1].copy()))
    one, same = (make_queries(part, part.users, CONTEXT) for part in (test, other))
    for before, after in (
        (one.context, same.context),
        (one.asked, same.asked),
        ({n: getattr(one, n) for n in ("items", "times", "now")}, vars(same)),
    ):
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_column_that_is_not_there_is_one_line(split):
    with pytest.raises(DataError, match="reads the context weather, which is not known here"):
        make_queries(split.test, split.test.users, frozenset({"context.weather"}))

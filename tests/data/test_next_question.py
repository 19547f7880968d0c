"""The question asked now knows all that was done, and nobody is taken for somebody else."""

import numpy as np
import pytest

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.next_question import of_history, of_user
from recsys_cli.data.queries import FIELDS, make_queries
from recsys_cli.errors import DataError

EVENTS = from_columns(
    users=np.array([5, 5, 8, 5]), items=np.array([10, 20, 20, 30]), times=np.array([1, 2, 9, 4])
)
TRAIN = EVENTS.take(EVENTS.times < 4)


def test_a_user_is_asked_after_all_that_the_data_knows():
    question = of_user("5", EVENTS, TRAIN)
    queries = make_queries(question, question.users, FIELDS)
    assert queries.users.tolist() == [0]
    assert queries.items.tolist() == [[0, 1, 2]]
    assert queries.times.tolist() == [[1, 2, 4]]
    assert queries.now.tolist() == [10]


def test_a_user_without_a_training_event_is_not_known_by_id():
    question = of_user("8", EVENTS, TRAIN)
    assert question.users.tolist() == [1]
    assert make_queries(question, question.users, FIELDS).users.tolist() == [-1]


def test_a_history_belongs_to_nobody_and_keeps_its_order():
    question = of_history(["30", "10"], EVENTS, TRAIN)
    queries = make_queries(question, question.users, FIELDS)
    assert queries.users.tolist() == [-1]
    assert queries.items.tolist() == [[2, 0]]
    assert queries.times.tolist() == [[10, 10]]
    assert queries.now.tolist() == [11]
    assert question.warm_items.tolist() == [True, True, False]


def test_data_without_times_has_questions_without_them():
    events = from_columns(users=np.array([5, 8]), items=np.array([10, 20]))
    for question in (of_user("5", events, events), of_history(["20"], events, events)):
        queries = make_queries(question, question.users, FIELDS)
        assert queries.times is None
        assert queries.now is None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: of_user("6", EVENTS, TRAIN), "no user '6'"),
        (lambda: of_user("05", EVENTS, TRAIN), "no user '05'"),
        (lambda: of_history(["10", "11"], EVENTS, TRAIN), "no item '11'"),
        (lambda: of_history([], EVENTS, TRAIN), "the history is empty"),
    ],
)
def test_unknown_ids_are_refused(ask, message):
    with pytest.raises(DataError, match=message):
        ask()

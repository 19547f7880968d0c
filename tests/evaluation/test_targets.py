import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.targets import all_targets, warm_targets


def holdout(users, items, values, *, warm_users=(True,) * 3, warm_items=(True,) * 4) -> Holdout:
    """Three users and four items; everything is a target, and the last row (user 2, item 3) is known."""
    data = from_columns(
        users=np.array([*users, 2]), items=np.array([*items, 3]), values=np.array([*values, 1.0])
    )
    known = (data.users == 2) & (data.items == 3)
    return Holdout(data.take(known), data.take(~known), np.array(warm_users), np.array(warm_items))


EXAMPLE = holdout([0, 0, 0, 1, 1], [2, 0, 2, 3, 1], [3, 1, 5, 2, 4])


def test_a_repeated_target_counts_once_with_its_largest_value():
    targets = all_targets(EXAMPLE)
    assert targets.counts(np.arange(3)).tolist() == [2, 2, 0]
    hits, values = targets.find(np.array([0]), np.array([[2, 1, 0]]))
    assert hits.tolist() == [[True, False, True]]
    assert values.tolist() == [[5, 0, 1]]


def test_no_item_is_no_hit():
    hits, values = all_targets(EXAMPLE).find(np.array([0, 1, 2]), np.full((3, 2), -1))
    assert not hits.any()
    assert not values.any()


def test_padded():
    assert all_targets(EXAMPLE).padded(np.array([1, 2, 0])).tolist() == [[1, 3], [-1, -1], [0, 2]]
    assert all_targets(EXAMPLE).padded(np.array([2])).tolist() == [[-1]]


def test_best_values():
    best = all_targets(EXAMPLE).best_values(np.array([0, 1, 2]), 3)
    assert best.tolist() == [[5, 1, 0], [4, 2, 0], [0, 0, 0]]
    assert all_targets(EXAMPLE).best_values(np.array([0]), 1).tolist() == [[5]]


def test_warm_targets():
    assert warm_targets(EXAMPLE) is None
    some = holdout([0, 0, 1], [2, 0, 1], [1, 1, 1], warm_items=(True, True, False, True))
    assert warm_targets(some).counts(np.arange(3)).tolist() == [1, 1, 0]
    some = holdout([0, 0, 1], [2, 0, 1], [1, 1, 1], warm_users=(False, True, True))
    assert warm_targets(some).counts(np.arange(3)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("items", [np.array([[0, 1]]), np.array([[-1, 3]])])
def test_nothing_warm_at_all(items):
    none = warm_targets(holdout([0, 0], [2, 0], [1, 1], warm_users=(False,) * 3))
    hits, values = none.find(np.array([0]), items)
    assert not hits.any()
    assert values.tolist() == [[0, 0]]
    assert none.counts(np.array([0])).tolist() == [0]


PAIRS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=15
)


def in_plain_python(rows):
    """User -> item -> the largest value."""
    best: dict[int, dict[int, int]] = {0: {}, 1: {}, 2: {}}
    for user, item, value in rows:
        best[user][item] = max(value, best[user].get(item, 0))
    return best


@given(PAIRS)
def test_looking_up_and_counting_is_what_a_dictionary_does(rows):
    rows = [(0, item, 1) for item in range(4)] + [(1, 0, 1), (2, 0, 1), *rows]  # all codes occur
    x = from_columns(
        **dict(
            zip(("users", "items", "values"), map(np.array, zip(*rows, strict=True)), strict=True)
        )
    )
    everything = np.ones(len(x), bool)
    targets = all_targets(Holdout(x.take(~everything), x, np.ones(3, bool), np.ones(4, bool)))
    expected = in_plain_python(rows)
    users, lists = np.arange(3), np.tile([3, -1, 0, 2, 1], (3, 1))
    hits, values = targets.find(users, lists)
    assert hits.tolist() == [[item in expected[u] for item in lists[u]] for u in users]
    assert values.tolist() == [
        [expected[u].get(item, 0) for item in lists[u].tolist()] for u in range(3)
    ]
    assert targets.counts(users).tolist() == [len(expected[u]) for u in range(3)]
    padded = [[item for item in row if item >= 0] for row in targets.padded(users).tolist()]
    assert padded == [sorted(expected[u]) for u in range(3)]
    descending = [sorted(expected[u].values(), reverse=True) for u in range(3)]
    assert targets.best_values(users, 4).tolist() == [(d + [0] * 4)[:4] for d in descending]

import numpy as np
import pytest

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

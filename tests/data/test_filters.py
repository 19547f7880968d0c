"""What is kept before the split, and what is told about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli import config
from recsys_cli.data.filters import STEPS, none, steps
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.errors import ConfigError, DataError


def of(pairs: list[tuple[int, int]], values: list[float] | None = None) -> Interactions:
    users, items = (np.array(column) for column in zip(*pairs, strict=True))
    return from_columns(
        users=users, items=items, values=None if values is None else np.array(values)
    )


def pairs(x: Interactions) -> set[tuple[int, int]]:
    users, items = x.user_ids.decode(x.users), x.item_ids.decode(x.items)
    return set(zip(users.tolist(), items.tolist(), strict=True))


def test_nothing_is_filtered_by_none():
    x = of([(1, 1), (2, 2)])
    assert none(interactions=x).interactions is x
    assert none(interactions=x).steps == []
    assert none(interactions=x).leaks == ""


def test_values_from_the_least_on_are_kept_and_the_rest_leaves_the_vocabularies():
    x = of([(1, 10), (2, 20), (3, 30)], [3, 4, 5])
    left = steps(interactions=x, steps=[{"min_value": 4}]).interactions
    assert pairs(left) == {(2, 20), (3, 30)}
    assert left.user_ids.ids.tolist() == [2, 3]
    assert left.item_ids.ids.tolist() == [20, 30]
    assert left.values.tolist() == [4, 5]
    assert left.rows.tolist() == [1, 2]


def test_users_and_items_with_few_events_are_dropped_once():
    x = of([(1, 1), (1, 2), (2, 2), (2, 3), (3, 3)])
    by_user = steps(interactions=x, steps=[{"min_user_events": 2}]).interactions
    assert pairs(by_user) == {(1, 1), (1, 2), (2, 2), (2, 3)}
    by_item = steps(interactions=x, steps=[{"min_item_events": 2}]).interactions
    assert pairs(by_item) == {(1, 2), (2, 2), (2, 3), (3, 3)}


def test_a_core_is_found_by_dropping_until_nobody_has_fewer():
    square = [(u, i) for u in (1, 2) for i in (1, 2)]
    chain = [(3, 1), (3, 5), (4, 5), (4, 6), (5, 6)]  # falls apart link by link
    left = steps(interactions=of(square + chain), steps=[{"k_core": 2}]).interactions
    assert pairs(left) == {*square, *[]}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1), st.integers(1, 4))
def test_a_core_is_the_largest_set_of_its_kind(given_pairs, k):
    x = of(given_pairs)
    left = set(range(len(given_pairs)))
    while True:  # one event at a time
        users = [given_pairs[row][0] for row in left]
        items = [given_pairs[row][1] for row in left]
        bad = [
            r
            for r in left
            if users.count(given_pairs[r][0]) < k or items.count(given_pairs[r][1]) < k
        ]
        if not bad:
            break
        left.remove(bad[0])
    if not left:
        with pytest.raises(DataError, match=f"nothing is left after k_core {k}"):
            steps(interactions=x, steps=[{"k_core": k}])
    else:
        found = steps(interactions=x, steps=[{"k_core": k}]).interactions
        assert set(found.rows.tolist()) == left


def test_the_order_of_the_steps_counts_and_each_is_recorded():
    x = of([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)], [5, 5, 5, 1, 5])
    first = steps(interactions=x, steps=[{"min_value": 4}, {"min_user_events": 2}])
    second = steps(interactions=x, steps=[{"min_user_events": 2}, {"min_value": 4}])
    assert pairs(first.interactions) == {(1, 1), (1, 2)}
    assert pairs(second.interactions) == {(1, 1), (1, 2), (2, 1)}
    assert [str(step) for step in first.steps] == [
        "before the filter: 5 events, 3 users, 2 items",
        "min_value 4: 4 events, 3 users, 2 items",
        "min_user_events 2: 2 events, 1 users, 2 items",
    ]


def test_a_step_that_counts_events_is_told_as_a_leak():
    x = of([(1, 1), (1, 2)])
    assert steps(interactions=x, steps=[{"min_value": 1}]).leaks == ""
    for name in STEPS.keys() - {"min_value"}:
        assert f"{name} 1" in steps(interactions=x, steps=[{name: 1}]).leaks


REFUSED = [
    ("[{k_cor: 10}]", "no step called 'k_cor'; did you mean 'k_core'?"),
    ("[{min_value: 3, k_core: 10}]", "is not one name with one number"),
    ("[k_core]", "is not one name with one number"),
    ("[{}]", "is not one name with one number"),
    ("[{k_core: 2.5}]", "k_core=2.5 is not a number that it takes"),
    ("[{k_core: true}]", "filter.steps=[{'k_core': True}]: true and false are not values of it"),
    ("[{k_core: ten}]", "k_core='ten' is not a number that it takes"),
    ("[{k_core: 0}]", "k_core=0 is not in its range"),
    ("[{min_value: nan}]", "min_value=nan is not a number that it takes"),
    ("[{min_value: null}]", "min_value=None is not a number that it takes"),
    ("3", "filter.steps=3 is no list"),
    ("null", "filter.steps=None is no list"),
]


@pytest.mark.parametrize(("typed", "told"), REFUSED)
def test_a_slip_is_refused_before_any_data_is_read(typed, told):
    with pytest.raises(ConfigError) as caught:
        config.load(
            ["data=csv", "data.path=/no/such/file", "filter=steps", f"filter.steps={typed}"]
        )
    assert told in caught.value.line


def test_the_filter_is_part_of_the_settings_hash():
    hashes = {
        config.load(["data=demo", *given]).hash
        for given in (
            ["filter=none"],
            ["filter=positives"],
            ["filter=steps", "filter.steps=[{k_core: 5}]"],
            ["filter=steps", "filter.steps=[{k_core: 6}]"],
        )
    }
    assert len(hashes) == 4


EVENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=40
)


def filtered(lines, *wanted):
    """The events that are left; None where none are."""
    x = of([line[:2] for line in lines], [line[2] for line in lines])
    try:
        return steps(interactions=x, steps=list(wanted)).interactions
    except DataError:
        return None


@given(EVENTS, st.integers(1, 3), st.integers(1, 5))
def test_filtering_again_takes_nothing_more(lines, k, least):
    for step in ({"k_core": k}, {"min_value": least}):
        once = filtered(lines, step)
        if once is not None:
            again = steps(interactions=once, steps=[step]).interactions
            assert again.digest() == once.digest()


@given(EVENTS, st.sampled_from(sorted(STEPS)), st.integers(1, 4))
def test_what_is_left_is_of_the_data_and_nobody_is_without_an_event(lines, name, number):
    left = filtered(lines, {name: number})
    if left is None:
        return
    assert pairs(left) <= {line[:2] for line in lines}
    assert left.rows.tolist() == sorted(left.rows.tolist(), key=lambda row: (lines[row][0], row))
    assert left.item_counts.min() > 0
    assert np.diff(left.offsets).min() > 0
    if name != "min_value":
        counts = {"min_user_events": np.diff(left.offsets), "min_item_events": left.item_counts}
        wanted = counts.values() if name == "k_core" else [counts[name]]
        assert all(count.min() >= number for count in wanted)


@given(EVENTS, st.integers(1, 3))
def test_a_larger_core_lies_within_a_smaller_one(lines, k):
    larger, smaller = filtered(lines, {"k_core": k + 1}), filtered(lines, {"k_core": k})
    if larger is not None:
        assert set(larger.rows.tolist()) <= set(smaller.rows.tolist())

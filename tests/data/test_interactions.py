"""Codes, order and digests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.categories import Categories
from recsys_cli.data.interactions import factorise, from_columns, sort_order
from recsys_cli.errors import DataError


def test_rows_are_sorted_by_user_time_and_file_order():
    x = from_columns(
        users=np.array([7, 3, 7, 3, 7]),
        items=np.array([1, 2, 3, 4, 5]),
        times=np.array([20, 5, 10, 5, 10]),
    )
    assert x.user_ids.decode(x.users).tolist() == [3, 3, 7, 7, 7]
    assert x.item_ids.decode(x.items).tolist() == [2, 4, 3, 5, 1]
    assert x.rows.tolist() == [1, 3, 2, 4, 0]
    assert x.offsets.tolist() == [0, 2, 5]
    assert x.values.tolist() == [1.0] * 5


def test_without_a_clock_file_order_is_kept():
    x = from_columns(users=np.array(["b", "a", "b"]), items=np.array(["x", "y", "z"]))
    assert x.times is None
    assert x.item_ids.decode(x.items).tolist() == ["y", "x", "z"]


def test_no_events_is_an_error():
    with pytest.raises(DataError, match="no events"):
        from_columns(users=np.array([], dtype=int), items=np.array([], dtype=int))


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=50))
def test_codes_go_back_to_their_ids(ids):
    column = np.array(ids)
    vocabulary, codes = factorise(column)
    assert vocabulary.decode(codes).tolist() == ids
    assert vocabulary.ids.tolist() == sorted(set(ids))
    assert vocabulary.encode(column).tolist() == codes.tolist()


def test_unknown_ids_have_no_code():
    vocabulary, _ = factorise(np.array([10, 20]))
    assert vocabulary.encode(np.array([20, 15, 99])).tolist() == [1, -1, -1]
    assert vocabulary.encode(np.array(["10"])).tolist() == [-1]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2, 2**40])), min_size=1, max_size=40
    )
)
def test_both_ways_of_sorting_agree_with_python(pairs):
    users = np.array([user for user, _ in pairs], dtype=np.int32)
    times = np.array([time for _, time in pairs])
    expected = sorted(range(len(pairs)), key=lambda row: (pairs[row][0], pairs[row][1], row))
    assert sort_order(users, times).tolist() == expected


def test_the_digest_sees_every_column():
    base = {"users": np.array([1, 2]), "items": np.array([1, 2]), "times": np.array([1, 2])}
    digests = {from_columns(**base).digest(), from_columns(**base).digest()}
    assert len(digests) == 1
    for change in (
        {"users": np.array([1, 3])}, {"items": np.array([2, 1])}, {"times": np.array([1, 3])},
        {"values": np.array([2.0, 1.0])}, {"context": {"hour": np.array([1, 2])}}, {"times": None},
    ):  # fmt: skip
        digests.add(from_columns(**(base | change)).digest())
    assert len(digests) == 7


def test_categories_of_items_follow_their_codes():
    events = from_columns(users=np.array([1, 1, 2]), items=np.array([10, 20, 30]))
    of_items = np.array([[True, False], [False, True], [True, True]])
    events = replace(events, item_categories=Categories(("a", "b"), of_items))
    fewer = events.take(events.items != 1)
    assert fewer.item_categories.of_items.tolist() == of_items.tolist()  # the catalogue is the same
    assert fewer.compact().item_categories.of_items.tolist() == of_items[[0, 2]].tolist()
    assert from_columns(users=np.array([1]), items=np.array([1])).compact().item_categories is None


EVENTS = st.lists(
    st.tuples(st.integers(-3, 3), st.sampled_from("abcé"), st.integers(0, 5), st.integers(0, 9)),
    min_size=1,
    max_size=30,
)


def columns(lines):
    users, items, times, values = map(np.array, zip(*lines, strict=True))
    return {"users": users, "items": items, "times": times, "values": values}


@given(EVENTS)
def test_every_row_is_there_once_in_the_order_of_user_time_and_file(lines):
    x = from_columns(**columns(lines))
    users, items = x.user_ids.decode(x.users).tolist(), x.item_ids.decode(x.items).tolist()
    back = list(zip(users, items, x.times.tolist(), x.values.tolist(), strict=True))
    assert back == [lines[row] for row in x.rows]
    assert sorted(x.rows.tolist()) == list(range(len(lines)))
    keys = [
        (user, time, row) for (user, _, time, _), row in zip(back, x.rows.tolist(), strict=True)
    ]
    assert keys == sorted(keys)
    for code in range(x.n_users):
        assert set(x.users[x.offsets[code] : x.offsets[code + 1]].tolist()) == {code}
    assert x.item_counts.sum() == x.offsets[-1] == len(lines)


@given(EVENTS, st.data())
def test_what_is_taken_and_made_compact_keeps_its_raw_ids(lines, data):
    x = from_columns(**columns(lines))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(x), max_size=len(x))))
    kept = x.take(mask)
    assert (kept.n_users, kept.n_items) == (x.n_users, x.n_items)
    compact = kept.compact()
    for part in (kept, compact):
        pairs = zip(
            part.user_ids.decode(part.users).tolist(),
            part.item_ids.decode(part.items).tolist(),
            strict=True,
        )
        assert list(pairs) == [lines[row][:2] for row in x.rows[mask]]
    assert compact.n_users == len(set(kept.users.tolist()))
    assert compact.n_items == len(set(kept.items.tolist()))
    assert x.take(np.arange(len(x))).digest() == x.digest()


@given(st.lists(st.text("ab0é", max_size=3), min_size=1, max_size=20))
def test_text_ids_are_coded_in_order_and_found_again(ids):
    vocabulary, codes = factorise(np.array(ids))
    assert vocabulary.decode(codes).tolist() == ids
    assert vocabulary.ids.tolist() == sorted(set(ids))
    assert vocabulary.encode(np.array([*ids, "zz"])).tolist() == [*codes.tolist(), -1]

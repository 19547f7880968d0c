import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.event_columns import CellError, clock, ids, values


def encoded(*blocks: list[str]) -> list[pa.DictionaryArray]:
    return [pa.array(block).dictionary_encode() for block in blocks]


def test_ids_are_one_column_whatever_the_blocks() -> None:
    unique, codes, notes = ids(encoded(["30", "4"], ["-5", "30"], ["4"]))
    assert unique.tolist() == [-5, 4, 30]
    assert codes.tolist() == [2, 1, 0, 2, 1]
    assert codes.dtype == np.int32
    assert notes == []


def test_text_ids_are_in_the_order_of_code_points() -> None:
    unique, codes, _ = ids(encoded(["b", "é", "B", "10", "9"]))
    assert unique.tolist() == ["10", "9", "B", "b", "é"]
    assert unique[codes].tolist() == ["b", "é", "B", "10", "9"]


@given(st.lists(st.text("ab\u00e9\u0301 09", min_size=1, max_size=4), min_size=1, max_size=20))
def test_ids_come_back_as_written(column: list[str]) -> None:
    if any(text != text.strip() for text in column):
        with pytest.raises(CellError):
            ids(encoded(column))
    else:
        unique, codes, _ = ids(encoded(column[:3], column[3:]) if column[3:] else encoded(column))
        assert [str(text) for text in unique[codes].tolist()] == column
        assert (np.sort(unique) == unique).all()


def test_the_first_bad_cell_is_the_one_that_is_told() -> None:
    column = pa.array(["1"] * 57 + ["x"] + ["2"] * 10 + ["y"])
    with pytest.raises(CellError, match="'x' is not a number") as caught:
        values(column, None, None)
    assert caught.value.row == 57


def test_a_long_cell_is_shortened_in_the_message() -> None:
    with pytest.raises(CellError) as caught:
        values(pa.array(["x" * 1000]), None, None)
    assert len(str(caught.value)) < 80


def test_large_whole_times_are_exact() -> None:
    nanoseconds = 1_500_000_000 * 10**9
    column = pa.array([str(nanoseconds), str(nanoseconds - 1)])
    assert clock(str(nanoseconds), "auto").seconds(column).tolist() == [
        1_500_000_000,
        1_499_999_999,
    ]

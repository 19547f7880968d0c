"""Files with a line a user."""

import gzip
from pathlib import Path

import pytest

from recsys_cli.data.item_lists import read_item_lists
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError


def read(tmp_path: Path, text: bytes):
    (tmp_path / "lists.txt").write_bytes(text)
    return read_item_lists(Member(tmp_path / "lists.txt"))


def test_a_line_is_a_user_and_items_in_order(tmp_path):
    x = read(tmp_path, b"7 30 10 20\n\n3\t10 10\n")
    assert x.user_ids.decode(x.users).tolist() == [3, 3, 7, 7, 7]
    assert x.item_ids.decode(x.items).tolist() == [10, 10, 30, 10, 20]
    assert x.rows.tolist() == [3, 4, 0, 1, 2]
    assert x.times is None


def test_gzipped_files_are_read_too(tmp_path):
    assert len(read(tmp_path, gzip.compress(b"1 2 3\n"))) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"1 2\n3 x 4\n", r":2:2: 'x' is no whole number"),
        (b"1 2\n3 4 -5\n", r":2:3: '-5' is no whole number"),
        (b"1 1.5\n", r":1:2: '1.5' is no whole number"),
        (b"1 " + b"9" * 19 + b"\n", ":1:2: "),
        (b"1 2\n3\n", ":2:2: no item follows the user"),
        (b"", ":1:1: the file is empty"),
        (b"\n\n", ":1:1: the file is empty"),
    ],
)
def test_other_lines_are_refused_with_their_place(tmp_path, text, told):
    with pytest.raises(DataError, match=told):
        read(tmp_path, text)

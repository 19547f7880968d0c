from pathlib import Path

import pytest

from recsys_cli.data import event_lines
from recsys_cli.data.event_lines import check_shape, rows
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError


def member(tmp_path: Path, content: bytes) -> Member:
    (tmp_path / "f").write_bytes(content)
    return Member(tmp_path / "f")


def test_records_know_where_they_begin(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfa,b\n\n"1\n2",3\r\n4,"5\n\n"\n6,7'
    found = [(row.line, row.fields) for row in rows(member(tmp_path, content), ",")]
    assert found == [
        (1, ["a", "b"]),
        (3, ["1\n2", "3"]),
        (5, ["4", "5\n\n"]),
        (8, ["6", "7"]),
    ]


def test_the_line_of_a_record_is_found_without_reading_on(tmp_path: Path) -> None:
    broken_later = member(tmp_path, b"a,b\n\n1,2\n3,4\n5\n")
    assert check_shape(broken_later, ",", stop=2) == 4
    with pytest.raises(DataError, match=":5:2: has 1 fields where the first line has 2"):
        check_shape(broken_later, ",")


def test_a_long_field_is_told(tmp_path: Path) -> None:
    content = b'a,b\n1,"' + b"x\n" * 100_000 + b'"\n'
    with pytest.raises(DataError, match=":2:2: a field is longer"):
        check_shape(member(tmp_path, content), ",")


def test_a_long_line_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_lines, "MAX_LINE_BYTES", 10)
    with pytest.raises(DataError, match=":2:1: is longer than 10 bytes"):
        check_shape(member(tmp_path, b"a,b\n1,23456789\n"), ",")
    assert check_shape(member(tmp_path, b"a,b\n1,234567\n"), ",") == 2

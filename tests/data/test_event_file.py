import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_cli.data import event_file
from recsys_cli.data.event_file import read_events
from recsys_cli.data.event_layout import Layout
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError
from recsys_cli.progress import Silent

LAYOUT = Layout(
    delimiter=",",
    names=None,
    user="u",
    item="i",
    time="t",
    value="v",
    time_unit="auto",
    low=None,
    high=None,
)
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
PIECES = [
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b'"',
    b'""',
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b" ",
    b"\xc3\xa9",
]
PIECES += [b"u,i,v,t\n", b"u", b"1", b"-1", b"1.5", b"nan", b"1e999", b"1000000000", b"2020-01-01"]
PIECES += [b"1,2,3,1000000000\n", b"\x1f\x8b\x08\x00", b"9" * 30, b"0x1", b"::", b"\t"]
ids = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9
    )
    .map(str.strip)
    .filter(bool),
)


def read(tmp_path: Path, content: bytes, layout: Layout = LAYOUT) -> Any:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    return read_events(Member(path), layout, Silent())[0]


def read_or_reason(tmp_path: Path, content: bytes) -> Any:
    try:
        return read(tmp_path, content)
    except DataError as error:
        return error.line


@given(content=st.one_of(st.binary(), st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)))
@SHARED_FOLDER
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path: Path) -> None:
    for begin in (b"", b"u,i,v,t\n", b"u,i,v,t\n1,2,3,1000000000\n"):
        result = read_or_reason(tmp_path, begin + content)
        if isinstance(result, str):
            assert "events.csv" in result
        else:
            assert result.times.min() >= 0


@given(
    rows=st.lists(
        st.tuples(ids, ids, st.floats(-1e6, 1e6, width=32), st.integers(10**8, 4 * 10**9)),
        min_size=1,
        max_size=20,
    ),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@SHARED_FOLDER
def test_what_was_written_is_read(
    rows: list[Any], line_end: str, quoting: Any, tmp_path: Path
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end, quoting=quoting)
    writer.writerows([["u", "i", "v", "t"], *rows])
    if "\r" in text.getvalue().replace("\r\n", ""):
        return  # what a carriage return alone means is a matter of another test
    events = read_or_reason(tmp_path, text.getvalue().encode())
    if isinstance(events, str):
        assert "no whole number" in events or "header line again" in events
        return
    back = sorted(
        zip(
            events.rows.tolist(),
            map(str, events.user_ids.decode(events.users).tolist()),
            map(str, events.item_ids.decode(events.items).tolist()),
            events.values.tolist(),
            events.times.tolist(),
            strict=True,
        )
    )
    assert back == [(number, *row) for number, row in enumerate(rows)]


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = b"".join(b"u%d,%d,3,%d\n" % (i % 7, i % 5, 10**9 + i) for i in range(500))
    whole = read(tmp_path, b"u,i,v,t\n" + rows).digest()
    monkeypatch.setattr(event_file, "BLOCK_BYTES", 64)
    assert read(tmp_path, b"u,i,v,t\n" + rows).digest() == whole


DOUBLED = Layout(
    delimiter="::",
    names=("u", "i", "v", "t"),
    user="u",
    item="i",
    time="t",
    value="v",
    time_unit="s",
    low=None,
    high=None,
)


def test_doubled_delimiters_without_header(tmp_path: Path) -> None:
    events = read(tmp_path, b"7::1::5::100\n7::2::4::99\n", DOUBLED)
    assert events.user_ids.ids.tolist() == [7]
    assert events.item_ids.decode(events.items).tolist() == [2, 1]
    assert events.values.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"7::1::5::100\n7::1::x::100\n", "2:3"),
        (b"7::1::5::100\n7::1::5::\n", "2:4"),
        (b"7::1::5::100\n7::1::5\n", "2:6"),
        (b"7::1::5\n", "1:6"),
        (b"7:1:5:100\n", "1:5"),
    ],
)
def test_faults_between_doubled_delimiters(text: bytes, place: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"events\.csv:{place}: "):
        read(tmp_path, text, DOUBLED)


def test_something_between_the_two_of_a_doubled_delimiter(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"events\.csv"):
        read(tmp_path, b"7::1::5::100\n7:x:1::5::100\n", DOUBLED)


def test_large_files_show_a_bar(tmp_path: Path, heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "BAR_BYTES", 10)
    content = b"u,i,v,t\n1,2,3,1000000000\n"
    (tmp_path / "events.csv").write_bytes(content)
    read_events(Member(tmp_path / "events.csv"), LAYOUT, heard)
    assert heard.bars == [("read events.csv", len(content))]

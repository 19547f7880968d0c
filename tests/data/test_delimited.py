"""Files as people have them: each odd one is either read exactly or refused with its line and field."""

import contextlib
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_cli.data import event_file
from recsys_cli.data.delimited import load_csv
from recsys_cli.data.interactions import Interactions
from recsys_cli.errors import ConfigError, DataError, RecsysError
from recsys_cli.progress import Progress, Silent

HEAD = b"user,item,value,time\n"
GOOD = b"1,10,5,1000000000\n2,11,4,1000000001\n"
EVENT = b",20,3,1000000002\n"


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    pass


def load(path: Path, progress: Progress | None = None, **changed: Any) -> Interactions:
    settings: dict[str, Any] = {
        "path": str(path),
        "delimiter": ",",
        "user_column": "user",
        "item_column": "item",
        "time_column": "time",
        "time_unit": "auto",
        "value_column": "value",
        "value_low": None,
        "value_high": None,
        "id_type": "auto",
        "duplicates": "keep",
        "progress": progress or Silent(),
    }
    return load_csv(**settings | changed)


def load_bytes(tmp_path: Path, content: bytes, **changed: Any) -> Interactions:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    return load(path, **changed)


IDS_ONLY = {"time_column": None, "value_column": None}
REFUSED: dict[str, tuple[bytes, str, str, dict[str, Any]]] = {
    # name: content, line:field, words of the message, settings
    "empty": (b"", "1:1", "the file is empty", {}),
    "header only": (HEAD, "2:1", "no event follows", {}),
    "blank lines only": (b"\n\r\n\n", "1:1", "the file is empty", {}),
    "utf-16": ((HEAD + GOOD).decode().encode("utf-16"), "1:1", "UTF-16", {}),
    "latin-1 byte": (HEAD + b"1,\xe9,5,1000000000\n", "2:2", "byte 0xe9 is not UTF-8", {}),
    "zero byte": (HEAD + GOOD + b"3,4\0,5,1000000000\n", "4:2", "zero byte", {}),
    "latin-1 byte in a column not read": (
        b"user,item,note\n1,2,a\n3,4,b\n5,6,\xe9\n",
        "4:3",
        "byte 0xe9 is not UTF-8",
        IDS_ONLY,
    ),
    "zero byte in a column not read": (
        b"user,item,note\n1,2,a\n3,4,b\n5,6,c\0\n",
        "4:3",
        "zero byte",
        IDS_ONLY,
    ),
    "one very long line": (HEAD + b"1" * 9_000_000, "2:1", "is longer than 1,048,576 bytes", {}),
    "no header": (GOOD, "1:1", "put a line above it that names the columns", {}),
    "missing column": (
        HEAD.replace(b"item", b"itm") + GOOD,
        "1:1",
        "no column 'item' for data.item_column; did you mean 'itm'?",
        {},
    ),
    "column twice": (b"user,item,user\n1,2,3\n", "1:3", "a second column 'user'", IDS_ONLY),
    "other separator": (
        (HEAD + GOOD).replace(b",", b";"),
        "1:1",
        "the line has ';' in it: set data.delimiter",
        {},
    ),
    "extra field in one row": (
        HEAD + GOOD + b"3,4,5,1000000000,9\n",
        "4:5",
        "has 5 fields where the first line has 4",
        {},
    ),
    "extra field in all rows": (
        HEAD + GOOD.replace(b"\n", b",9\n"),
        "2:5",
        "has 5 fields where the first line has 4",
        {},
    ),
    "short row": (HEAD + GOOD + b"3,4\n", "4:3", "has 2 fields where the first line has 4", {}),
    "trailing comma": (HEAD + GOOD + b"3,4,5,1000000000,\n", "4:5", "has 5 fields", {}),
    "quote not closed": (HEAD + GOOD + b'3,"4,5,1000000000\n' + GOOD, "4:2", "never closed", {}),
    "quote not closed in a column not read": (
        b'user,item,note\n1,2,a\n3,4,b\n5,6,"c\n7,8,d\n',
        "4:3",
        "never closed",
        IDS_ONLY,
    ),
    "text behind a quote": (
        HEAD + b'1,"10"x,5,1000000000\n' + GOOD + b'1,"2,3,1000000000\n',
        "2:2",
        "goes on behind its quote",
        {},
    ),
    "carriage returns mixed in": (
        HEAD + b"1,2,3,1000000000\r3,4,5,1000000000\n",
        "2:4",
        "a carriage return alone",
        {},
    ),
    "carriage returns alone": ((HEAD + GOOD).replace(b"\n", b"\r"), "1:4", "carriage return", {}),
    "header again": (HEAD + GOOD + HEAD + GOOD, "4:4", "time 'time' is no number", {}),
    "header again, ids only": (
        b"user,item\n1,2\n3,4\nuser,item\n5,6\n",
        "4:1",
        "is the header line again",
        IDS_ONLY,
    ),
    "id empty": (HEAD + GOOD + EVENT, "4:1", "user '' is empty", {}),
    "id of spaces": (HEAD + GOOD + b"  " + EVENT, "4:1", "user ' ' is empty", {}),
    "id with a space": (HEAD + GOOD + b"1 " + EVENT, "4:1", "user '1 ' has spaces around it", {}),
    "id NaN": (HEAD + GOOD + b"NaN" + EVENT, "4:1", "user 'NaN' is no whole number", {}),
    "id 1.5": (HEAD + GOOD + b"1.5" + EVENT, "4:1", "user '1.5' is no whole number", {}),
    "id 1e3": (HEAD + GOOD + b"1e3" + EVENT, "4:1", "user '1e3' is no whole number", {}),
    "id of 10 kB": (HEAD + GOOD + b"x" * 10_000 + EVENT, "4:1", "is longer than 256", {}),
    "one user": (HEAD + b"1" + EVENT + b"1,21,3,1000000002\n", "", "are of one user", {}),
    "one item": (HEAD + b"1" + EVENT + b"2" + EVENT, "", "are of one item", {}),
    "one row": (HEAD + b"1" + EVENT, "", "are of one user", {}),
    "zip": (b"PK\x03\x04" + GOOD, "", "is a zip archive", {}),
    "parquet": (b"PAR1" + GOOD, "", "is a parquet file", {}),
    "gzip cut short": (gzip.compress(HEAD + GOOD)[:-9], "", "cannot be read", {}),
    "duplicate": (
        HEAD + GOOD + b"1,10,5,1000000002\n",
        "4:1",
        "user 1 has item 10 more than once",
        {"duplicates": "error"},
    ),
    "repeated earlier in time": (
        HEAD + GOOD + b"1,10,5,7\n",
        "2:1",
        "user 1 has item 10 more than once",
        {"duplicates": "error", "time_unit": "s"},
    ),
    "iso without zone among iso with": (
        HEAD + b"1,2,3,2020-01-01T00:00:00Z\n2,3,3,2020-01-01\n",
        "3:4",
        "time '2020-01-01' is no ISO 8601 time with a zone",
        {},
    ),
    "iso among seconds": (HEAD + GOOD + b"3,4,5,2020-01-01\n", "4:4", "is no number", {}),
    "seconds among iso": (
        HEAD + b"1,2,3,2020-01-01\n" + GOOD,
        "3:4",
        "time '1000000000' is no ISO 8601 time without a zone",
        {},
    ),
    "seconds said to be iso": (HEAD + GOOD, "2:4", "is no ISO 8601", {"time_unit": "iso"}),
    "ms said to be seconds": (
        HEAD + b"1,2,3,1000000000000\n",
        "2:4",
        "is not in the years 1970 to 2100",
        {"time_unit": "s"},
    ),
    "first time of no unit": (HEAD + b"1,2,3,0\n", "2:4", "time '0' tells no unit", {}),
    "first time between two units": (HEAD + b"1,2,3,9999999999\n", "2:4", "tells no unit", {}),
    "negative id said to be a number": (
        HEAD + GOOD + b"-1" + EVENT,
        "4:1",
        "user '-1' is no whole number from 0",
        {"id_type": "int"},
    ),
    "padded id said to be a number": (
        HEAD + GOOD + b"007" + EVENT,
        "4:1",
        "user '007' is no whole number from 0",
        {"id_type": "int"},
    ),
    "id of more than 64 bits said to be a number": (
        HEAD + GOOD + b"9223372036854775808" + EVENT,
        "4:1",
        "user '9223372036854775808' is above 9223372036854775807",
        {"id_type": "int"},
    ),
    "two duplicates": (
        HEAD + GOOD + b"2,11,5,1000000003\n1,10,5,1000000002\n",
        "4:1",
        "user 2 has item 11 more than once",
        {"duplicates": "error"},
    ),
    "negative seconds": (
        HEAD + b"1,2,3,5\n2,2,3,-5\n",
        "3:4",
        "is not in the years",
        {"time_unit": "s"},
    ),
    "fault behind a quoted line end": (
        b'note,user,item\n"a\nb",1,2\n\n"c\r\n\r\nd",,4\n',
        "5:2",
        "user '' is empty",
        IDS_ONLY,
    ),
}
REFUSED |= {
    f"value {text}": (
        HEAD + GOOD + b"3,4," + text.encode() + b",1000000000\n",
        "4:3",
        words,
        {"value_low": 1, "value_high": 5},
    )
    for text, words in {
        "abc": "value 'abc' is not a number",
        "": "value '' is not a number",
        "NaN": "value 'NaN' is not a finite number",
        "inf": "value 'inf' is not a finite number",
        "1e400": "value '1e400' is not a finite number",
        "1e39": "value '1e39' is not a finite number",
        '"3,5"': "value '3,5' is not a number",
        "6": "value '6' is above 5",
        "0.5": "value '0.5' is below 1",
    }.items()
}
REFUSED |= {
    f"time {text}": (HEAD + GOOD + b"3,4,5," + text.encode() + b"\n", "4:4", words, {})
    for text, words in {
        "": "time '' is no number",
        "soon": "time 'soon' is no number",
        "-5": "is not in the years 1973 to 2100",
        "0": "is not in the years 1973 to 2100",
        "1000000000000": "is not in the years 1973 to 2100",
        "1000000000000000": "is not in the years 1973 to 2100",
        "1000000000000000000": "is not in the years 1973 to 2100",
        "4102444800": "is not in the years 1973 to 2100",
        "99999999999999999999": "is not in the years 1973 to 2100",
        "1e400": "is not in the years 1973 to 2100",
        "nan": "is not in the years 1973 to 2100",
    }.items()
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    content, place, words, settings = REFUSED[name]
    with pytest.raises(DataError) as caught:
        load_bytes(tmp_path, content, **settings)
    line = caught.value.line
    assert words in line
    assert line.startswith(
        f"{tmp_path}/events.csv:{place}: " if place else f"{tmp_path}/events.csv: "
    )
    assert "; " in line
    assert "\n" not in line


UNREADABLE = [
    name
    for name, (_, _, words, settings) in REFUSED.items()
    if "duplicates" not in settings
    and "are of one" not in words  # sound files with unwanted events
]


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_files_leave_nothing_in_the_cache(
    name: str, cache: Path, tmp_path: Path
) -> None:
    content, _, _, settings = REFUSED[name]
    with pytest.raises(DataError):
        load_bytes(tmp_path, content, **settings)
    assert not list(cache.rglob("*.npy"))


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "/dev/zero", "no right", "long"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "/dev/zero":
        path = Path(kind)
    elif kind == "long":
        path = tmp_path / ("x" * 5000)
    elif kind == "no right":
        path.write_bytes(HEAD + GOOD)
        path.chmod(0)
    with pytest.raises(DataError) as caught, somebody_else(kind == "no right"):
        load(
            path, read=lambda _, options, parse, progress: parse()[0]
        )  # the cache is another matter
    assert caught.value.line.startswith(f"{path}: ")


@contextlib.contextmanager
def somebody_else(wanted: bool) -> Iterator[None]:
    """The superuser may read everything, so they are nobody for a moment."""
    if wanted and os.geteuid() == 0:
        os.seteuid(65_534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


def ids(events: Interactions) -> tuple[list[Any], list[Any]]:
    return events.user_ids.decode(events.users).tolist(), events.item_ids.decode(
        events.items
    ).tolist()


def test_plain_file(tmp_path: Path) -> None:
    events = load_bytes(tmp_path, HEAD + GOOD)
    assert ids(events) == ([1, 2], [10, 11])
    assert events.values.tolist() == [5, 4]
    assert events.times is not None
    assert events.times.tolist() == [1_000_000_000, 1_000_000_001]


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b[:-1],
        lambda b: b.replace(b"\n", b"\n\n"),
        lambda b: b"\n" + b,
        gzip.compress,
        lambda b: b.replace(b",10,", b',"10",').replace(b"user", b'"user"'),
        lambda b: b.replace(b"\n", b',"a ""b"", c"\n').replace(b',"a ""b"", c"', b",note", 1),
        lambda b: b.replace(b"\n", b',"a\nb\r\nc\rd"\n').replace(b',"a\nb\r\nc\rd"', b",note", 1),
        lambda b: b.replace(b"\n", b',12" vinyl\n').replace(b',12" vinyl', b",note", 1),
    ],
)
def test_odd_and_sound_files_are_read_like_the_plain_one(change, tmp_path: Path) -> None:
    plain = load_bytes(tmp_path, HEAD + GOOD).digest()
    assert load_bytes(tmp_path, change(HEAD + GOOD)).digest() == plain


@pytest.mark.parametrize(
    "text",
    [
        "NA",
        "null",
        "None",
        "007",
        "+7",
        "-0",
        "9223372036854775808",
        "18446744073709551616",
        "é",
        "a\tb",
    ],
)
def test_ids_that_are_no_plain_numbers_make_the_column_text(text: str, tmp_path: Path) -> None:
    events = load_bytes(tmp_path, HEAD + b"7" + EVENT + text.encode() + b",21,3,1000000002\n")
    assert sorted(ids(events)[0]) == sorted(["7", text])
    assert ids(events)[1].count(20) == 1  # the other column stays numbers


def test_ids_of_64_bits_keep_every_digit(tmp_path: Path) -> None:
    big = [2**63 - 1, 2**53 + 1, -(2**63), -1]
    rows = b"".join(b"%d" % user + EVENT for user in big) + b"1,21,3,1000000002\n"
    assert set(ids(load_bytes(tmp_path, HEAD + rows))[0]) == {*big, 1}


def test_ids_said_to_be_numbers_or_text(tmp_path: Path) -> None:
    rows = HEAD + GOOD + b"9223372036854775807" + EVENT + b"0" + EVENT
    assert ids(load_bytes(tmp_path, rows, id_type="int"))[0] == [0, 1, 2, 2**63 - 1]
    rows += b"1.5" + EVENT
    assert ids(load_bytes(tmp_path, rows, id_type="text"))[0] == sorted(
        ["0", "1", "1.5", "2", "9223372036854775807"]
    )


def test_fractions_are_names_where_other_ids_are_names(tmp_path: Path) -> None:
    events = load_bytes(tmp_path, HEAD + b"1.5" + EVENT + b"nan" + EVENT + b"ann,21,3,1000000002\n")
    assert set(ids(events)[0]) == {"1.5", "nan", "ann"}


def test_ids_that_look_alike_are_kept_apart_and_told(tmp_path: Path, heard) -> None:
    rows = "cafe\u0301,1,3,1000000000\ncaf\u00e9,2,3,1000000000\n".encode()
    assert load_bytes(tmp_path, HEAD + rows, progress=heard).n_users == 2
    assert "differ in how accents are coded: 1" in heard.notes[0]


@pytest.mark.parametrize(
    ("unit", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_the_unit_of_time_is_seen_and_told(
    unit: str, per_second: int, tmp_path: Path, heard
) -> None:
    rows = b"1,2,3,%d\n2,3,3,%d\n" % (1_500_000_001 * per_second, 1_500_000_000 * per_second)
    events = load_bytes(tmp_path, HEAD + rows, progress=heard)
    assert events.times is not None
    assert events.times.tolist() == [1_500_000_001, 1_500_000_000]
    assert [f"data.time_unit={unit}" in note for note in heard.notes] == [True] * (unit != "s")


@pytest.mark.parametrize(
    ("text", "seconds", "told"),
    [
        ("1970-01-02T00:00:00Z", 86_400, False),
        ("1970-01-02T01:30:00+01:30", 86_400, False),
        ("1970-01-02 00:00:00.999999", 86_400, True),
        ("1970-01-02", 86_400, True),
    ],
)
def test_iso_times(text: str, seconds: int, told: bool, tmp_path: Path, heard) -> None:
    rows = b"".join(b"%d,%d,3,%s\n" % (i, i, text.encode()) for i in range(2))
    events = load_bytes(tmp_path, HEAD + rows, progress=heard)
    assert events.times is not None
    assert events.times.tolist() == [seconds] * 2
    assert heard.notes == ["times have no zone: taken as UTC"] * told


def test_fractions_of_a_second_are_cut_and_small_counts_allowed_when_said(tmp_path: Path) -> None:
    rows = b"1,2,3,0\n2,3,3,7.9\n3,3,3,8\n"
    events = load_bytes(tmp_path, HEAD + rows, time_unit="s")
    assert events.times is not None
    assert events.times.tolist() == [0, 7, 8]


def test_without_times_and_values(tmp_path: Path) -> None:
    events = load_bytes(tmp_path, HEAD + GOOD, **IDS_ONLY)
    assert events.times is None
    assert events.values.tolist() == [1, 1]


def test_unsorted_times_ties_and_users_of_one_event(tmp_path: Path) -> None:
    rows = b"5,1,1,1000000009\n4,1,1,1000000000\n5,3,1,1000000001\n5,2,1,1000000001\n"
    events = load_bytes(tmp_path, HEAD + rows)
    assert ids(events) == ([4, 5, 5, 5], [1, 3, 2, 1])
    assert events.rows.tolist() == [1, 2, 3, 0]


def test_later_duplicates_replace_the_earlier(tmp_path: Path) -> None:
    rows = GOOD + b"1,10,2,1000000009\n1,12,1,1000000000\n1,10,3,1000000005\n"
    assert len(load_bytes(tmp_path, HEAD + rows)) == 5
    last = load_bytes(tmp_path, HEAD + rows, duplicates="last")
    assert ids(last) == ([1, 1, 2], [12, 10, 11])
    assert last.values.tolist() == [1, 2, 4]


def test_tabs(tmp_path: Path) -> None:
    content = (HEAD + GOOD).replace(b",", b"\t")
    plain = load_bytes(tmp_path, HEAD + GOOD).digest()
    assert load_bytes(tmp_path, content, delimiter="tab").digest() == plain
    assert load_bytes(tmp_path, content, delimiter="\t").digest() == plain


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "\0", "é"])
def test_impossible_delimiters(delimiter: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.delimiter is"):
        load_bytes(tmp_path, HEAD + GOOD, delimiter=delimiter)


@pytest.mark.parametrize(
    "same", [{"item_column": "user"}, {"time_column": "value"}, {"value_column": "item"}]
)
def test_one_column_has_one_purpose(same: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not all different"):
        load_bytes(tmp_path, HEAD + GOOD, **same)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "BLOCK_BYTES", 999)


@pytest.mark.usefixtures("small_blocks")
def test_faults_in_later_blocks_keep_their_line(tmp_path: Path) -> None:
    rows = b"".join(b"%d,%d,3,1000000000\n" % (i % 100, i % 77) for i in range(2_000))
    for broken, place in (
        (b"7,8,x,1000000000\n", "3"),
        (b"7,8,3,x\n", "4"),
        (b"7,,3,1000000000\n", "2"),
    ):
        with pytest.raises(DataError) as caught:
            load_bytes(tmp_path, HEAD + rows + broken + GOOD)
        assert f"events.csv:2002:{place}: " in str(caught.value)


@pytest.mark.usefixtures("small_blocks")
def test_lone_returns_are_not_seen_where_a_line_end_is_cut_by_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file.event_lines, "check_shape", None)  # would fail if asked
    rows = b"".join(b"%07d,%07d,3,1000000000\r\n" % (i % 1000, i % 77) for i in range(3_000))
    events = load_bytes(tmp_path, HEAD.replace(b"\n", b"\r\n") + rows)
    assert len(events) == 3_000
    assert np.bincount(events.users).tolist() == [3] * 1000


def test_every_error_is_ours(tmp_path: Path) -> None:
    for content, _, _, settings in REFUSED.values():
        for cut in (content[: len(content) // 2], content[len(content) // 3 :], content[::-1]):
            with contextlib.suppress(RecsysError):  # and nothing else
                load_bytes(tmp_path, cut, **settings)

"""`recsys data import`: odd files end in one line and nothing written; sound odd ones work."""

import gzip
import json
import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAD = b"user,item,time\n"
GOOD = b"1,10,1000000000\n2,11,1000000001\n"
Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RECSYS_DATA", raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def left(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.parent.rglob("*") if path != folder
    )


ODD: dict[str, tuple[bytes, str, list[str]]] = {
    # name: content, what the line says behind "events.csv", options
    "empty": (b"", ":1:1: the file is empty", []),
    "header only": (HEAD, ":2:1: no event follows", []),
    "blank lines only": (b"\n\r\n\n", ":1:1: the file is empty", []),
    "utf-16": ((HEAD + GOOD).decode().encode("utf-16"), ":1:1: is text in UTF-16", []),
    "latin-1 byte": (HEAD + b"1,\xe9,1000000000\n", ":2:2: byte 0xe9 is not UTF-8", []),
    "zero byte": (HEAD + GOOD + b"3,4\0,1000000000\n", ":4:2: holds a zero byte", []),
    "one very long line": (HEAD + b"1" * 2_000_000, ":2:1: is longer than", []),
    "zip": (b"PK\x03\x04" + GOOD, ": is a zip archive", []),
    "gzip cut short": (gzip.compress(HEAD + GOOD)[:-9], ": cannot be read", []),
    "no header": (GOOD, ":1:1: no column 'user'", []),
    "missing column": (HEAD.replace(b"item", b"itm") + GOOD, ":1:1: no column 'item'", []),
    "column twice": (b"user,item,user\n1,2,3\n", ":1:3: a second column", ["--time-column=null"]),
    "other separator": ((HEAD + GOOD).replace(b",", b";"), ":1:1: no column 'user'", []),
    "wrong separator said": (HEAD + GOOD, ":1:1: no column 'user'", ["--delimiter=tab"]),
    "extra field in one row": (HEAD + GOOD + b"3,4,1000000000,9\n", ":4:4: has 4 fields", []),
    "extra field in all rows": (HEAD + GOOD.replace(b"\n", b",9\n"), ":2:4: has 4 fields", []),
    "short row": (HEAD + GOOD + b"3,4\n", ":4:3: has 2 fields", []),
    "trailing comma": (HEAD + GOOD + b"3,4,1000000000,\n", ":4:4: has 4 fields", []),
    "quote not closed": (HEAD + GOOD + b'3,"4,1000000000\n', ":4:2: a quote is opened", []),
    "carriage returns mixed in": (
        HEAD + b"1,2,1000000000\r3,4,1000000000\n",
        ":2:3: a line ends",
        [],
    ),
    "two files in one": (HEAD + GOOD + HEAD + GOOD, ":4:3: time 'time' is no number", []),
    "id empty": (HEAD + GOOD + b",4,1000000000\n", ":4:1: user '' is empty", []),
    "id of spaces": (HEAD + GOOD + b"3,  ,1000000000\n", ":4:2: item ' ' is empty", []),
    "id 1.5": (HEAD + GOOD + b"1.5,4,1000000000\n", ":4:1: user '1.5' is no whole number", []),
    "id NaN": (HEAD + GOOD + b"NaN,4,1000000000\n", ":4:1: user 'NaN' is no whole number", []),
    "id 1e3": (HEAD + GOOD + b"3,1e3,1000000000\n", ":4:2: item '1e3' is no whole number", []),
    "id of more than 64 bits": (
        HEAD + GOOD + b"9223372036854775808,4,1000000000\n",
        ":4:1: user '9223372036854775808' is above",
        ["--id-type=int"],
    ),
    "negative id of a number": (
        HEAD + GOOD + b"-1,4,1000000000\n",
        ":4:1: user '-1' is no whole number from 0",
        ["--id-type=int"],
    ),
    "id of 10 kB": (HEAD + GOOD + b"x" * 10_000 + b",4,1000000000\n", ":4:1: user", []),
    "value text": (
        b"user,item,time,r\n1,2,1000000000,good\n",
        ":2:4: r 'good' is not a number",
        ["--value-column=r"],
    ),
    "value inf": (
        b"user,item,time,r\n1,2,1000000000,-inf\n",
        ":2:4: r '-inf' is not a finite",
        ["--value-column=r"],
    ),
    "value NaN": (
        b"user,item,time,r\n1,2,1000000000,NaN\n",
        ":2:4: r 'NaN' is not a finite",
        ["--value-column=r"],
    ),
    "value 1e400": (
        b"user,item,time,r\n1,2,1000000000,1e400\n",
        ":2:4: r '1e400' is not",
        ["--value-column=r"],
    ),
    "value comma": (
        b'user,item,time,r\n1,2,1000000000,"3,5"\n',
        ":2:4: r '3,5' is not a number",
        ["--value-column=r"],
    ),
    "value out of range": (
        b"user,item,time,r\n1,2,1000000000,6\n",
        ":2:4: r '6' is above 5",
        ["--value-column=r", "--value-high=5"],
    ),
    "time missing": (HEAD + GOOD + b"3,4,\n", ":4:3: time '' is no number", []),
    "time 0": (HEAD + GOOD + b"3,4,0\n", ":4:3: time '0' is not in the years", []),
    "time text": (HEAD + GOOD + b"3,4,soon\n", ":4:3: time 'soon' is no number", []),
    "time negative": (HEAD + GOOD + b"3,4,-5\n", ":4:3: time '-5' is not in the years", []),
    "time in ms": (HEAD + GOOD + b"3,4,1000000000000\n", ":4:3: time", []),
    "time in us": (HEAD + GOOD + b"3,4,1000000000000000\n", ":4:3: time", []),
    "time in ns": (HEAD + GOOD + b"3,4,1000000000000000000\n", ":4:3: time", []),
    "time of 2100": (HEAD + GOOD + b"3,4,4102444800\n", ":4:3: time", []),
    "iso among seconds": (HEAD + GOOD + b"3,4,2020-01-01\n", ":4:3: time '2020-01-01'", []),
    "one user": (HEAD + b"1,2,1000000000\n1,3,1000000000\n", ": all 2 events are of one user", []),
    "one item": (HEAD + b"1,2,1000000000\n2,2,1000000000\n", ": all 2 events are of one item", []),
    "one row": (HEAD + b"1,2,1000000000\n", ": all 1 events are of one user", []),
    "duplicates refused": (
        HEAD + GOOD + b"1,10,1000000009\n",
        ":4:1: user 1 has item 10 more than once",
        ["--duplicates=error"],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_ends_in_one_line_and_nothing_written(
    name: str, recsys: Call, place: Path
) -> None:
    content, words, options = ODD[name]
    Path("events.csv").write_bytes(content)
    ended = recsys("data", "import", "events.csv", "--name", "mine", *options)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith(f"recsys: error: events.csv{words}")
    assert ended.err.count("\n") == 1
    assert left(place) == ["events.csv"]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "/dev/zero", "~nobody-here/x.csv"])
def test_what_is_no_file_ends_in_one_line(kind: str, recsys: Call, place: Path) -> None:
    name = kind if "/" in kind else "events.csv"
    if kind == "folder":
        Path(name).mkdir()
    elif kind == "pipe":
        os.mkfifo(name)
    before = left(place)
    ended = recsys("data", "import", name, "--name", "mine")
    assert ended.code == 2
    assert ended.err.startswith(f"recsys: error: {name}: ")
    assert ended.err.count("\n") == 1
    assert left(place) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--name=../x"], "--name '../x' is no name of a data set"),
        (["--name=a b"], "--name 'a b' is no name of a data set"),
        ([], "Missing option '--name'"),
        (["--name=x", "--time-unit=fortnight"], "data.time_unit='fortnight': input should be"),
        (["--name=x", "--duplicates=first"], "data.duplicates='first'"),
        (["--name=x", "--id-type=float"], "data.id_type='float'"),
        (["--name=x", "--delimiter=ab"], "data.delimiter is 'ab'"),
        (["--name=x", "--value-low=nan"], "data.value_low=nan"),
        (["--name=x", "--value-low=low"], "Invalid value for '--value-low'"),
        (["--name=x", "--user-column=item"], "the columns item, item, time are not all different"),
        (["--name=x", "--to=/dev/null"], "/dev/null/x: cannot be written"),
        (["--name=x", "--to=events.csv"], "events.csv/x: cannot be written"),
        (["--name=x", "--wrong"], "No such option: --wrong"),
    ],
)
def test_a_wrong_option_ends_in_one_line(
    options: list[str], words: str, recsys: Call, place: Path
) -> None:
    Path("events.csv").write_bytes(HEAD + GOOD)
    ended = recsys("data", "import", "events.csv", *options)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert left(place) == ["events.csv"]


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b[:-1],
        lambda b: b.replace(b"\n", b"\n\n"),
        gzip.compress,
        lambda b: b.replace(b"\n", b',"a\nb"\n').replace(b',"a\nb"', b",note", 1),
        lambda b: b.replace(b",10,", b',"10",'),
    ],
    ids=[
        "mark",
        "returns",
        "no last line end",
        "blank lines",
        "gzip",
        "quoted line ends",
        "quotes",
    ],
)
def test_an_odd_and_sound_file_is_read_as_the_plain_one(
    change: Callable[[bytes], bytes], recsys: Call
) -> None:
    digests = []
    for name, content in (("plain", HEAD + GOOD), ("odd", change(HEAD + GOOD))):
        Path("events.csv").write_bytes(content)
        ended = recsys("data", "import", "events.csv", "--name", name, "--json")
        digests.append(json.loads(ended.out)["digest"])
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("rows", "options", "counts"),
    [
        (GOOD + b"NA,10,1000000000\nnull,11,1000000000\n", [], (4, 4, 2)),
        (GOOD + b"007,10,1000000000\n7,11,1000000000\n", [], (4, 4, 2)),
        (GOOD + b"-1,10,1000000000\n", [], (3, 3, 2)),
        (GOOD + b"9223372036854775808,10,1000000000\n", [], (3, 3, 2)),
        (GOOD + b"1,10,1000000000\n" + GOOD, [], (5, 2, 2)),  # duplicates stay
        (GOOD + b"1,10,1000000000\n" + GOOD, ["--duplicates=last"], (2, 2, 2)),
        (b"1,1,1500000000\n2,2,1400000000\n1,3,1300000000\n", [], (3, 2, 3)),  # unsorted
        (b"1,1,1500000000\n2,2,1500000000\n1,3,1500000000\n", [], (3, 2, 3)),  # one moment
        (b"1,1,1500000000\n2,2,1500000000\n3,3,1500000000\n", [], (3, 3, 3)),  # one event each
        (b"1,1,-5\n2,2,0\n", ["--time-column=null"], (2, 2, 2)),
        (b"1,1,0\n2,2,1\n", ["--time-unit=s"], (2, 2, 2)),
    ],
)
def test_sound_oddities_are_imported(
    rows: bytes, options: list[str], counts: tuple[int, int, int], recsys: Call
) -> None:
    Path("events.csv").write_bytes(HEAD + rows)
    ended = recsys("data", "import", "events.csv", "--name", "mine", "--json", *options)
    assert ended.code == 0
    told = json.loads(ended.out)
    assert (told["events"], told["users"], told["items"]) == counts


def test_ids_that_look_alike_are_told(recsys: Call) -> None:
    rows = "cafe\u0301,1,1000000000\ncaf\u00e9,2,1000000000\n".encode()
    Path("events.csv").write_bytes(HEAD + rows)
    ended = recsys("data", "import", "events.csv", "--name", "mine")
    assert ended.code == 0
    assert "differ in how accents are coded: 1" in ended.err


@pytest.mark.parametrize(
    "folder", ["sets", "my sets, (2026)", "it's", 'a"b', "a=b", "ümläut", "a\\b", "a\\'b"]
)
def test_what_is_printed_reads_the_folder_when_pasted(folder: str, recsys: Call) -> None:
    Path("events.csv").write_bytes(HEAD + GOOD + b"1,11,1000000002\n")
    out = recsys("data", "import", "events.csv", "--name", "mine", "--to", folder).out
    told = dict(line.split("\t") for line in out.splitlines())
    assert told["events"] == "3"
    program, *arguments = shlex.split(told["describe with"])
    assert program == "recsys"
    described = recsys(*arguments, "--json")
    assert json.loads(described.out)["digest"] == told["digest"]


def test_the_same_name_is_not_taken_twice(recsys: Call, place: Path) -> None:
    Path("events.csv").write_bytes(HEAD + GOOD)
    assert recsys("data", "import", "events.csv", "--name=mine").code == 0
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    ended = recsys("data", "import", "events.csv", "--name=mine")
    assert ended.code == 2
    assert "data/mine is there already" in ended.err
    assert before == {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_a_folder_that_cannot_be_written_is_told(recsys: Call, place: Path) -> None:
    Path("events.csv").write_bytes(HEAD + GOOD)
    Path("closed").mkdir()
    Path("closed").chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access("closed", os.W_OK):  # the superuser may write everywhere
        return
    ended = recsys("data", "import", "events.csv", "--name=mine", "--to=closed")
    assert ended.code == 2
    assert "closed/mine: cannot be written" in ended.err

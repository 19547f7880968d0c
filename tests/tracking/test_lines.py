"""Lines prove themselves: what was written comes back, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.tracking.lines import entry_of, line_of, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ENTRIES = st.dictionaries(st.text().filter(lambda key: key != "crc32"), VALUES, max_size=5)


def anything(entry, number):
    return True


@given(ENTRIES)
def test_what_was_written_comes_back(entry):
    line = line_of(entry)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert entry_of(line) == entry


@given(ENTRIES, st.data())
def test_a_flipped_bit_and_a_cut_are_seen(entry, data):
    line = line_of(entry)
    place = data.draw(st.integers(0, len(line) - 1))
    flipped = bytearray(line)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    assert entry_of(bytes(flipped)) is None
    assert entry_of(line[:place]) is None


@given(st.binary())
def test_any_bytes_are_no_line_or_one_that_was_written(data):
    entry = entry_of(data)
    assert entry is None or line_of(entry) == data


LINES = [line_of({"n": n}) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("data", "sound", "damaged", "last"),
    [
        (b"".join(LINES), 4, None, False),
        (b"", 0, None, False),
        (b"".join(LINES)[:-1], 3, None, True),
        (b"".join(LINES)[:-9], 3, None, True),
        (b"".join([*LINES[:3], b"\0" * 40]), 3, None, True),
        (b"".join([*LINES[:3], b"{}\n"]), 3, 4, True),
        (b"".join([LINES[0], b"{}\n", *LINES[1:]]), 1, 2, False),
        (b"".join([LINES[0], LINES[1][:-1], *LINES[2:]]), 1, 2, False),
        (b"\xff\n" + b"".join(LINES), 0, 1, False),
    ],
)
def test_a_cut_end_is_told_from_damage(tmp_path, data, sound, damaged, last):
    path = tmp_path / "lines"
    path.write_bytes(data)
    found = read(path, anything)
    assert [entry["n"] for entry in found.entries] == list(range(1, sound + 1))
    assert found.length == sum(map(len, LINES[:sound]))
    assert (found.damaged, found.last) == (damaged, last)


def test_a_file_that_is_not_there_is_empty(tmp_path):
    assert read(tmp_path / "none", anything).entries == []


def test_an_entry_that_cannot_stand_there_is_damage(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"".join(LINES))
    assert read(path, lambda entry, number: entry["n"] == number != 3).damaged == 3

"""From text to ids, values and times, with no cell taken for something that it does not say.

Each function takes a column of text and gives a numpy column, or raises `CellError` for the first cell that it
refuses. Nothing is guessed cell by cell: what a column is, is decided once, and every cell has to agree.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recsys_cli.data.event_layout import IdType, TimeUnit

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
YEAR_1973 = 100_000_000  # for guessing the unit: what is below is no time of an event on a computer
YEAR_2100 = 4_102_444_800
MAX_ID_CHARACTERS = 256
INTEGER = r"^(0|-?[1-9][0-9]*)$"  # the one way to write a whole number
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:nan|inf|infinity)$"
DIGITS = r"^[+-]?[0-9]+$"
COUNTING = r"^(0|[1-9][0-9]*)$"
GREATEST_ID = str(2**63 - 1)

Column = NDArray[Any]


class CellError(Exception):
    """A cell is not as it should be.

    Attributes:
        row: Its position in the column.
        column: Name of the column, once known.
        hint: What to do.
    """

    def __init__(self, row: int, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.row = row
        self.column = ""
        self.hint = hint


def ids(chunks: list[Any], kind: IdType = "auto") -> tuple[Column, NDArray[np.int32], list[str]]:
    """Raw ids of a column: whole numbers where each is written as one, text otherwise ("007" is not "7").

    Args:
        chunks: The column as dictionary-encoded text.
        kind: "int" refuses all but whole numbers from 0, "text" takes numbers as text too.

    Returns:
        The distinct ids in ascending order, the column as positions in them, and lines for people.
    """
    column = pa.chunked_array(chunks).unify_dictionaries()
    distinct = column.chunk(0).dictionary
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    _check_ids(distinct, codes, kind)
    unique = None if kind == "text" else _integers(distinct)
    if unique is None:
        unique = np.array(distinct.to_pylist(), dtype=np.str_)
    order = np.argsort(unique)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return unique[order], rank[codes], _look_alikes(unique[order])


def _check_ids(distinct: Any, codes: NDArray[np.int32], kind: IdType) -> None:
    rules = [
        (pc.equal(pc.utf8_trim_whitespace(distinct), ""), "is empty", "remove the row or fill it"),
        (
            pc.not_equal(pc.utf8_trim_whitespace(distinct), distinct),
            "has spaces around it",
            "remove them",
        ),
        (
            pc.greater(pc.utf8_length(distinct), MAX_ID_CHARACTERS),
            f"is longer than {MAX_ID_CHARACTERS} characters",
            "shorten it",
        ),
        (pc.match_substring(distinct, "\0"), "holds a zero byte", "rename it"),
    ]
    if kind == "int":
        rules += _counting(distinct)
    elif kind == "auto" and pc.all(pc.match_substring_regex(distinct, NUMBER)).as_py():
        # Among numbers, a fraction or NaN is a slip and not a name.
        rules.append(
            (
                pc.invert(pc.match_substring_regex(distinct, DIGITS)),
                "is no whole number where the other ids are numbers",
                "is this the column of ids?",
            )
        )
    for refused, problem, hint in rules:
        if len(bad := np.flatnonzero(refused.to_numpy(zero_copy_only=False))):
            row = int(np.flatnonzero(np.isin(codes, bad))[0])
            cell = shorten(distinct[int(codes[row])].as_py())
            raise CellError(row, f"{cell} {problem}", hint)


def _counting(distinct: Any) -> list[tuple[Any, str, str]]:
    """What ids that were said to be numbers must not be."""
    digits, most = pc.utf8_length(distinct), len(GREATEST_ID)
    beyond = pc.or_(
        pc.greater(digits, most),
        pc.and_(pc.equal(digits, most), pc.greater(distinct, GREATEST_ID)),
    )
    hint = "mend it, or set data.id_type=text"
    return [
        (
            pc.invert(pc.match_substring_regex(distinct, COUNTING)),
            "is no whole number from 0",
            hint,
        ),
        (beyond, f"is above {GREATEST_ID}", hint),
    ]


def _integers(distinct: Any) -> NDArray[np.int64] | None:
    if not pc.all(pc.match_substring_regex(distinct, INTEGER)).as_py():
        return None
    try:
        return np.asarray(pc.cast(distinct, pa.int64()).to_numpy())
    except pa.ArrowInvalid:  # beyond 64 bits: as text every digit is kept
        return None


def _look_alikes(unique: Column) -> list[str]:
    """A line where two ids look the same and differ in their code points."""
    if unique.dtype.kind != "U":
        return []
    beyond_ascii = [text for text in unique.tolist() if not text.isascii()]
    same = len(beyond_ascii) - len({unicodedata.normalize("NFC", text) for text in beyond_ascii})
    note = f"ids that look alike and differ in how accents are coded: {same}; they are kept apart"
    return [note] if same else []


def values(text: Any, low: float | None, high: float | None) -> NDArray[np.float32]:
    """Ratings or counts: finite numbers within the limits."""
    numbers = _convert(text, _to_float, "is not a number", "write it like 3.5, or remove the row")
    rules = [(np.abs(numbers) <= np.finfo(np.float32).max, "is not a finite number")]
    if low is not None:
        rules.append((numbers >= low, f"is below {low:g}"))
    if high is not None:
        rules.append((numbers <= high, f"is above {high:g}"))
    for kept, problem in rules:
        if not kept.all():
            raise _refuse(text, int(np.argmin(kept)), problem, "mend or remove the row")
    return numbers.astype(np.float32)


def _refuse(text: Any, row: int, problem: str, hint: str) -> CellError:
    return CellError(row, f"{shorten(text[row].as_py())} {problem}", hint)


@dataclass(frozen=True)
class Clock:
    """How the times of a file are read.

    Attributes:
        seconds: From text to seconds since 1970-01-01 UTC.
        note: What was guessed; empty where nothing.
    """

    seconds: Callable[[Any], NDArray[np.int64]]
    note: str


def clock(first: str, unit: TimeUnit) -> Clock:
    """Decide from the first time of a file how all of them are read; the others must agree.

    Args:
        first: The first cell.
        unit: What the user says; "auto" looks at the cell.
    """
    number = pc.match_substring_regex(pa.array([first]), NUMBER)[0].as_py()
    if unit == "iso" or (unit == "auto" and not number):
        return _iso_clock(first, guessed=unit == "auto")
    if unit == "auto":
        value = float(first)
        for known, per_second in PER_SECOND.items():
            if YEAR_1973 * per_second <= value < YEAR_2100 * per_second:
                note = f"times are taken as {WORDS[known]} since 1970 (data.time_unit={known} says so for good)"
                return _number_clock(known, YEAR_1973, "" if known == "s" else note)
        hint = "say what it counts with data.time_unit=s (or ms, us, ns)"
        raise CellError(0, f"{shorten(first)} tells no unit", hint)
    return _number_clock(unit, 0, "")


def _number_clock(unit: str, earliest: int, note: str) -> Clock:
    hint = f"times are read in {WORDS[unit]}: set data.time_unit, or mend the row"

    def seconds(text: Any) -> NDArray[np.int64]:
        numbers = _convert(text, _to_number, "is no number", hint)
        with np.errstate(invalid="ignore"):  # inf and NaN are refused below
            return _plausible(text, numbers // PER_SECOND[unit], earliest, hint)

    return Clock(seconds, note)


def _iso_clock(first: str, guessed: bool) -> Clock:
    zoned = pa.timestamp("ns", "UTC")
    plain = pa.timestamp("ns")
    kind = zoned if _castable(pa.array([first]), zoned) else plain
    what = "with a zone" if kind is zoned else "without a zone"
    hint = "write all times alike: 2026-01-31T23:59:59Z, or seconds since 1970"

    def seconds(text: Any) -> NDArray[np.int64]:
        problem = f"is no ISO 8601 time {what}"
        nanoseconds = _convert(text, lambda part: _cast(part, kind), problem, hint)
        return _plausible(text, nanoseconds.astype(np.int64) // 10**9, 0, hint)

    note = "" if kind is zoned else "times have no zone: taken as UTC"
    return Clock(seconds, note)


def _plausible(text: Any, seconds: Column, earliest: int, hint: str) -> NDArray[np.int64]:
    inside = (seconds >= earliest) & (seconds < YEAR_2100)
    if not inside.all():
        years = f"{1970 if earliest == 0 else 1973} to 2100"
        raise _refuse(text, int(np.argmin(inside)), f"is not in the years {years}", hint)
    return seconds.astype(np.int64)


def _to_float(text: Any) -> Column:
    return _cast(text, pa.float64())


def _to_number(text: Any) -> Column:
    """Whole numbers exactly, others as floats."""
    try:
        return _cast(text, pa.int64())
    except pa.ArrowInvalid:
        return _to_float(text)


def _cast(text: Any, kind: Any) -> Column:
    return np.asarray(pc.cast(text, kind).to_numpy(zero_copy_only=False))


def _castable(text: Any, kind: Any) -> bool:
    try:
        _cast(text, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _convert(text: Any, to: Callable[[Any], Column], problem: str, hint: str) -> Column:
    """The column converted; where that fails, the first cell at fault is found by halving."""
    try:
        return to(text)
    except pa.ArrowInvalid:
        good, bad = 0, len(text)  # the first `good` cells convert, the first `bad` do not
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                to(text[good:middle])
                good = middle
            except pa.ArrowInvalid:
                bad = middle
        raise _refuse(text, good, problem, hint) from None


def shorten(text: str) -> str:
    """A cell for a message: quoted, and not longer than fits a line."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")

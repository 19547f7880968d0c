"""Recommendations that another program made: a file with a user, an item and a rank or score in each row.

Read strictly, because a list that is silently shortened, reordered or cut at a tie would be measured as something
that nobody made. Ids must be those of the data, each item stands once in a user's list, and the order is told
either by ranks 1, 2, 3 ... or by scores, of which equal ones go by item code as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, parquet

from recsys_cli.data.event_lines import check_shape, rows
from recsys_cli.data.interactions import Vocabulary
from recsys_cli.data.raw_ids import encode_text, unknown_id
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
KINDS = ".csv, .tsv (also gzipped) or .parquet"
ORDERS = ("rank", "score")
RANK = "^[1-9][0-9]{0,6}$"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of items, one a user.

    Attributes:
        users: Codes, ascending; a user's rows stand together, best item first.
        items: Codes.
        ordered_by: "rank" or "score".
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    ordered_by: str


@dataclass(frozen=True)
class _Columns:
    """A file's columns as text, each distinct text once, and how to name a row of it."""

    users: Any
    items: Any
    order: Any
    ordered_by: str
    place: Callable[[int], str]


def read_lists(path: Path, *, user_ids: Vocabulary, item_ids: Vocabulary) -> Lists:
    """Read a file of recommendations.

    Args:
        path: Has the columns `user`, `item`, and `rank` (1 = best) or `score` (greater is better); with both, the
            rank is read. Other columns are not.
        user_ids: The users of the data.
        item_ids: The catalogue.

    Raises:
        DataError: The file is empty or not as it should be; with its line.
    """
    columns = _parquet(path) if path.suffix == ".parquet" else _delimited(path)
    users = _codes(columns.users, user_ids, "user", columns)
    items = _codes(columns.items, item_ids, "item", columns)
    _refuse_repeats(users * len(item_ids) + items, columns)
    if columns.ordered_by == "score":
        at = np.lexsort((items, -_scores(columns), users))
    else:
        ranks = _ranks(columns)
        at = np.lexsort((ranks, users))
        _check_ranks(users[at], ranks[at], at, columns)
    return Lists(users[at], items[at], columns.ordered_by)


def _delimited(path: Path) -> _Columns:
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind not in DELIMITERS:
        raise DataError(f"{path}: the name ends in none of {KINDS}", "rename the file")
    member, delimiter = Member(path), DELIMITERS[kind]
    header = next(rows(member, delimiter), None)
    if header is None:
        raise DataError(f"{path}:1: the file is empty", "give user, item and rank or score")
    names, ordered_by = _chosen(header.fields, f"{path}:{header.line}")
    with member.open() as stream:
        content = stream.read()
    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=names,
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        check_shape(member, delimiter)  # says which line
        raise _unreadable(path, error) from error
    lone_returns = content.count(b"\r") - content.count(b"\r\n")
    if content.count(b'"') % 2 or b"\0" in content or lone_returns:
        check_shape(member, delimiter)  # the parser minds none of these
    if not len(table):
        raise DataError(f"{path}:2: no row follows the first line", "give at least one list")

    def place(row: int) -> str:
        return f"{path}:{check_shape(member, delimiter, row + 1)}"

    users, items, order = (_distinct(table[name]) for name in names)
    return _Columns(users, items, order, ordered_by, place)


def _parquet(path: Path) -> _Columns:
    try:
        file = parquet.ParquetFile(path)
        names, ordered_by = _chosen(file.schema_arrow.names, str(path))
        table = file.read(columns=names)
        texts = [pc.fill_null(pc.cast(_whole(table[name]), pa.string()), "") for name in names]
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    if not len(table):
        raise DataError(f"{path}: has no rows", "give at least one list")
    users, items, order = map(_distinct, texts)
    return _Columns(users, items, order, ordered_by, lambda row: f"{path}: row {row + 1}")


def _whole(column: Any) -> Any:
    """The column, without its dictionary if it has one."""
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _distinct(column: Any) -> Any:
    encoded = column.dictionary_encode().combine_chunks()
    return encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(f"{path}: cannot be read: {reason}", "is it such a file?")


def _chosen(names: Sequence[str], where: str) -> tuple[list[str], str]:
    """Names of the columns that are read, the last of which tells the order."""
    for name in ("user", "item", *ORDERS):
        if names.count(name) > 1:
            raise DataError(f"{where}: a second column {name!r}", "rename one")
    ordered_by = next((name for name in ORDERS if name in names), "")
    missing = [name for name in ("user", "item") if name not in names]
    if missing or not ordered_by:
        wanted = missing[0] if missing else "rank' or 'score"
        raise DataError(
            f"{where}: no column '{wanted}'; there are: {', '.join(names)}",
            "name the columns user, item and rank or score",
        )
    return ["user", "item", ordered_by], ordered_by


def _text(column: Any, row: int) -> str:
    return str(column[row].as_py())


def _codes(column: Any, vocabulary: Vocabulary, what: str, columns: _Columns) -> NDArray[np.int64]:
    distinct = encode_text(column.dictionary.to_pylist(), vocabulary).astype(np.int64)
    codes = np.asarray(distinct[column.indices.to_numpy()])
    if (unknown := np.flatnonzero(codes < 0)).size:
        row = int(unknown[0])
        raise unknown_id(_text(column, row), what, vocabulary, where=columns.place(row))
    return codes


def _refuse_repeats(pairs: NDArray[np.int64], columns: _Columns) -> None:
    order = np.argsort(pairs, kind="stable")
    again = order[1:][np.diff(pairs[order]) == 0]
    if len(again):
        row = int(again.min())
        user, item = _text(columns.users, row), _text(columns.items, row)
        raise DataError(
            f"{columns.place(row)}: user {user!r} has item {item!r} more than once",
            "give each item once in a list",
        )


def _scores(columns: _Columns) -> NDArray[np.float64]:
    texts = columns.order.dictionary
    numbers = pc.match_substring_regex(texts, NUMBER).to_numpy(zero_copy_only=False)
    scores = np.full(len(texts), np.nan)
    scores[numbers] = np.array(texts.filter(pa.array(numbers)).to_pylist(), dtype=np.float64)
    _refuse(~np.isfinite(scores), columns, "a finite number", "mend or remove the row")
    return np.asarray(scores[columns.order.indices.to_numpy()])


def _ranks(columns: _Columns) -> NDArray[np.int64]:
    texts = columns.order.dictionary
    right = pc.match_substring_regex(texts, RANK).to_numpy(zero_copy_only=False)
    hint = "number each user's items 1, 2, 3 ..."
    _refuse(~right, columns, "a whole number from 1", hint)
    ranks = np.array(texts.to_pylist(), dtype=np.int64)
    return np.asarray(ranks[columns.order.indices.to_numpy()])


def _refuse(wrong: NDArray[np.bool_], columns: _Columns, expected: str, hint: str) -> None:
    """An error for the first row whose text is wrong."""
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong[columns.order.indices.to_numpy()])[0])
    text = _text(columns.order, row)
    raise DataError(f"{columns.place(row)}: {columns.ordered_by} {text!r} is not {expected}", hint)


def _check_ranks(
    users: NDArray[np.int64], ranks: NDArray[np.int64], rows: NDArray[np.int64], columns: _Columns
) -> None:
    """Each list is numbered 1, 2, 3 ...: with a gap or a tie nobody knows which item stands where."""
    _, first, size = np.unique(users, return_index=True, return_counts=True)
    expected = np.arange(len(users)) - np.repeat(first, size) + 1
    if (wrong := np.flatnonzero(ranks != expected)).size:
        at = int(wrong[0])
        row = int(rows[at])
        what = (
            "is there twice"
            if ranks[at] < expected[at]
            else f"comes where {expected[at]} is missing"
        )
        raise DataError(
            f"{columns.place(row)}: rank {ranks[at]} of user {_text(columns.users, row)!r} {what}",
            "number each user's items 1, 2, 3 ...",
        )

"""Read a delimited file of events fast, and trust nothing in it.

The whole file passes once through a strict columnar parser, block by block, so that its text is never in memory at
once. Rows with other widths, cells of other types and odd bytes stop it or raise doubt; then `event_lines` finds
the line. No row is skipped, shifted, filled or rounded without a word.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from recsys_cli.data import event_columns, event_lines
from recsys_cli.data.event_columns import CellError, Clock
from recsys_cli.data.event_layout import Head, Layout, read_head
from recsys_cli.data.interactions import Interactions, Vocabulary, from_columns
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError
from recsys_cli.progress import Bar, Progress, Silent

BLOCK_BYTES = 8 << 20
BAR_BYTES = 64 << 20  # smaller files are read before a bar could be seen


def read_events(
    member: Member, layout: Layout, progress: Progress
) -> tuple[Interactions, list[str]]:
    """The events of a file, and lines for people on what was decided while reading it.

    Raises:
        DataError: The file is not as the layout says; with its line and field.
    """
    head = read_head(member, layout)
    try:
        with _watched(member, progress) as stream:
            events, notes = _parse(stream, layout, head)
    except CellError as fault:
        record = fault.row + (1 if head.in_file else 0)
        line = event_lines.check_shape(member, layout.separator, record)
        field = head.fields.index(fault.column) // len(layout.delimiter) + 1
        raise DataError(f"{member}:{line}:{field}: {fault.column} {fault}", fault.hint) from None
    except pa.ArrowException as error:
        event_lines.check_shape(member, layout.separator)
        raise DataError(
            f"{member}: {str(error).splitlines()[0]}", "is it a file of delimited text?"
        ) from error
    if stream.doubtful:
        event_lines.check_shape(member, layout.separator)
    return events, notes


class _Watched(io.RawIOBase):
    """The bytes on their way to the parser, which does not mind some that it should."""

    def __init__(self, stream: BinaryIO, bar: Bar) -> None:
        self._stream, self._bar = stream, bar
        self._zeros = self._quotes = self._lone_returns = 0
        self._last = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._undecodable = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._zeros += data.count(b"\0")
        self._quotes += data.count(b'"')
        self._lone_returns += data.count(b"\r") - data.count(b"\r\n")
        self._lone_returns -= self._last == b"\r" and data[:1] == b"\n"
        self._last = data[-1:]
        self._undecodable = self._undecodable or not self._decodes(data)
        self._bar.advance(len(data))
        return data

    def _decodes(self, data: bytes) -> bool:
        try:
            self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            return False
        return True

    @property
    def doubtful(self) -> bool:
        """Not UTF-8 somewhere, zero bytes, an odd number of quotes, or carriage returns of their own."""
        return bool(self._undecodable or self._zeros or self._quotes % 2 or self._lone_returns)


@contextmanager
def _watched(member: Member, progress: Progress) -> Iterator[_Watched]:
    size = member.size_bytes() or 0
    shown = progress if size > BAR_BYTES else Silent()
    with member.open() as stream, shown.bar(f"read {member.path.name}", size, "B") as bar:
        yield _Watched(stream, bar)


def _parse(stream: _Watched, layout: Layout, head: Head) -> tuple[Interactions, list[str]]:
    """One pass through the file.

    Raises:
        CellError: A cell is refused.
        pyarrow.ArrowException: The text cannot be taken apart.
    """
    users: list[Any] = []
    items: list[Any] = []
    times: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float32]] = []
    clock = _clock(layout, head)
    n_rows = 0
    for batch in _batches(stream, layout, head):
        users.append(batch.column(layout.user).dictionary_encode())
        items.append(batch.column(layout.item).dictionary_encode())
        if clock is not None and layout.time is not None:
            with _in_column(layout.time, n_rows):
                times.append(clock.seconds(batch.column(layout.time)))
        if layout.value is not None:
            column = batch.column(layout.value)
            with _in_column(layout.value, n_rows):
                values.append(event_columns.values(column, layout.low, layout.high))
        n_rows += len(batch)
    with _in_column(layout.user):
        user_ids, user_codes, user_notes = event_columns.ids(users, layout.id_type)
    with _in_column(layout.item):
        item_ids, item_codes, item_notes = event_columns.ids(items, layout.id_type)
    if head.in_file:
        _refuse_second_header(layout, user_ids, user_codes, item_ids, item_codes)
    events = from_columns(
        users=user_codes,
        items=item_codes,
        times=np.concatenate(times) if times else None,
        values=np.concatenate(values) if values else None,
    )
    notes = [clock.note] if clock is not None and clock.note else []
    return (
        replace(events, user_ids=Vocabulary(user_ids), item_ids=Vocabulary(item_ids)),
        notes + user_notes + item_notes,
    )


def _refuse_second_header(
    layout: Layout,
    user_ids: NDArray[Any],
    users: NDArray[np.int32],
    item_ids: NDArray[Any],
    items: NDArray[np.int32],
) -> None:
    """Files that were put one behind the other: a row that says "user" and "item" is no event."""
    user = Vocabulary(user_ids).encode(np.array([layout.user]))[0]
    item = Vocabulary(item_ids).encode(np.array([layout.item]))[0]
    again = (users == user) & (items == item)  # no code is -1, that of an unknown id
    if again.any():
        with _in_column(layout.user):
            raise CellError(int(np.argmax(again)), "is the header line again", "remove the line")


def _clock(layout: Layout, head: Head) -> Clock | None:
    if layout.time is None:
        return None
    with _in_column(layout.time):
        return event_columns.clock(head.first_time, layout.time_unit)


def _batches(stream: _Watched, layout: Layout, head: Head) -> Any:
    """The fields that are read, as text, block by block; the others are only counted."""
    blanks = [
        name
        for name in head.fields
        if len(layout.delimiter) > 1 and name not in (layout.names or ())
    ]
    return pyarrow.csv.open_csv(
        stream,
        read_options=pyarrow.csv.ReadOptions(
            block_size=BLOCK_BYTES, column_names=None if head.in_file else head.fields
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=[*layout.named(), *blanks],
            column_types={
                **dict.fromkeys(layout.named(), pa.string()),
                **dict.fromkeys(blanks, pa.null()),  # a doubled delimiter has nothing inside
            },
            null_values=[""],
            strings_can_be_null=False,
        ),
    )


@contextmanager
def _in_column(name: str, first_row: int = 0) -> Iterator[None]:
    """Tell a fault its column, and its row in the file rather than in the block."""
    try:
        yield
    except CellError as fault:
        fault.column = name
        fault.row += first_row
        raise

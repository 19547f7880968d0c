"""The lines of a file of events, read slowly and strictly: to see how it begins, and to say where it is broken.

The fast reader (`event_file`) says only that something is wrong, or which row; this one knows the line.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError

MAX_LINE_BYTES = 1 << 20
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Row:
    """One record: where it begins, counted from 1, and its fields."""

    line: int
    fields: list[str]


def rows(member: Member, delimiter: str) -> Iterator[Row]:
    """All records of the file, the header line among them; blank lines are passed over.

    Raises:
        DataError: The text cannot be taken apart; with line and field.
    """
    with member.open() as stream:
        lines = _Lines(stream, member, delimiter)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        line = 1
        while True:
            lines.record = ""
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f"{member}:{line}:{lines.broken_field()}: {_broken(str(error))}",
                    "mend the file",
                ) from error
            if fields:
                yield Row(line, fields)
            line = reader.line_num + 1


def check_shape(member: Member, delimiter: str, stop: int | None = None) -> int:
    """Look for rows with more or fewer fields than the first.

    Args:
        member: The file.
        delimiter: One character.
        stop: Position of the last record to look at, the header line included; None looks at all.

    Returns:
        The line where the last record looked at begins.

    Raises:
        DataError: A row has another width than the first; with line and field.
    """
    width, line = 0, 0
    for position, row in enumerate(rows(member, delimiter)):
        line, width = row.line, width or len(row.fields)
        if len(row.fields) != width:
            field = min(len(row.fields), width) + 1
            raise DataError(
                f"{member}:{line}:{field}: has {len(row.fields)} fields where the first line has {width}",
                f"give each line {width} fields, quoting those that hold {delimiter!r}",
            )
        if position == stop:
            break
    return line


class _Lines:
    """Decoded lines; remembers how the record begins for messages."""

    def __init__(self, stream: BinaryIO, member: Member, delimiter: str) -> None:
        self._stream, self._member, self._delimiter = stream, member, delimiter
        self._number = 0
        self.record = ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE_BYTES)
        if not line:
            raise StopIteration
        self._number += 1
        if self._number == 1:
            if line.startswith(UTF16):
                self._refuse(b"", "is text in UTF-16", "save the file as UTF-8")
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) == MAX_LINE_BYTES:
            self._refuse(b"", f"is longer than {MAX_LINE_BYTES:,} bytes", "is it a text file?")
        if b"\0" in line:
            self._refuse(line[: line.index(b"\0")], "holds a zero byte", "is it a text file?")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            what = f"byte 0x{line[error.start]:02x} is not UTF-8"
            self._refuse(line[: error.start], what, "save the file as UTF-8")
        self.record = self.record or text
        return text

    def broken_field(self) -> int:
        """Number of the field where the record's first line goes wrong: at its last quote, or a return."""
        at = max(self.record.rfind('"'), self.record.find("\r"), 0)
        return self.record.count(self._delimiter, 0, at) + 1

    def _refuse(self, before: bytes, what: str, hint: str) -> None:
        field = before.count(self._delimiter.encode()) + 1
        raise DataError(f"{self._member}:{self._number}:{field}: {what}", hint)


def _broken(problem: str) -> str:
    """What the csv module says, in words for the owner of the file."""
    if "new-line" in problem:
        return "a line ends with a carriage return alone"
    if "end of data" in problem:
        return "a quote is opened and never closed"
    if "field larger" in problem:
        return "a field is longer than 131,072 characters (is a quote not closed?)"
    return f"a quoted field goes on behind its quote ({problem})"

"""What a file of events looks like: which columns it has, and whether its first lines keep to that."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from recsys_cli.data.event_lines import Row, check_shape, rows
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError, nearest

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "iso"]
IdType = Literal["auto", "int", "text"]
NO_EVENT = "give a file with at least one event"


@dataclass(frozen=True)
class Layout:
    """How a file of events is written.

    Attributes:
        delimiter: What stands between two fields: one character, or the same one twice.
        names: Names of the fields where the file has no line that names them.
        user: Name of the field with the user's id.
        item: Name of the field with the item's id.
        time: Name of the field with the time; None where there is none.
        value: Name of the field with the rating or count; None where there is none.
        time_unit: What the times count.
        low: Least value allowed.
        high: Greatest value allowed.
        id_type: What ids are; "auto" takes them as numbers where each is written as one.
    """

    delimiter: str
    names: tuple[str, ...] | None
    user: str
    item: str
    time: str | None
    value: str | None
    time_unit: TimeUnit
    low: float | None
    high: float | None
    id_type: IdType = "auto"

    @property
    def separator(self) -> str:
        """One character; between two of a doubled one is an empty field."""
        return self.delimiter[0]

    def named(self) -> list[str]:
        """The fields that are read, each once."""
        return [name for name in (self.user, self.item, self.time, self.value) if name is not None]


@dataclass(frozen=True)
class Head:
    """How a file begins.

    Attributes:
        fields: Names of all fields between separators.
        in_file: Whether the file itself names them.
        first_time: The first cell of the time column; empty without one.
    """

    fields: list[str]
    in_file: bool
    first_time: str


def read_head(member: Member, layout: Layout) -> Head:
    """Look at the first lines: are the columns there that the layout names, and any event?

    Raises:
        DataError: They are not.
    """
    found = rows(member, layout.separator)
    try:
        head = list(islice(found, 2 if layout.names is None else 1))
    finally:
        found.close()  # type: ignore[attr-defined]  # a generator
    if not head:
        raise DataError(f"{member}:1:1: the file is empty", NO_EVENT)
    fields = head[0].fields if layout.names is None else _physical(layout)
    if layout.names is None:
        _check_header(member, head[0], layout)
        if len(head) == 1:
            raise DataError(
                f"{member}:{head[0].line + 1}:1: no event follows the header line", NO_EVENT
            )
    first = head[-1].fields
    if len(first) != len(fields):
        check_shape(member, layout.separator)  # says which line
        raise DataError(
            f"{member}:{head[0].line}:{min(len(first), len(fields)) + 1}: has {len(first)} fields, not {len(fields)}",
            f"fields are {', '.join(layout.names or ())}, with {layout.delimiter!r} between",
        )
    time = "" if layout.time is None else first[fields.index(layout.time)]
    return Head(fields, layout.names is None, time)


def _physical(layout: Layout) -> list[str]:
    """Names of the fields as a parser sees them that knows delimiters of one character only."""
    blanks = [f"blank {i}" for i in range(len(layout.names or ()))]
    if len(layout.delimiter) == 1:
        return list(layout.names or ())
    return [part for pair in zip(layout.names or (), blanks, strict=True) for part in pair][:-1]


def _check_header(member: Member, header: Row, layout: Layout) -> None:
    where = f"{member}:{header.line}"
    for position, name in enumerate(header.fields):
        if name in header.fields[:position]:
            raise DataError(f"{where}:{position + 1}: a second column {name!r}", "rename one")
    for key in ("user", "item", "time", "value"):
        name = getattr(layout, key)
        if name is not None and name not in header.fields:
            hint = _header_hint(header, name)
            if key in ("time", "value"):
                hint += f"; null for data.{key}_column where there is none"
            raise DataError(f"{where}:1: no column {name!r} for data.{key}_column", hint)


def _header_hint(header: Row, name: str) -> str:
    if len(header.fields) == 1:
        for candidate in (",", ";", "\t", "|", ":"):
            if candidate in header.fields[0]:
                return f"the line has {candidate!r} in it: set data.delimiter"
    if all(field.replace(".", "").isdigit() for field in header.fields):
        return "the first line has numbers only: put a line above it that names the columns"
    return nearest(name, header.fields)

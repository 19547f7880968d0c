"""Lines of JSON that prove themselves: each carries the CRC-32 of what else it says.

A file of such lines is only ever appended to. A process that dies while it writes leaves a last line without its
end; a disk that lies leaves a line whose checksum is wrong. The two are told apart, and nothing is guessed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKSUM = "crc32"
Entry = dict[str, Any]


@dataclass
class Read:
    """What a file of lines holds.

    Attributes:
        entries: Its sound lines from the first on, up to the first that is not.
        length: Of these lines, in bytes.
        damaged: The number of the first line that is whole and wrong, counted from 1; None where there is none.
        last: Whether that line is the last one.
    """

    entries: list[Entry] = field(default_factory=list)
    length: int = 0
    damaged: int | None = None
    last: bool = False


def line_of(entry: Mapping[str, Any]) -> bytes:
    """The line that holds an entry."""
    checksum = zlib.crc32(json.dumps(entry).encode())
    return json.dumps({**entry, CHECKSUM: checksum}).encode() + b"\n"


def entry_of(line: bytes) -> Entry | None:
    """What a line holds; None where it is cut off, or not the very line that was written."""
    try:
        entry = json.loads(line)
        del entry[CHECKSUM]
        return entry if line_of(entry) == line else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def read(path: Path, sound: Callable[[Entry, int], bool]) -> Read:
    """Read a file of lines; one that is not there is empty.

    Args:
        path: The file.
        sound: Whether an entry can stand in the line of this number, counted from 1.
    """
    found = Read()
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, start=1):
        entry = entry_of(line)
        if entry is None or not sound(entry, number):
            found.last = number == len(lines)
            if line.endswith(b"\n") or not found.last:
                found.damaged = number
            break
        found.entries.append(entry)
        found.length += len(line)
    return found

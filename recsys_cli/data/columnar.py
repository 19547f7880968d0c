"""Events as columns on disk: a folder of .npy files that are mapped into memory, not read.

This is the form of the cache and of an imported data set. Each keeps a manifest of its own beside the columns, and
decides when a folder gets its name; what a column looks like, and that none is taken on trust, is decided here.
"""

from __future__ import annotations

import hashlib
import os
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from recsys_cli.data.interactions import Array, Interactions, Vocabulary

EVENT_TYPES = {"users": "i4", "items": "i4", "values": "f4", "times": "i8", "rows": "i8"}
CONTEXT = "context."
ID_KINDS = "iuU"
_NAME = re.compile(r"(context\.)?\w+", re.ASCII)
_BROKEN = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
)  # what numpy raises for a header that makes no sense


def columns(interactions: Interactions) -> dict[str, Array]:
    """All that makes up the events, by the name that each column's file has."""
    named: dict[str, Array] = {
        "users": interactions.users,
        "items": interactions.items,
        "values": interactions.values,
        "rows": interactions.rows,
        "user_ids": interactions.user_ids.ids,
        "item_ids": interactions.item_ids.ids,
    }
    if interactions.times is not None:
        named["times"] = interactions.times
    return named | {f"{CONTEXT}{name}": codes for name, codes in interactions.context.items()}


class Saved(NamedTuple):
    """A file that was written."""

    bytes: int
    sha256: str


def save(path: Path, array: Array) -> Saved:
    """Write a column and wait until it is on disk.

    Raises:
        OSError: The disk is full, or fails.
    """
    with path.open("wb") as file:
        through = _Through(file)
        np.save(through, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
        return Saved(file.tell(), through.hash.hexdigest())


class _Through:
    """Passes bytes on to a file and hashes them.

    Given a file itself, numpy would write behind Python's back and say nothing when the disk is full.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.hash = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write all of it, or raise."""
        self.hash.update(data)
        return self._file.write(data)


def to_disk(path: Path) -> None:
    """Wait until a file or folder would outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path, sizes: Mapping[str, int]) -> Interactions:
    """The events of a folder, mapped into memory.

    Args:
        folder: Holds a file for each column.
        sizes: Name of each column -> length of its file in bytes.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file or the set of files is not as it should be; named.
    """
    found = {name: _map(folder, name, size) for name, size in sizes.items()}
    for name in ("users", "items", "values", "rows", "user_ids", "item_ids"):
        if name not in found:
            raise ValueError(f"{name}.npy is not listed")
    for name, column in found.items():
        _check_column(name, column, len(found["users"]))
    return Interactions(
        users=found["users"],
        items=found["items"],
        values=found["values"],
        times=found.get("times"),
        rows=found["rows"],
        user_ids=Vocabulary(found["user_ids"]),
        item_ids=Vocabulary(found["item_ids"]),
        context={
            name.removeprefix(CONTEXT): column
            for name, column in found.items()
            if name.startswith(CONTEXT)
        },
    )


def is_name(name: str) -> bool:
    """Whether a column can have this name: never a path."""
    return _NAME.fullmatch(name) is not None


def _map(folder: Path, name: str, size: int) -> Array:
    if not is_name(name):
        raise ValueError(f"{name!r} is no name of a column")
    path = folder / f"{name}.npy"
    if (length := path.stat().st_size) != size:
        raise ValueError(f"{path.name} has {length:,} bytes, not {size:,}")
    try:
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except _BROKEN as error:
        raise ValueError(f"{path.name} is no column of numbers or text") from error


def _check_column(name: str, column: Array, n_events: int) -> None:
    if name in ("user_ids", "item_ids"):
        right = column.dtype.kind in ID_KINDS
    else:
        wanted = EVENT_TYPES.get(name, "i4" if name.startswith(CONTEXT) else None)
        right = wanted is not None and column.dtype == wanted and column.shape == (n_events,)
    if not right or column.ndim != 1:
        raise ValueError(f"{name}.npy holds {column.dtype} of shape {column.shape}")


def check_codes(interactions: Interactions) -> None:
    """See that codes are positions in their vocabularies and events in their order; reads every column once.

    Raises:
        ValueError: They are not, so that the events would be taken for others.
    """
    for name, codes, ids in (
        ("users", interactions.users, interactions.user_ids.ids),
        ("items", interactions.items, interactions.item_ids.ids),
    ):
        if not len(codes) or codes.min() < 0 or codes.max() >= len(ids):
            raise ValueError(f"{name}.npy has codes without an id")
        if (ids[1:] <= ids[:-1]).any():
            raise ValueError(f"the ids of the {name} are not in ascending order")
    if (interactions.users[1:] < interactions.users[:-1]).any():
        raise ValueError("users.npy is not in the order of users")

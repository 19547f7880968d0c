"""The one data type: who did what, when, and how much they liked it.

Raw ids become codes (0 .. n-1) once, here. Rows are sorted by user, then time, then file order, so that the
rows of one user are one slice and a history reads from left to right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.categories import Categories
from recsys_cli.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Raw ids and their codes: the code of an id is its position.

    Attributes:
        ids: Distinct raw ids in ascending order, integers or text.
    """

    ids: Array

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, ids: Array) -> NDArray[np.int32]:
        """Codes of raw ids; -1 for an id that is not known."""
        ids = np.asarray(ids)
        if not len(self.ids) or ids.dtype.kind != self.ids.dtype.kind:
            return np.full(len(ids), -1, dtype=np.int32)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, at, -1).astype(np.int32)

    def decode(self, codes: Array) -> Array:
        """Raw ids of codes."""
        return np.asarray(self.ids[codes])


def factorise(ids: Array) -> tuple[Vocabulary, NDArray[np.int32]]:
    """The vocabulary of a column of raw ids, and the column as codes.

    Dense integer ids take a presence table, which is several times faster than sorting.
    """
    if len(ids) and ids.dtype.kind in "iu":
        low, high = int(ids.min()), int(ids.max())
        if high - low < 10 * len(ids) + 1000:
            present = np.zeros(high - low + 1, dtype=bool)
            present[ids - low] = True
            codes = (np.cumsum(present, dtype=np.int32) - 1)[ids - low]
            return Vocabulary(np.flatnonzero(present) + low), codes
    unique, codes = np.unique(ids, return_inverse=True)
    return Vocabulary(unique), codes.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Events of users with items, sorted by user, time and file order.

    Attributes:
        users: Codes of the users, int32.
        items: Codes of the items, int32.
        values: How much (a rating, a count; 1 where the data has none), float32.
        times: When, in seconds since 1970-01-01 UTC, int64; None where the data has no clock.
        rows: Position of the event in its file, int64: file order breaks ties of time.
        user_ids: Raw ids of the users.
        item_ids: Raw ids of the items.
        context: Named columns of non-negative integer codes, one an event, see `recsys_cli.data.context`.
        item_categories: Of each item of the catalogue; None where the data has none. No part of the digest: it
            tells nothing of the events.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.int64] | None
    rows: NDArray[np.int64]
    user_ids: Vocabulary
    item_ids: Vocabulary
    context: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    item_categories: Categories | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def n_users(self) -> int:
        """Users of the whole data set, with or without an event here."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Items of the whole catalogue, with or without an event here."""
        return len(self.item_ids)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each user's rows begin: user u has rows offsets[u] to offsets[u + 1]."""
        counts = np.bincount(self.users, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """Events of each item of the catalogue."""
        return np.bincount(self.items, minlength=self.n_items)

    def take(self, index: Array) -> Interactions:
        """The events at these positions (or where this mask is true), which must keep their order."""
        if isinstance(index, np.ndarray) and index.dtype == bool:
            index = np.flatnonzero(index)  # once, and not for each column
        return replace(
            self,
            users=self.users[index],
            items=self.items[index],
            values=self.values[index],
            times=None if self.times is None else self.times[index],
            rows=self.rows[index],
            context={name: column[index] for name, column in self.context.items()},
        )

    def compact(self) -> Interactions:
        """The same events with the users and items that still have one: the others leave the vocabularies."""
        present_users, users = factorise(self.users)
        present_items, items = factorise(self.items)
        categories = self.item_categories
        return replace(
            self,
            users=users,
            items=items,
            user_ids=Vocabulary(self.user_ids.ids[present_users.ids]),
            item_ids=Vocabulary(self.item_ids.ids[present_items.ids]),
            item_categories=None if categories is None else categories.take(present_items.ids),
        )

    def digest(self) -> str:
        """SHA-256 over raw ids, codes, values and times: equal events give equal digests."""
        sha = hashlib.sha256()
        for ids in (self.user_ids.ids, self.item_ids.ids):
            sha.update(str(ids.dtype.kind).encode())
            sha.update("\n".join(map(str, ids.tolist())).encode())
        for column in (self.users, self.items, self.values, self.times, self.rows):
            sha.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
        for name in sorted(self.context):
            sha.update(name.encode())
            sha.update(np.ascontiguousarray(self.context[name]).tobytes())
        return sha.hexdigest()


def from_columns(
    *,
    users: Array,
    items: Array,
    times: Array | None = None,
    values: Array | None = None,
    context: Mapping[str, Array] | None = None,
) -> Interactions:
    """Interactions from columns of raw ids in file order.

    Args:
        users: Raw user ids, integers or text.
        items: Raw item ids, integers or text.
        times: Seconds since 1970-01-01 UTC, or None.
        values: A rating or count an event; None means 1 each.
        context: Named columns of non-negative integer codes.

    Raises:
        DataError: There is no event at all.
    """
    if len(users) == 0:
        raise DataError("the data has no events", "give a file with at least one row")
    user_ids, user_codes = factorise(np.asarray(users))
    item_ids, item_codes = factorise(np.asarray(items))
    order = sort_order(user_codes, times)
    return Interactions(
        users=user_codes[order],
        items=item_codes[order],
        values=(
            np.ones(len(order), dtype=np.float32)
            if values is None
            else np.asarray(values, dtype=np.float32)[order]
        ),
        times=None if times is None else np.asarray(times, dtype=np.int64)[order],
        rows=order,
        user_ids=user_ids,
        item_ids=item_ids,
        context={
            name: np.asarray(column, dtype=np.int32)[order]
            for name, column in (context or {}).items()
        },
    )


def sort_order(users: Array, times: Array | None) -> NDArray[np.int64]:
    """Stable order by user, then time; equal times keep file order."""
    if times is None:
        return np.argsort(users, kind="stable")
    seconds = np.asarray(times, dtype=np.int64)
    shifted = seconds - seconds.min()
    if shifted.max() < 1 << 32:
        return np.argsort((users.astype(np.int64) << 32) | shifted, kind="stable")
    return np.lexsort((seconds, users))

"""Events from any delimited text file with a header line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Literal, Protocol

import numpy as np

from recsys_cli.data.cache import Parsed, cached
from recsys_cli.data.event_layout import IdType, Layout, TimeUnit
from recsys_cli.data.event_lines import check_shape
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.sources import Member, typed
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.progress import Progress


class Reader(Protocol):
    """How the events of a file are had: from the cache where it was read before, say."""

    def __call__(
        self,
        member: Member,
        options: Mapping[str, object],
        parse: Callable[[], Parsed],
        progress: Progress,
        /,
    ) -> Interactions:
        """The events, parsed where they have to be."""
        ...


def load_csv(
    *,
    path: str,
    delimiter: str,
    user_column: str,
    item_column: str,
    time_column: str | None,
    time_unit: TimeUnit,
    value_column: str | None,
    value_low: float | None,
    value_high: float | None,
    id_type: IdType,
    duplicates: Literal["keep", "last", "error"],
    progress: Progress,
    read: Reader = cached,
) -> Interactions:
    """Read a file with a line an event, plain or gzipped, in UTF-8, whose first line names the columns.

    Unless said otherwise, ids are whole numbers where every id of the column is written as one, and text if not:
    "007" and "7" are two users, and so are "NA" and "null".

    Args:
        path: The file.
        delimiter: What stands between two fields: one character, or the word "tab".
        user_column: Name of the column of user ids.
        item_column: Name of the column of item ids.
        time_column: Name of the column of times.
        time_unit: What the times count since 1970, or ISO 8601 text; "auto" decides by the first one.
        value_column: Name of the column of ratings or counts.
        value_low: Values below are an error.
        value_high: Values above are an error.
        id_type: Whether ids are whole numbers from 0, or text; "auto" looks at all of them.
        duplicates: Whether later events of a user with the same item stay, replace the earlier, or are an error.
        progress: Shows a bar for large files.
        read: Gives the events of the file; the cache by default.

    Raises:
        ConfigError: The delimiter or the columns cannot be.
        DataError: The file is not as it should be; with its line and field.
    """
    from recsys_cli.data.event_file import read_events

    layout = Layout(
        delimiter=_one_character(delimiter),
        names=None,
        user=user_column,
        item=item_column,
        time=time_column,
        value=value_column,
        time_unit=time_unit,
        low=value_low,
        high=value_high,
        id_type=id_type,
    )
    if len(set(layout.named())) < len(layout.named()):
        raise ConfigError(
            f"data: the columns {', '.join(layout.named())} are not all different",
            "name one column for each purpose",
        )
    member = Member(typed(path))
    events = read(member, asdict(layout), lambda: read_events(member, layout, progress), progress)
    for count, what in ((events.n_users, "user"), (events.n_items, "item")):
        if count == 1:
            raise DataError(
                f"{member}: all {len(events):,} events are of one {what}",
                f"is data.{what}_column the right one?",
            )
    return _without_duplicates(events, duplicates, member, layout.delimiter)


def _one_character(delimiter: str) -> str:
    character = "\t" if delimiter == "tab" else delimiter
    if len(character.encode()) != 1 or character in '"\r\n\0':
        raise ConfigError(
            f"data.delimiter is {delimiter!r}",
            "give one character that is no quote and no line end, or the word tab",
        )
    return character


def _without_duplicates(
    events: Interactions, rule: str, member: Member, delimiter: str
) -> Interactions:
    if rule == "keep":
        return events
    pairs = events.users.astype(np.int64) * events.n_items + events.items
    order = np.argsort(pairs, kind="stable")  # events of a pair stay in the order of time
    again = np.diff(pairs[order]) == 0  # the event at order[i] is followed by another of its pair
    if rule == "error" and again.any():
        repeated = order[1:][again]
        at = int(repeated[np.argmin(events.rows[repeated])])
        line = check_shape(member, delimiter, int(events.rows[at]) + 1)
        raise DataError(
            f"{member}:{line}:1: user {events.user_ids.decode(events.users[at])} "
            f"has item {events.item_ids.decode(events.items[at])} more than once",
            "use data.duplicates=keep or last",
        )
    replaced = order[:-1][again]
    keep = np.ones(len(events), dtype=bool)
    keep[replaced] = False
    return events.take(keep)

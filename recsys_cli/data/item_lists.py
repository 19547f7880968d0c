"""Files with a line a user: the user's id and then the items, oldest first, as whole numbers."""

from __future__ import annotations

import numpy as np

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError


def read_item_lists(member: Member) -> Interactions:
    """The events of a file, without times; the order of a line is the order of its user.

    Raises:
        DataError: A line is not a user and one item or more, all whole numbers; with its line and field.
    """
    users: list[int] = []
    items: list[int] = []
    with member.open() as stream:
        for number, line in enumerate(stream, start=1):
            cells = line.split()
            for field, cell in enumerate(cells, start=1):
                if not cell.isdigit() or len(cell) > 18:
                    raise DataError(
                        f"{member}:{number}:{field}: {cell[:40].decode(errors='replace')!r} is no whole number",
                        "a line is a user and then items, with blanks between",
                    )
            if len(cells) == 1:
                raise DataError(f"{member}:{number}:2: no item follows the user", "remove the line")
            users += [int(cells[0])] * (len(cells) - 1) if cells else []
            items += map(int, cells[1:])
    if not users:
        raise DataError(f"{member}:1:1: the file is empty", "give a file with at least one event")
    return from_columns(users=np.array(users), items=np.array(items))

"""The question behind a recommendation made now: all that a user did, and the moment after the last recorded event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions, Vocabulary
from recsys_cli.data.raw_ids import encode_text, unknown_id
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError


def of_user(user_id: str, interactions: Interactions, train: Interactions) -> Holdout:
    """What a user of the data does next.

    Args:
        user_id: The raw id.
        interactions: All events, those of validation and test among them: they are known by now.
        train: Those that training has seen.

    Raises:
        DataError: There is no such user.
    """
    user = int(encode_text([user_id], interactions.user_ids)[0])
    if user < 0:
        raise unknown_id(user_id, "user", interactions.user_ids)
    return _ask(user, interactions, np.diff(train.offsets) > 0, train)


def of_history(item_ids: Sequence[str], interactions: Interactions, train: Interactions) -> Holdout:
    """What somebody who is not in the data does next, from the items that they had.

    Their times are unknown: all are taken to be the moment of the question.

    Args:
        item_ids: Raw ids, oldest first.
        interactions: All events.
        train: Those that training has seen.

    Raises:
        DataError: There is no such item, or none is given.
    """
    items = encode_text(item_ids, interactions.item_ids)
    if not len(items):
        raise DataError("the history is empty", "give at least one item")
    if (unknown := np.flatnonzero(items < 0)).size:
        raise unknown_id(item_ids[int(unknown[0])], "item", interactions.item_ids)
    count = len(items)
    history = Interactions(
        users=np.zeros(count, dtype=np.int32),
        items=items,
        values=np.ones(count, dtype=np.float32),
        times=None if interactions.times is None else np.full(count, _now(interactions)),
        rows=np.arange(count),
        user_ids=Vocabulary(np.array(["somebody"])),
        item_ids=interactions.item_ids,
    )
    return _ask(0, history, np.zeros(1, dtype=np.bool_), train)


def _ask(
    user: int, history: Interactions, warm_users: NDArray[np.bool_], train: Interactions
) -> Holdout:
    """One question; its only target is a stand-in, which tells who asks and when."""
    asked = replace(
        history,
        users=np.array([user], dtype=np.int32),
        items=np.zeros(1, dtype=np.int32),
        values=np.ones(1, dtype=np.float32),
        times=None if history.times is None else np.array([_now(history)]),
        rows=np.zeros(1, dtype=np.int64),
        context={},
    )
    return Holdout(history, asked, warm_users, train.item_counts > 0)


def _now(interactions: Interactions) -> int:
    assert interactions.times is not None
    return int(interactions.times.max()) + 1

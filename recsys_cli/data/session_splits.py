"""Splits of sessions: a session is a user of its own, the latest sessions are asked about, event by event.

Source: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions, Vocabulary
from recsys_cli.data.split import DAY_SECONDS, Holdout, Mask, Split, check_parts, clock


def sessions(
    *,
    interactions: Interactions,
    test_days: Annotated[float, Gt(0), Lt(100_000)],
    valid_days: Annotated[float, Ge(0), Lt(100_000)],
    ask: Literal["every_event", "last_event"],
) -> Split:
    """Sessions that end in the last days are test; of the others, those that end in their last days are validation.

    From a session that is asked about, events of items that no earlier session had are dropped, and then the whole
    session if one event remains; both are counted. Each further event of it is one question, asked with the events
    of the session before it; the id of a question is the row of its target in the file.

    Raises:
        DataError: The data has no times, or a part is empty.
    """
    times = clock(interactions, "sessions")
    dropped = {"items that no earlier session had": 0, "sessions of which one event remained": 0}
    earlier = np.ones(len(interactions), dtype=bool)
    asked = []
    for days in (test_days, valid_days):
        late = earlier & _ends_late(interactions, times, earlier, days)
        earlier &= ~late
        known = np.bincount(interactions.items[earlier], minlength=interactions.n_items) > 0
        warm = late & known[interactions.items]
        kept = (
            warm
            & (np.bincount(interactions.users[warm], minlength=interactions.n_users) > 1)[
                interactions.users
            ]
        )
        dropped["items that no earlier session had"] += int((late & ~warm).sum())
        dropped["sessions of which one event remained"] += int((warm & ~kept).sum())
        asked.append(interactions.take(kept))
    train = interactions.take(earlier)
    test, valid = (_questions(events, train, every=ask == "every_event") for events in asked)
    split = Split(
        name=f"sessions(test {test_days:g} days, validation {valid_days:g} days, {ask.replace('_', ' ')})",
        leaks="",
        train=train,
        valid=valid,
        test=test,
        dropped=dropped,
    )
    check_parts(split, len(interactions), may_lack_validation=valid_days == 0)
    return split


def _ends_late(
    interactions: Interactions, times: NDArray[np.int64], among: Mask, days: float
) -> Mask:
    """For each event, whether its session ends in the last days of those among which we look."""
    end = np.full(interactions.n_users, np.iinfo(np.int64).min)
    np.maximum.at(end, interactions.users, times)
    latest = times[among].max(initial=0)
    late: Mask = (end > latest - round(days * DAY_SECONDS))[interactions.users]
    return late


def _questions(events: Interactions, train: Interactions, *, every: bool) -> Holdout:
    """Each event after a session's first (or the last alone) with what came before it in the session."""
    position = np.arange(len(events)) - events.offsets[events.users]
    asked = position > 0
    if not every:
        asked &= np.append(events.users[1:] != events.users[:-1], True)[: len(events)]
    at = np.flatnonzero(asked)
    at = at[np.argsort(events.rows[at])]
    ids, codes, before = (
        Vocabulary(events.rows[at]),
        np.arange(len(at), dtype=np.int32),
        position[at],
    )
    first = np.cumsum(before) - before
    history = np.repeat(at - before - first, before) + np.arange(int(before.sum()))
    return Holdout(
        history=replace(events.take(history), users=np.repeat(codes, before), user_ids=ids),
        targets=replace(events.take(at), users=codes, user_ids=ids),
        warm_users=np.zeros(len(at), dtype=bool),
        warm_items=train.item_counts > 0,
    )

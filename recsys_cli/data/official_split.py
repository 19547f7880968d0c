"""The parts that a data set's publisher made, read from the files that they published.

A loader says what each event is for in the context column `roles`: a sum of the bits below, because an event may be
known to the test's questions and unknown to validation's, or known to both and not to be learnt from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.random_splits import LEAKS, ValidRatio, drawn
from recsys_cli.data.split import Mask, Split, each_alone, from_masks
from recsys_cli.errors import DataError

COLUMN = "roles"
LEARNT, VALID_KNOWN, VALID_TARGET, TEST_KNOWN, TEST_TARGET = 1, 2, 4, 8, 16
TRAIN_ROLES = LEARNT | VALID_KNOWN | TEST_KNOWN
VALID_ROLES = VALID_TARGET | TEST_KNOWN
TEST_ROLES = TEST_TARGET


def joined(*files: tuple[Interactions, int]) -> Interactions:
    """The events of several files of one data set, one behind the other, each with its roles."""
    orders = [np.argsort(events.rows) for events, _ in files]
    parts = [events.take(order) for (events, _), order in zip(files, orders, strict=True)]
    times = [part.times for part in parts if part.times is not None]
    return from_columns(
        users=np.concatenate([part.user_ids.decode(part.users) for part in parts]),
        items=np.concatenate([part.item_ids.decode(part.items) for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        times=np.concatenate(times) if len(times) == len(parts) else None,
        context={COLUMN: np.repeat([roles for _, roles in files], [len(part) for part in parts])},
    )


def merged(events: Interactions) -> Interactions:
    """Events that stand in several files (same user, item and time) as one, with the roles of all of them."""
    columns = [
        column for column in (events.items, events.times, events.users) if column is not None
    ]
    order = np.lexsort([events.rows, *columns])
    new = np.any([np.diff(column[order], prepend=-1) != 0 for column in columns], axis=0)
    roles = np.bitwise_or.reduceat(events.context[COLUMN][order], np.flatnonzero(new))
    first = order[new]  # the first of its kind in the order of the files
    back = np.argsort(first)
    return replace(events.take(first[back]), context={COLUMN: roles[back]})


def official(
    *,
    interactions: Interactions,
    valid_ratio: ValidRatio,
    seed: Annotated[int, Ge(0), Le(2**63 - 1)],
    ask: Literal["every_user", "every_event"],
) -> Split:
    """The publisher's parts; where they made no validation part, it is drawn from their training events.

    Each user is asked once, or each event is, which only its own context fits.

    Raises:
        DataError: The data set has no published parts, or one is empty.
    """
    if COLUMN not in interactions.context:
        raise DataError(
            "split=official needs the parts that a publisher made, and this data set has none",
            "use split=global_time or split=leave_last_out",
        )
    roles = interactions.context[COLUMN]
    # No model may read which part an event is in.
    context = {name: codes for name, codes in interactions.context.items() if name != COLUMN}
    interactions = replace(interactions, context=context)

    def having(role: int) -> Mask:
        return (roles & role) > 0

    train, valid_known, valid_targets = map(having, (LEARNT, VALID_KNOWN, VALID_TARGET))
    validation = "the publisher's"
    if not valid_targets.any():
        validation = f"{valid_ratio:g} of training, seed {seed}" if valid_ratio else "none"
        valid_targets[drawn(train, valid_ratio, seed)] = True
        train, valid_known = train & ~valid_targets, valid_known & ~valid_targets
    targets, times = having(TEST_TARGET), interactions.times
    backwards = times is not None and times[train].max(initial=0) > times[targets].min(
        initial=2**62
    )
    split = from_masks(
        interactions,
        train=train,
        valid=(valid_known, valid_targets),
        test=(having(TEST_KNOWN), targets),
        name=f"official(validation: {validation})",
        leaks=LEAKS if backwards else "",
        may_lack_validation=valid_ratio == 0,
    )
    if ask == "every_user":
        return split
    return replace(
        split,
        name=f"{split.name[:-1]}; every event)",
        valid=each_alone(split.valid),
        test=each_alone(split.test),
    )

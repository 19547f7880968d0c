"""Splits that treat each user alike: their latest events, a share of them, or the user as a whole."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import (
    TEST,
    TRAIN,
    VALID,
    Mask,
    Split,
    assemble,
    floor_share,
    from_masks,
)
from recsys_cli.errors import DataError
from recsys_cli.seeds import numpy_generator


def leave_last_out(*, interactions: Interactions, min_events: Annotated[int, Ge(3)]) -> Split:
    """Each user's last event is test, the one before it validation.

    Users with fewer than `min_events` events are in training only.
    """
    size = np.diff(interactions.offsets)[interactions.users]
    from_end = interactions.offsets[interactions.users + 1] - 1 - np.arange(len(interactions))
    part = np.where(from_end == 0, TEST, np.where(from_end == 1, VALID, TRAIN))
    part[size < min_events] = TRAIN
    return assemble(
        interactions,
        part,
        name=f"leave_last_out(users with {min_events} or more events)",
        leaks="other users' later events are in training, so a model may know what became popular afterwards",
    )


def per_user_ratio(
    *,
    interactions: Interactions,
    seed: Annotated[int, Ge(0), Lt(2**63)],
    valid_ratio: Annotated[float, Gt(0), Lt(1)],
    test_ratio: Annotated[float, Gt(0), Lt(1)],
    chronological: bool,
) -> Split:
    """Of each user's n events, floor(ratio * n) are test and as many validation: drawn at random, or the latest.

    Raises:
        DataError: The two ratios leave nothing to learn from.
    """
    if valid_ratio + test_ratio >= 1:
        raise DataError(
            f"split.valid_ratio + split.test_ratio is {valid_ratio + test_ratio:g}: nothing is left for training",
            "let them add up to less than 1",
        )
    size = np.diff(interactions.offsets)[interactions.users]
    if chronological:
        rank = np.arange(len(interactions)) - interactions.offsets[interactions.users]
    else:
        draw = numpy_generator(seed, "split").random(len(interactions))
        order = _by_user_and(draw, interactions.users)
        rank = np.empty(len(interactions), dtype=np.int64)
        rank[order] = np.arange(len(interactions)) - interactions.offsets[interactions.users]
    n_valid, n_test = floor_share(valid_ratio, size), floor_share(test_ratio, size)
    part = np.where(
        rank >= size - n_test, TEST, np.where(rank >= size - n_test - n_valid, VALID, TRAIN)
    )
    return assemble(
        interactions,
        part,
        name=(
            f"per_user_ratio({'latest' if chronological else 'random'}, "
            f"validation {valid_ratio:g}, test {test_ratio:g})"
        ),
        leaks=(
            "other users' later events are in training"
            if chronological
            else "events from after the test events are in training: times mean nothing in this split"
        ),
    )


def _by_user_and(draw: NDArray[np.float64], users: NDArray[np.int32]) -> NDArray[np.int64]:
    """The order by user, and by a draw from [0, 1) among a user's events: `lexsort` in a quarter of its time.

    Their sum has the same order where no two sums are equal; rounding makes few so, and never swaps two.
    """
    keys = users + draw
    order = np.argsort(keys)
    in_order = keys[order]
    return np.lexsort((draw, users)) if (in_order[1:] == in_order[:-1]).any() else order


def user_holdout(
    *,
    interactions: Interactions,
    held_out_users: Annotated[int, Ge(1), Le(10**9)],
    target_ratio: Annotated[float, Gt(0), Lt(1)],
    min_events: Annotated[int, Ge(2)],
    seed: Annotated[int, Ge(0), Le(2**32 - 1)],
) -> Split:
    """Strong generalisation: some users are never trained on, and asked about with a part of their own events.

    The catalogue that counts is what training users have: other items of held-out users are dropped from history
    and targets alike, and counted. Of the n events that remain to a held-out user, floor(target_ratio * n) are
    targets, drawn at random; those with fewer than `min_events` are not asked. The draws are those of the
    variational auto-encoder papers, so that their seed repeats their users and targets.

    Source: Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018.

    Raises:
        DataError: Too few users to hold out so many, or a part is empty.
    """
    n = interactions.n_users
    if 2 * held_out_users >= n:
        raise DataError(
            f"split.held_out_users={held_out_users:,} for validation and as many for the test of {n:,} users: "
            "nobody is left for training",
            f"hold out fewer, such as split.held_out_users={max(n // 10, 1)}",
        )
    order = np.random.RandomState(seed).permutation(n)
    group = np.full(n, TRAIN)
    group[order[n - 2 * held_out_users : n - held_out_users]] = VALID
    group[order[n - held_out_users :]] = TEST
    part = group[interactions.users]
    known_items = np.bincount(interactions.items[part == TRAIN], minlength=interactions.n_items) > 0
    kept = known_items[interactions.items]

    def questions(label: int) -> tuple[Mask, Mask]:
        own = (part == label) & kept
        targets = _drawn_targets(interactions, own, target_ratio, min_events, seed)
        return own & ~targets, targets

    return from_masks(
        interactions,
        train=part == TRAIN,
        valid=questions(VALID),
        test=questions(TEST),
        name=(
            f"user_holdout({held_out_users:,} users each, {target_ratio:g} of their events are targets, "
            f"seed {seed})"
        ),
        leaks="a user's targets may be earlier than what they are asked with, and than other users' events in training",
        dropped={"items that no training user has": int((~kept).sum())},
    )


def _drawn_targets(
    interactions: Interactions, own: Mask, ratio: float, min_events: int, seed: int
) -> Mask:
    """For each user a draw without replacement, in the order of their codes, over their events in file order."""
    draw = np.random.RandomState(seed)
    at = np.flatnonzero(own)
    at = at[np.lexsort((interactions.rows[at], interactions.users[at]))]
    chosen = np.zeros(len(interactions), dtype=bool)
    for events in _runs(at, interactions.users[at]):
        if len(events) >= min_events:
            n_targets = int(floor_share(ratio, np.array(len(events))))
            chosen[events[draw.choice(len(events), size=n_targets, replace=False)]] = True
    return chosen


def _runs(values: NDArray[np.int64], keys: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """The values cut where the key changes."""
    return np.split(values, np.flatnonzero(np.diff(keys)) + 1)

"""The best unseen items of each user, in one pass over the scores: the twin of what `evaluation.top_k` does with torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys_cli.models.kernels.compiling import kernel, part

Codes = NDArray[np.integer[Any]]
GROUPS = 64


class Rows(NamedTuple):
    """Items of some users, each user's between two places of one array.

    Attributes:
        items: Codes, or numbers that are codes but for a multiple of the catalogue's size.
        starts: Where each user's items begin.
        stops: Where they end.
    """

    items: Codes
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class Best(NamedTuple):
    """The lists of some users.

    Attributes:
        values: (users, count) scores in descending order; minus infinity where there are no more unseen items.
        items: (users, count) codes, of equal scores the lower first; -1 where there are no more unseen items.
        flat: (users,) whether a user has two or more unseen items, and all of one score.
        seen_targets: How many targets are seen.
        finite: Whether all scores are finite; if not, the rest means nothing.
    """

    values: NDArray[np.float32]
    items: NDArray[np.int64]
    flat: NDArray[np.bool_]
    seen_targets: int
    finite: bool


def compile_scan() -> None:
    """Have the kernel ready."""
    none = np.zeros(0, np.int64)
    best_unseen(
        np.zeros((0, 1), np.float32),
        1,
        Rows(none.astype(np.int32), none, none),
        Rows(none, none, none),
    )


def best_unseen(scores: NDArray[np.float32], count: int, seen: Rows, targets: Rows) -> Best:
    """The best unseen items of each user by score descending, then code ascending.

    Args:
        scores: (users, items), contiguous; left as it is.
        count: Length of the lists; at most as many as there are items.
        seen: What is left out.
        targets: What is looked for among the seen.
    """
    values = np.full((len(scores), count), -np.inf, np.float32)
    items = np.full((len(scores), count), -1, np.int64)
    flat = np.zeros(len(scores), np.bool_)
    padded = -(-scores.shape[1] // GROUPS) * GROUPS
    own = np.full(padded, -np.inf, np.float32)
    seen_targets, finite = _scan(scores, seen, targets, own, values, items, flat)
    return Best(values, items, flat, seen_targets, finite)


@kernel
def _scan(
    scores: NDArray[np.float32],
    seen: Rows,
    targets: Rows,
    own: NDArray[np.float32],
    values: NDArray[np.float32],
    items: NDArray[np.int64],
    flat: NDArray[np.bool_],
) -> Any:
    """Fill the lists: a score that beats the last one goes to its place; an equal one has a higher code and stays out.

    The scores are dealt out to groups. As many as the list is long are at least as high as so many groups' best, so
    what is lower than the least of these need not be looked at one by one.
    """
    n_items, last, found = scores.shape[1], values.shape[1] - 1, 0
    nothing, finite = np.float32(-np.inf), True
    stretches = own.reshape(-1, GROUPS)
    group_best, group_order = np.empty(GROUPS, np.float32), np.empty(GROUPS, np.float32)
    for row in range(scores.shape[0]):
        for item in range(n_items):
            own[item] = scores[row, item]
            finite &= np.abs(scores[row, item]) < np.inf
        for at in range(seen.starts[row], seen.stops[row]):
            own[seen.items[at]] = nothing
        for at in range(targets.starts[row], targets.stops[row]):
            found += own[targets.items[at] % n_items] == nothing
        enough = _enough(stretches, group_best, group_order, last)
        for stretch in range(stretches.shape[0]):
            high = 0  # a sum over a fixed number of scores becomes vector instructions
            for k in range(GROUPS):
                high += stretches[stretch, k] >= enough
            if high:
                _place(own, stretch * GROUPS, enough, row, values, items)
        best = values[row, 0]
        if last > 0 and (values[row, last] == best or values[row, last] == nothing):
            equal = 0
            for item in range(n_items):
                equal += own[item] == best
                if own[item] != best and own[item] != nothing:
                    equal = -n_items
            flat[row] = best > nothing and equal > 1
    return found, finite


@part
def _enough(stretches: Any, group_best: Any, group_order: Any, last: int) -> Any:
    """A score that as many reach as a list is long: of the groups' best scores that at the list's last place."""
    for group in range(GROUPS):
        group_best[group] = stretches[0, group]
    for stretch in range(1, stretches.shape[0]):
        for group in range(GROUPS):
            score = stretches[stretch, group]
            group_best[group] = score if score > group_best[group] else group_best[group]
    if last >= GROUPS:
        return np.float32(-np.inf)
    for place in range(last + 1):
        group_order[place] = -np.inf
    for group in range(GROUPS):
        _insert(group_order, group_best[group], last)
    return group_order[last]


@part
def _insert(order: Any, score: Any, last: int) -> None:
    """Put a score that beats the last into its place in descending order."""
    if score > order[last]:
        place = last
        while place > 0 and order[place - 1] < score:
            order[place] = order[place - 1]
            place -= 1
        order[place] = score


@part
def _place(own: Any, start: int, enough: Any, row: int, values: Any, items: Any) -> None:
    """Put those of some scores that are high enough and beat the list's last into their places."""
    last = values.shape[1] - 1
    for item in range(start, start + GROUPS):
        score = own[item]
        if score >= enough and score > values[row, last]:
            place = last
            while place > 0 and values[row, place - 1] < score:
                values[row, place] = values[row, place - 1]
                items[row, place] = items[row, place - 1]
                place -= 1
            values[row, place] = score
            items[row, place] = item

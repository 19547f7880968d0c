"""The best unseen items of each user, in one pass over the scores: the twin of what `evaluation.top_k` does with torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys_cli.models.kernels.compiling import kernel

Codes = NDArray[np.integer[Any]]


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
    """

    values: NDArray[np.float32]
    items: NDArray[np.int64]
    flat: NDArray[np.bool_]
    seen_targets: int


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
        scores: (users, items), contiguous, finite; left as it is.
        count: Length of the lists; at most as many as there are items.
        seen: What is left out.
        targets: What is looked for among the seen.
    """
    values = np.full((len(scores), count), -np.inf, np.float32)
    items = np.full((len(scores), count), -1, np.int64)
    flat = np.zeros(len(scores), np.bool_)
    own = np.empty(scores.shape[1], np.float32)
    return Best(values, items, flat, _scan(scores, seen, targets, own, values, items, flat))


@kernel
def _scan(
    scores: NDArray[np.float32],
    seen: Rows,
    targets: Rows,
    own: NDArray[np.float32],
    values: NDArray[np.float32],
    items: NDArray[np.int64],
    flat: NDArray[np.bool_],
) -> int:
    """Fill the lists: a score that beats the last one goes to its place; an equal one has a higher code and stays out."""
    n_items, last, found = scores.shape[1], values.shape[1] - 1, 0
    nothing = np.float32(-np.inf)
    for row in range(scores.shape[0]):
        for item in range(n_items):
            own[item] = scores[row, item]
        for at in range(seen.starts[row], seen.stops[row]):
            own[seen.items[at]] = nothing
        for at in range(targets.starts[row], targets.stops[row]):
            found += own[targets.items[at] % n_items] == nothing
        least = nothing
        for item in range(n_items):
            score = own[item]
            if score > least:
                place = last
                while place > 0 and values[row, place - 1] < score:
                    values[row, place] = values[row, place - 1]
                    items[row, place] = items[row, place - 1]
                    place -= 1
                values[row, place] = score
                items[row, place] = item
                least = values[row, last]
        best = values[row, 0]
        if last > 0 and (values[row, last] == best or values[row, last] == nothing):
            equal = 0
            for item in range(n_items):
                equal += own[item] == best
                if own[item] != best and own[item] != nothing:
                    equal = -n_items
            flat[row] = best > nothing and equal > 1
    return found

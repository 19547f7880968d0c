"""Metrics that look past accuracy: what a recommender shows, and whether it is always the same.

Intra-list diversity and calibration to a user's taste are not here: they need features of the items.

Sources: Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems" (PNAS 2010) for
self-information; Abdollahpouri et al., "The unfairness of popularity bias in recommendation" (2019) for the average
popularity of a list.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from recsys_cli.evaluation.top_k import NO_ITEM

Lists = Int64[Tensor, "users k"]
PerItem = Float64[Tensor, " items"]


def coverage(shown: PerItem) -> float:
    """Share of the catalogue that is in at least one list.

    Args:
        shown: In how many lists each item of the catalogue is.
    """
    return float((shown > 0).double().mean())


def gini(shown: PerItem) -> float:
    """How unequally the items are shown: 0 = all equally often; NaN where nothing is shown.

    Args:
        shown: In how many lists each item of the catalogue is.
    """
    n = len(shown)
    ascending = shown.sort().values
    weights = 2 * torch.arange(1, n + 1, dtype=torch.float64) - n - 1
    return float((weights * ascending).sum() / (n * ascending.sum()))


def self_information(users_with_item: PerItem, n_users: int) -> PerItem:
    """How surprising it is that a user has an item: log2(users / users with the item), in bits.

    An item that nobody has yet counts as one that a single user has: the most surprising that is finite.
    """
    return torch.log2(n_users / users_with_item.clamp(min=1))


def mean_of_list(items: Lists, value: PerItem) -> Float64[Tensor, " users"]:
    """Mean over each list of a property of its items; NaN for an empty list.

    Args:
        items: Codes of the items, -1 where the list is shorter than k.
        value: The property of each item of the catalogue: its self-information (novelty) or its events so far
            (popularity).
    """
    real = items != NO_ITEM
    total = (value[items.clamp(min=0)] * real).sum(1)
    length = real.sum(1)
    return (total / length).masked_fill(length == 0, torch.nan)

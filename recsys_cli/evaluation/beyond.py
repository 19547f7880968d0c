"""Metrics that look past accuracy: what a recommender shows, and whether it is always the same.

Sources: Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems" (PNAS 2010) for
self-information; Abdollahpouri et al., "The unfairness of popularity bias in recommendation" (2019) for the average
popularity of a list; Ziegler et al., "Improving recommendation lists through topic diversification" (WWW 2005) for
the diversity within a list, here with the Jaccard distance; Steck, "Calibrated recommendations" (RecSys 2018).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from recsys_cli.evaluation.top_k import NO_ITEM

Lists = Int64[Tensor, "users k"]
PerItem = Float64[Tensor, " items"]
PerUser = Float64[Tensor, " users"]
Listed = Bool[Tensor, "users k categories"]
SMOOTHING = 0.01  # Steck's alpha: how much of the user's taste is mixed into the list, so that no category is missing


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


def diversity(listed: Listed) -> PerUser:
    """Mean Jaccard distance over the pairs of a list's items: 1 = no two items share a category.

    Items without a category are left out; NaN where fewer than two are left.

    Args:
        listed: Of which categories the item at each position is; of none where there is no item.
    """
    known = listed.any(2).double()
    own = listed.double()
    shared = own @ own.transpose(1, 2)  # (users, k, k)
    sizes = own.sum(2)
    either = sizes[:, :, None] + sizes[:, None, :] - shared
    distance = 1 - shared / either.clamp(min=1)
    pairs = (known[:, :, None] * known[:, None, :]).triu(diagonal=1)
    n_pairs = pairs.sum((1, 2))
    return (distance * pairs).sum((1, 2)) / n_pairs.masked_fill(n_pairs == 0, torch.nan)


def calibration(listed: Listed, taste: Float64[Tensor, "users categories"]) -> PerUser:
    """How far the categories of a list are from those of what the user had: 0 = in the same proportions.

    The Kullback-Leibler divergence, in nats, of the list's proportions (mixed with 1 % of the user's) from the user's.
    An item of several categories counts in equal parts for each. NaN where the list or the user has no category.

    Args:
        listed: As in `diversity`.
        taste: How much each user had of each category.
    """
    own = listed.double()
    shown = (own / own.sum(2, keepdim=True).clamp(min=1)).sum(1)
    p, q = (part / part.sum(1, keepdim=True) for part in (taste, shown))
    mixed = (1 - SMOOTHING) * q + SMOOTHING * p
    divergence = torch.where(p == 0, torch.zeros_like(p), p * torch.log(p / mixed)).sum(1)
    return divergence.clamp(min=0)  # rounding alone can make it negative

"""Metrics of a ranked list against a user's targets: one small pure function each, in float64.

All take the lists of many users at once and give one value a user. `hits[u, i]` says whether the item at
position i (from 0) of user u's list is one of their targets; cutting its columns to `[:, :k]` gives the metric at
k, so one list serves all cut-offs. A user without a target has no value: NaN. A list shorter than k is padded with
False; precision still divides by k. `n_listed` is the number of items that the list really holds.

Sources: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002); Burges et al.,
"Learning to rank using gradient descent" (ICML 2005) for the gain 2^r - 1; Manning, Raghavan and Schütze,
"Introduction to Information Retrieval", chapter 8.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

Hits = Bool[Tensor, "users k"]
Counts = Int64[Tensor, " users"]
PerUser = Float64[Tensor, " users"]
Gains = Float64[Tensor, "users k"]


def recall(hits: Hits, n_relevant: Counts) -> PerUser:
    """Share of the user's targets that are in the list."""
    return _share(_found(hits), n_relevant.double(), n_relevant)


def recall_capped(hits: Hits, n_relevant: Counts) -> PerUser:
    """Hits over the most that the list can hold, min(k, n)."""
    return _share(_found(hits), n_relevant.clamp(max=hits.shape[1]).double(), n_relevant)


def precision(hits: Hits, n_relevant: Counts) -> PerUser:
    """Share of the list's k places that hold a target."""
    return _share(_found(hits), torch.full_like(n_relevant, hits.shape[1]).double(), n_relevant)


def precision_listed(hits: Hits, n_relevant: Counts, n_listed: Counts) -> PerUser:
    """Share of the items in the list that are targets; a list shorter than k pays nothing for it, an empty one is 0."""
    return _share(_found(hits), n_listed.clamp(min=1).double(), n_relevant)


def hit(hits: Hits, n_relevant: Counts) -> PerUser:
    """1 where the list holds a target at all, else 0."""
    return _share(hits.any(1).double(), torch.ones_like(n_relevant).double(), n_relevant)


def mrr(hits: Hits, n_relevant: Counts) -> PerUser:
    """One over the position of the first target in the list, 0 without one."""
    reciprocal = hits / _positions(hits)
    return _share(reciprocal.amax(1), torch.ones_like(n_relevant).double(), n_relevant)


def average_precision(hits: Hits, n_relevant: Counts) -> PerUser:
    """Average precision over the most that the list can hold, min(k, n); its mean is MAP."""
    return _share(_precisions(hits), n_relevant.clamp(max=hits.shape[1]).double(), n_relevant)


def average_precision_all_relevant(hits: Hits, n_relevant: Counts) -> PerUser:
    """Average precision over all n targets, also those that the list has no room for."""
    return _share(_precisions(hits), n_relevant.double(), n_relevant)


def average_precision_listed(hits: Hits, n_relevant: Counts, n_listed: Counts) -> PerUser:
    """Average precision over the most that this list could hold, min(its length, n); 0 for an empty one."""
    most = torch.minimum(n_relevant, n_listed).clamp(min=1)
    return _share(_precisions(hits), most.double(), n_relevant)


def mean_precision(hits: Hits, n_relevant: Counts) -> PerUser:
    """Mean of the precision at every place from 1 to k, whether it holds a target or not."""
    at_each = (hits.cumsum(1) / _positions(hits)).mean(1)
    return _share(at_each, torch.ones_like(n_relevant).double(), n_relevant)


def average_precision_hits(hits: Hits, n_relevant: Counts) -> PerUser:
    """Average precision over the targets found, 0 without one."""
    return _share(_precisions(hits), _found(hits).clamp(min=1), n_relevant)


def ndcg(hits: Hits, n_relevant: Counts) -> PerUser:
    """How early the targets come, against the best list of k: 1 = ideal order."""
    ideal = _ideal(n_relevant.clamp(max=hits.shape[1]))
    return _share((hits * _discounts(hits.shape[1])).sum(1), ideal, n_relevant)


def ndcg_full_ideal(hits: Hits, n_relevant: Counts) -> PerUser:
    """How early the targets come, against an ideal list of all n targets."""
    return _share((hits * _discounts(hits.shape[1])).sum(1), _ideal(n_relevant), n_relevant)


def ndcg_over_k(hits: Hits, n_relevant: Counts) -> PerUser:
    """How early the targets come, against k targets in a row, however few the user has."""
    ideal = _ideal(torch.full_like(n_relevant, hits.shape[1]))
    return _share((hits * _discounts(hits.shape[1])).sum(1), ideal, n_relevant)


def ndcg_first_two_equal(hits: Hits, n_relevant: Counts) -> PerUser:
    """NDCG with the discount log2(position), which is 1 at the first two places: it does not matter which of them."""
    k = hits.shape[1]
    discounts = 1 / torch.log2(_positions(hits).clamp(min=2))
    ideal = discounts.cumsum(0)[n_relevant.clamp(1, k) - 1]
    return _share((hits * discounts).sum(1), ideal, n_relevant)


def ndcg_graded(gains: Gains, best: Gains) -> PerUser:
    """NDCG with the gain 2^value - 1.

    Args:
        gains: The value of the target at each position of the list, 0 where there is none.
        best: The user's target values in descending order, padded with 0.

    Returns:
        One value a user; NaN for a user whose values are all 0.
    """
    return ndcg_graded_linear(torch.exp2(gains) - 1, torch.exp2(best) - 1)


def ndcg_graded_linear(gains: Gains, best: Gains) -> PerUser:
    """NDCG with the target's value as the gain; arguments as in `ndcg_graded`."""
    discounts = _discounts(gains.shape[1])
    ideal = (best * discounts).sum(1)
    return (gains * discounts).sum(1) / ideal.masked_fill(ideal == 0, torch.nan)


def r_precision(hits: Hits, n_relevant: Counts) -> PerUser:
    """Share of targets among the first n places, n being the user's number of targets.

    Args:
        hits: As everywhere, with at least as many columns as any user has targets.
        n_relevant: Distinct targets of each user.
    """
    within = torch.arange(hits.shape[1], device=hits.device) < n_relevant[:, None]
    return _share(_found(hits & within), n_relevant.double(), n_relevant)


def user_auc(scores: Float[Tensor, "users items"], targets: Int64[Tensor, "users most"]) -> PerUser:
    """Chance that a target outranks another candidate; equal scores count one half.

    Args:
        scores: Of the whole catalogue; minus infinity for what is no candidate.
        targets: Codes of each user's distinct targets, padded with -1. A target that is no candidate can't be
            ranked and loses against every item.

    Returns:
        One value a user; NaN where there is no target or no other candidate.
    """
    ascending = scores.sort(dim=1).values
    own = scores.gather(1, targets.clamp(min=0))
    ranked = (targets >= 0) & (own > -torch.inf)
    # First plus last position among the scores equal to one's own, plus 1: twice the mean rank from 1.
    first, last = (torch.searchsorted(ascending, own, right=right) for right in (False, True))
    twice_ranks = ((first + last + 1) * ranked).sum(1).cpu()
    n_ranked = ranked.sum(1).cpu()
    n_candidates = (scores > -torch.inf).sum(1).cpu()
    twice_wins = twice_ranks - n_ranked * (2 * (scores.shape[1] - n_candidates) + n_ranked + 1)
    n_pairs = (targets >= 0).sum(1).cpu() * (n_candidates - n_ranked)
    return _share(twice_wins.double(), (2 * n_pairs).double(), n_pairs)


BY_HITS: dict[str, Callable[[Hits, Counts], PerUser]] = {
    "recall": recall,
    "recall_capped": recall_capped,
    "precision": precision,
    "hit": hit,
    "mrr": mrr,
    "map": average_precision,
    "map_all_relevant": average_precision_all_relevant,
    "map_hits": average_precision_hits,
    "mean_precision": mean_precision,
    "ndcg": ndcg,
    "ndcg_full_ideal": ndcg_full_ideal,
    "ndcg_over_k": ndcg_over_k,
    "ndcg_first_two_equal": ndcg_first_two_equal,
}
BY_LENGTH: dict[str, Callable[[Hits, Counts, Counts], PerUser]] = {
    "precision_listed": precision_listed,
    "map_listed": average_precision_listed,
}
BY_GAINS: dict[str, Callable[[Gains, Gains], PerUser]] = {
    "ndcg_graded": ndcg_graded,
    "ndcg_graded_linear": ndcg_graded_linear,
}


def _found(hits: Hits) -> PerUser:
    return hits.sum(1).double()


def _positions(hits: Hits) -> Float64[Tensor, " k"]:
    return torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)


def _precisions(hits: Hits) -> PerUser:
    """Sum of the precision at each hit."""
    return (hits * hits.cumsum(1) / _positions(hits)).sum(1)


def _discounts(k: int) -> Float64[Tensor, " k"]:
    return 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float64))


def _ideal(n: Counts) -> PerUser:
    """The discounted gain of n hits in a row."""
    upto = torch.cat([torch.zeros(1, dtype=torch.float64), _discounts(int(n.amax())).cumsum(0)])
    return upto[n]


def _share(part: PerUser, whole: PerUser, n_relevant: Counts) -> PerUser:
    """Part over whole; NaN for a user without a target."""
    return (part / whole.masked_fill(whole == 0, 1.0)).masked_fill(n_relevant == 0, torch.nan)

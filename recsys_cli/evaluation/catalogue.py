"""What each metric is: its formula, its range, and what it tells. Only words: nothing here computes.

In the formulas k is the length of list that is asked for (it may hold fewer items), n the number of a user's
distinct targets, hit(i) is 1 where the item at position i (from 1) is a target and else 0, hits = sum of hit(i) for
i <= k, and min(k, n) is the most that a list can hold. Metrics of a ranking are averaged over the users who have a target; those marked "of the catalogue"
look at all lists at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from recsys_cli.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The description of one metric.

    Attributes:
        name: As in `evaluation.metrics`; with a cut-off it is written `NAME_at_K`.
        of: Whether it judges a ranked list or predicted values (ratings, probabilities of a click).
        formula: One line.
        low: Smallest possible value.
        high: Largest possible value.
        better: Which direction is an improvement; "neither" where it depends on what is wanted.
        at_cutoffs: Whether it is computed for each length of the list.
        meaning: What it tells about a recommender.
    """

    name: str
    of: Literal["ranking", "values"]
    formula: str
    low: float
    high: float
    better: Literal["higher", "lower", "neither"]
    at_cutoffs: bool
    meaning: str

    def keys(self, cutoffs: list[int]) -> list[str]:
        """The names of its values: `NAME_at_K` for each cut-off, or the name alone."""
        return [f"{self.name}_at_{k}" for k in cutoffs] if self.at_cutoffs else [self.name]


def _list(name: str, formula: str, meaning: str) -> Metric:
    """A metric between 0 and 1 of the top of a list, where more is better."""
    return Metric(
        name=name,
        of="ranking",
        formula=formula,
        low=0.0,
        high=1.0,
        better="higher",
        at_cutoffs=True,
        meaning=meaning,
    )


def _value(
    name: str, formula: str, meaning: str, *, high: float, better: Literal["higher", "lower"]
) -> Metric:
    """A metric of predicted values."""
    return Metric(
        name=name,
        of="values",
        formula=formula,
        low=0.0,
        high=high,
        better=better,
        at_cutoffs=False,
        meaning=meaning,
    )


_ALL = [
    _list("recall", "hits / n", "Share of the user's targets that are in the list."),
    _list(
        "recall_capped",
        "hits / min(k, n)",
        "Recall that reaches 1 for a list full of targets, also where there are more targets than places.",
    ),
    _list("precision", "hits / k", "Share of the list's places that hold a target."),
    _list(
        "precision_listed",
        "hits / items in the list, 0 for an empty list",
        "Precision that does not count the places that a list shorter than k leaves empty.",
    ),
    _list("hit", "1 if hits > 0 else 0", "Whether the list holds a target at all."),
    _list(
        "mrr", "1 / position of the first hit, 0 without one", "How soon the first target comes."
    ),
    _list(
        "map",
        "sum over hits of (hits up to there / position) / min(k, n)",
        "Precision averaged over the places of the targets: 1 = all places are targets, or all targets come first.",
    ),
    _list(
        "map_all_relevant",
        "sum over hits of (hits up to there / position) / n",
        "Average precision that also counts the targets that a list of k has no room for.",
    ),
    _list(
        "map_hits",
        "sum over hits of (hits up to there / position) / hits, 0 without one",
        "How early the found targets come; says nothing about those not found.",
    ),
    _list(
        "map_listed",
        "sum over hits of (hits up to there / position) / min(items in the list, n), 0 for an empty list",
        "Average precision against the most that the list at hand could hold, also where it is shorter than k.",
    ),
    _list(
        "mean_precision",
        "mean over positions i <= k of (hits up to i / i)",
        "Precision averaged over all lengths of the list up to k; one library calls it MAP.",
    ),
    _list(
        "ndcg",
        "sum of hit(i) / log2(i + 1) for i <= k, divided by sum of 1 / log2(i + 1) for i <= min(k, n)",
        "How early the targets come, 1 = the best order that a list of k can have.",
    ),
    _list(
        "ndcg_full_ideal",
        "sum of hit(i) / log2(i + 1) for i <= k, divided by sum of 1 / log2(i + 1) for i <= n",
        "NDCG against the ideal of all targets: below 1 wherever there are more targets than places.",
    ),
    _list(
        "ndcg_over_k",
        "sum of hit(i) / log2(i + 1) for i <= k, divided by sum of 1 / log2(i + 1) for i <= k",
        "NDCG against k targets in a row: below 1 wherever a user has fewer targets than the list has places.",
    ),
    _list(
        "ndcg_first_two_equal",
        "sum of hit(i) / log2(max(i, 2)) for i <= k, divided by sum of 1 / log2(max(i, 2)) for i <= min(k, n)",
        "NDCG whose first two places weigh the same, as in the first definition of cumulated gain.",
    ),
    _list(
        "ndcg_graded",
        "sum of (2^value(i) - 1) / log2(i + 1) for i <= k, divided by the same of the user's best values in order",
        "NDCG with gains that double with each step of the rating: first the loved, then the liked.",
    ),
    _list(
        "ndcg_graded_linear",
        "sum of value(i) / log2(i + 1) for i <= k, divided by the same of the user's best values in order",
        "NDCG with the target's value (rating, count) as the gain.",
    ),
    Metric(
        name="r_precision",
        of="ranking",
        formula="hits among the first n / n",
        low=0.0,
        high=1.0,
        better="higher",
        at_cutoffs=False,
        meaning="Precision, and recall, of a list exactly as long as the user has targets.",
    ),
    Metric(
        name="user_auc",
        of="ranking",
        formula="share of pairs (target, unseen other item) with the target scored higher; equal scores count 1/2",
        low=0.0,
        high=1.0,
        better="higher",
        at_cutoffs=False,
        meaning="Chance that a target outranks a random other item anywhere in the catalogue; 0.5 = no knowledge.",
    ),
    Metric(
        name="coverage",
        of="ranking",
        formula="items in at least one list / items of the catalogue",
        low=0.0,
        high=1.0,
        better="higher",
        at_cutoffs=True,
        meaning="Of the catalogue: how much of it anybody is shown.",
    ),
    Metric(
        name="gini",
        of="ranking",
        formula="sum of (2 j - items - 1) c(j) / (items * sum of c), c(j) = lists with the item, ascending",
        low=0.0,
        high=1.0,
        better="lower",
        at_cutoffs=True,
        meaning="Of the catalogue: 0 = all items are shown equally often, towards 1 = all lists show the same few.",
    ),
    Metric(
        name="novelty",
        of="ranking",
        formula="mean over the list of log2(users with an event / users with an event of the item, at least 1)",
        low=0.0,
        high=math.inf,
        better="neither",
        at_cutoffs=True,
        meaning="Mean self-information in bits: how surprising the shown items are by their past popularity.",
    ),
    Metric(
        name="popularity",
        of="ranking",
        formula="mean over the list of the item's events so far",
        low=0.0,
        high=math.inf,
        better="neither",
        at_cutoffs=True,
        meaning="Average recommendation popularity, in events: the larger, the more the model repeats what is popular.",
    ),
    Metric(
        name="diversity",
        of="ranking",
        formula="mean over pairs of listed items of 1 - categories of both / categories of either",
        low=0.0,
        high=1.0,
        better="neither",
        at_cutoffs=True,
        meaning="Jaccard distance within a list: 1 = no two items share a category; items of none are left out.",
    ),
    Metric(
        name="calibration",
        of="ranking",
        formula=(
            "sum over categories of p log(p / (0.99 q + 0.01 p)), p and q = shares of the category in what the user "
            "had and in the list, natural logarithm"
        ),
        low=0.0,
        high=-math.log(0.01),
        better="lower",
        at_cutoffs=True,
        meaning="How far a list strays from the user's mix of categories (Steck): 0 = the same proportions.",
    ),
    Metric(
        name="tied",
        of="ranking",
        formula="1 if the items at positions k and k + 1 have the same score else 0",
        low=0.0,
        high=1.0,
        better="lower",
        at_cutoffs=True,
        meaning="Share of lists whose end was decided by item code and not by the model.",
    ),
    _value(
        "rmse",
        "sqrt(mean of (predicted - actual)^2)",
        "Typical error in the unit of the rating; large errors weigh more.",
        high=math.inf,
        better="lower",
    ),
    _value(
        "mae",
        "mean of |predicted - actual|",
        "Mean error in the unit of the rating.",
        high=math.inf,
        better="lower",
    ),
    _value(
        "log_loss",
        "-mean of (y log p + (1 - y) log(1 - p)), natural logarithm",
        "How surprised the predicted probabilities are by what happened; a sure error is infinitely bad.",
        high=math.inf,
        better="lower",
    ),
    _value(
        "calibration_error",
        "sum over equal-width bins of p of (events in the bin / events) |mean of p - mean of y|",
        "How far predicted probabilities are from the observed rates: 0.1 = off by 10 percentage points.",
        high=1.0,
        better="lower",
    ),
    _value(
        "auc",
        "share of pairs (positive, negative event) with the positive predicted higher; equal predictions count 1/2",
        "Chance that a random click is predicted above a random non-click, over all users together.",
        high=1.0,
        better="higher",
    ),
]

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ConfigError: There is none.
    """
    if name not in METRICS:
        raise ConfigError(f"there is no metric {name!r}", nearest(name, list(METRICS)))
    return METRICS[name]

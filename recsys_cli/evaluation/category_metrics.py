"""Metrics of lists by the categories of their items: how different they are, and whether they keep to a user's taste.

Source of the calibration: Steck, "Calibrated recommendations" (RecSys 2018), with each category of an item taking an
equal share of it, all events of equal weight, and the natural logarithm.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys_cli.data.categories import Categories
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError
from recsys_cli.evaluation.beyond import calibration, diversity
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.scoring import Ranking
from recsys_cli.evaluation.top_k import NO_ITEM

NAMES = ("diversity", "calibration")
MAX_PAIRS = 1 << 22  # of items in lists at once: 32 MiB of float64

PerUser = dict[str, NDArray[np.float64]]


def check_categories(events: Interactions, protocol: RankingProtocol) -> None:
    """Refuse a metric of categories for data without any.

    Raises:
        DataError: One is asked for and the items have no categories.
    """
    asked = [name for name in protocol.metrics if name in NAMES]
    if asked and events.item_categories is None:
        raise DataError(
            f"{asked[0]} needs the categories of the items, and this data has none",
            "leave it out of evaluation.metrics, or use a MovieLens release with its file of films",
        )


def of_categories(ranking: Ranking, holdout: Holdout, protocol: RankingProtocol) -> PerUser:
    """Values of the asked metrics for each user, by key.

    Raises:
        DataError: As `check_categories`.
    """
    check_categories(holdout.history, protocol)
    names = [name for name in NAMES if name in protocol.metrics]
    categories = holdout.history.item_categories
    if not names or categories is None:
        return {}
    values = {f"{n}_at_{k}": np.empty(len(ranking.users)) for n in names for k in protocol.cutoffs}
    size = max(1, MAX_PAIRS // protocol.longest**2)
    for start in range(0, len(ranking.users), size):
        rows = slice(start, start + size)
        listed = _listed(ranking.items[rows], categories)
        if "diversity" in names:
            for k in protocol.cutoffs:
                values[f"diversity_at_{k}"][rows] = diversity(listed[:, :k]).numpy()
        if "calibration" in names:
            taste = _taste(ranking.users[rows], holdout.history, categories)
            for k in protocol.cutoffs:
                values[f"calibration_at_{k}"][rows] = calibration(listed[:, :k], taste).numpy()
    return values


def _listed(items: NDArray[np.int32], categories: Categories) -> Tensor:
    """(users, k, categories): of which categories each listed item is; of none where there is no item."""
    return torch.from_numpy(categories.of_items[items] & (items != NO_ITEM)[:, :, None])


def _taste(users: NDArray[np.int64], history: Interactions, categories: Categories) -> Tensor:
    """(users, categories): how many of each user's events are of each category; one of several counts in parts."""
    shares = categories.of_items / np.maximum(categories.of_items.sum(1, keepdims=True), 1)
    taste = np.zeros((len(users), len(categories.names)))
    for row, user in enumerate(users):
        own = slice(int(history.offsets[user]), int(history.offsets[user + 1]))
        taste[row] = shares[history.items[own]].sum(0)
    return torch.from_numpy(taste)

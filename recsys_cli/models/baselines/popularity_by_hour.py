"""Popularity by hour: what many people met at this time of day. Time without anybody's taste or history."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Le
from jaxtyping import Float
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError

HOURS = 24


class PopularityByHour(nn.Module):
    """An item deserves to be next as often as it was met at the same hour of the day (UTC) in training.

    Args:
        n_items: Size of the catalogue.
        smoothing: For how many events of an hour the popularity at all hours counts.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"now"})
    history_length: int | None = None
    shares: Float[Tensor, "hours items"]

    def __init__(self, *, n_items: int, smoothing: Annotated[float, Gt(0), Le(1e9)]) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("shares", torch.zeros(HOURS, n_items))

    def fit(self, interactions: Interactions) -> None:
        """Count the events of each item at each hour.

        Raises:
            ModelError: The data has no times.
        """
        if interactions.times is None:
            raise ModelError(
                "model=popularity_by_hour needs the times of events and this data has none",
                "use model=popularity",
            )
        hours = torch.from_numpy(interactions.times // 3_600 % HOURS)
        n_items = interactions.n_items
        at = hours * n_items + torch.from_numpy(interactions.items).long()
        counts = torch.bincount(at, minlength=HOURS * n_items).view(HOURS, n_items).double()
        everywhere = counts.sum(0) / counts.sum()
        smoothed = counts + self.smoothing * everywhere
        self.shares.copy_(smoothed / (counts.sum(1, keepdim=True) + self.smoothing))

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Each item's share of the events at the hour of the request."""
        assert queries.now is not None
        return self.shares[queries.now // 3_600 % HOURS]

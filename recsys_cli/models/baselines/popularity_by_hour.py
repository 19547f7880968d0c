"""Popularity by hour: what many people met at this time of day. Time without anybody's taste or history."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, Le
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recsys_cli.data.context import READS, ContextFacts, is_asked
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ConfigError, ModelError, nearest
from recsys_cli.models.layers import CLOCK_CODES, time_codes

OF_CLOCK = ("hour", "weekday", "hour_of_week")


class PopularityByHour(nn.Module):
    """An item deserves to be next as often as it was met at the same hour of the day (UTC) in training.

    Args:
        n_items: Size of the catalogue.
        context_facts: What the data tells of its context.
        by: What two moments must share: their `hour`, their `weekday`, both (`hour_of_week`), or a column of the data, such as a time of day.
        smoothing: For how many events of an hour the popularity at all hours counts.

    Raises:
        ConfigError: The data has no such column, or it is not known before the event.
    """

    history_length: int | None = None
    shares: Float[Tensor, "hours items"]

    def __init__(
        self,
        *,
        n_items: int,
        context_facts: ContextFacts,
        by: str,
        smoothing: Annotated[float, Gt(0), Le(1e9)],
    ) -> None:
        super().__init__()
        known = [*OF_CLOCK, *filter(is_asked, context_facts.sizes)]
        if by not in known:
            raise ConfigError(
                f"model.by={by!r} is no moment and no column of this data", nearest(by, known)
            )
        self.column = by in context_facts.sizes
        self.reads = frozenset({f"{READS}{by}" if self.column else "now"})
        self.by, self.smoothing = by, smoothing
        n_codes = context_facts.sizes[by] if self.column else CLOCK_CODES[by]
        self.register_buffer("shares", torch.zeros(n_codes, n_items))

    def fit(self, interactions: Interactions) -> None:
        """Count the events of each item at each hour.

        Raises:
            ModelError: The data has no times.
        """
        if self.column:
            codes = torch.from_numpy(interactions.context[self.by].astype(np.int64))
        elif interactions.times is None:
            raise ModelError(
                "model=popularity_by_hour needs the times of events and this data has none",
                "use model=popularity, or name a column of context in model.by",
            )
        else:
            codes = self._codes(torch.from_numpy(interactions.times.astype(np.int64)))
        n_codes, n_items = self.shares.shape
        at = codes * n_items + torch.from_numpy(interactions.items.astype(np.int64))
        counts = torch.bincount(at, minlength=n_codes * n_items).view(n_codes, n_items).double()
        everywhere = counts.sum(0) / counts.sum()
        smoothed = counts + self.smoothing * everywhere
        self.shares.copy_(smoothed / (counts.sum(1, keepdim=True) + self.smoothing))

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Each item's share of the events at the hour of the request."""
        if self.column:
            return self.shares[queries.asked[self.by]]
        assert queries.now is not None
        return self.shares[self._codes(queries.now)]

    def _codes(self, times: Int64[Tensor, " moments"]) -> Int64[Tensor, " moments"]:
        return time_codes(self.by, times, times)

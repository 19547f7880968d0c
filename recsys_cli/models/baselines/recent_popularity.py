"""Recent popularity: what many people met in the last days. Hard to beat where the future is near."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Le
from jaxtyping import Float
from torch import Tensor, nn

from recsys_cli.data.context import ContextFacts
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.data.split import DAY_SECONDS
from recsys_cli.errors import ModelError


class RecentPopularity(nn.Module):
    """An item deserves to be next as often as it was met in the last days of training.

    Args:
        n_items: Size of the catalogue.
        context_facts: What the data tells of its context.
        window_days: How many days before the last training event count.

    Raises:
        ModelError: The data has no times.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None
    counts: Float[Tensor, " items"]

    def __init__(
        self,
        *,
        n_items: int,
        context_facts: ContextFacts,
        window_days: Annotated[float, Gt(0), Le(100_000)],
    ) -> None:
        super().__init__()
        if context_facts.span is None:
            raise ModelError(
                "model=recent_popularity needs the times of events and this data has none",
                "use model=popularity",
            )
        self.window_days = window_days
        self.register_buffer("counts", torch.zeros(n_items))

    def fit(self, interactions: Interactions) -> None:
        """Count the events of each item after (last event - window)."""
        assert interactions.times is not None
        start = interactions.times.max() - self.window_days * DAY_SECONDS
        recent = interactions.take(interactions.times > start)
        self.counts.copy_(torch.from_numpy(recent.item_counts))

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The counts, once for each query."""
        return self.counts.repeat(len(queries), 1)

"""Popularity: the same list for everybody, by the number of training events. The floor of every comparison."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries


class Popularity(nn.Module):
    """An item deserves to be next as often as it was met in training.

    Args:
        n_items: Size of the catalogue.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None
    counts: Float[Tensor, " items"]

    def __init__(self, *, n_items: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(n_items))

    def fit(self, interactions: Interactions) -> None:
        """Count the events of each item."""
        self.counts.copy_(torch.from_numpy(interactions.item_counts))

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The counts, once for each query."""
        return self.counts.repeat(len(queries), 1)

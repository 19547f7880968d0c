"""What the last event alone tells: each item keeps the items that it speaks for, with how often it was seen to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.models.baselines.history import BLOCK_ITEMS
from recsys_cli.models.baselines.neighbours import strongest


class Followers(nn.Module):
    """Chances of items given one item, drawn towards popularity where little was seen.

    With c_ij how often i speaks for j, n_i of how many times, and p_j the share of item j in all events, the chance of
    j is (c_ij + smoothing p_j) / (n_i + smoothing): what was seen, and `smoothing` events more that are as all others.

    Args:
        n_items: Size of the catalogue.
        followers: Items kept for each item, those seen most; the whole catalogue where it is smaller.
        smoothing: Events that popularity counts for.
    """

    items: Int64[Tensor, "items followers"]
    counts: Float[Tensor, "items followers"]
    totals: Float[Tensor, " items"]
    popularity: Float[Tensor, " items"]

    def __init__(self, *, n_items: int, followers: int, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing
        shape = n_items, min(followers, n_items)
        self.register_buffer("items", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("counts", torch.zeros(shape))
        self.register_buffer("totals", torch.zeros(n_items))
        self.register_buffer("popularity", torch.zeros(n_items))

    def keep(
        self, seen: Callable[[slice], sparse.sparray], totals: NDArray[Any], train: Interactions
    ) -> None:
        """Set all from what was seen.

        Args:
            seen: Gives c_ij of some items i, a row each.
            totals: n_i.
            train: Tells the popularity.
        """
        for start in range(0, len(self.items), BLOCK_ITEMS):
            rows = slice(start, start + BLOCK_ITEMS)
            counts, items = strongest(seen(rows).toarray(), self.items.shape[1])
            self.items[rows] = torch.from_numpy(items).to(self.items.device)
            self.counts[rows] = torch.from_numpy(counts).to(self.counts)
        self.totals.copy_(torch.from_numpy(totals))
        events = torch.from_numpy(train.item_counts).double()
        self.popularity.copy_(events / events.sum())

    def forward(self, items: Int64[Tensor, " batch"]) -> Float[Tensor, "batch items"]:
        """The chances after each item; after -1, popularity."""
        told, at = items >= 0, items.clamp(min=0)
        scores = (self.smoothing * self.popularity).repeat(len(items), 1)
        scores.scatter_add_(1, self.items[at], self.counts[at] * told[:, None])
        chances: Tensor = scores / (self.totals[at] * told + self.smoothing)[:, None]
        return chances

    def working_bytes(self) -> int:
        """A block of items by items in 64 bits, with its tie break and the copy that is searched."""
        return 3 * 8 * min(BLOCK_ITEMS, len(self.items)) * len(self.items)

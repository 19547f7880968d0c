"""The sparse half of all item-item models: each item keeps the few items that speak for it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

TIE_BREAK = 1e-13


class ItemNeighbours(nn.Module):
    """For each item, its strongest neighbours; a history's score for an item is the sum of their weights.

    Args:
        n_items: Size of the catalogue.
        neighbours: Neighbours kept for each item; the whole catalogue where it is smaller.

    Attributes:
        kept: Neighbours kept for each item.
    """

    items: Int64[Tensor, "items neighbours"]
    weights: Float[Tensor, "items neighbours"]

    def __init__(self, *, n_items: int, neighbours: int) -> None:
        super().__init__()
        self.kept = min(neighbours, n_items)
        self.register_buffer("items", torch.zeros(n_items, self.kept, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(n_items, self.kept))

    def keep_strongest(self, start: int, similarity: NDArray[np.floating]) -> None:
        """Set the neighbours of the items from `start` on.

        Args:
            start: Code of the item of the first row.
            similarity: Non-negative, one row a target item, one column a neighbour; 0 = no neighbour.
        """
        weights, items = strongest(similarity, self.kept)
        rows = slice(start, start + len(items))
        self.items[rows] = torch.from_numpy(items).to(self.items.device)
        self.weights[rows] = torch.from_numpy(weights).to(self.weights)

    def forward(self, history: Float[Tensor, "batch items"]) -> Float[Tensor, "batch items"]:
        """The sum of the weights of each item's neighbours that are in the history."""
        by_item = history.T.contiguous()  # (items, batch)
        summed = functional.embedding_bag(
            self.items, by_item, per_sample_weights=self.weights, mode="sum"
        )
        return summed.T


def strongest(
    similarity: NDArray[np.floating], k: int
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """The k largest values of each row and their columns; equal ones by column, on any number of threads."""
    tilt = 1.0 - TIE_BREAK * np.arange(similarity.shape[1])
    columns = torch.topk(torch.from_numpy(similarity * tilt), k, dim=1).indices.numpy()
    return np.take_along_axis(similarity, columns, axis=1), columns

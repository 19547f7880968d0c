"""Negatives: items that a user has no event with, drawn exactly and without rejection."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from recsys_cli.data.distinct import distinct
from recsys_cli.data.interactions import Interactions


class UnseenItems:
    """Draws uniformly from the items that a user has no event with.

    With a user's seen items s_0 < s_1 < ..., the r-th unseen item is r plus the number of j with s_j - j <= r;
    one binary search over all users' shifted items finds that number, so no draw is ever thrown away.

    Attributes:
        n_unseen: How many items there are to draw from, for each user code.
    """

    def __init__(self, interactions: Interactions, device: torch.device) -> None:
        self.n_items = interactions.n_items
        keys = distinct(interactions.users.astype(np.int64) * self.n_items + interactions.items)
        users, items = keys // self.n_items, keys % self.n_items
        sizes = np.bincount(users, minlength=interactions.n_users)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        rank = np.arange(len(keys)) - starts[users]
        self._shifted = torch.from_numpy(users * self.n_items + items - rank).to(device)
        self._starts = torch.from_numpy(starts).to(device)
        self.n_unseen = torch.from_numpy(self.n_items - sizes).to(device)

    def draw(
        self, users: Int64[Tensor, " batch"], count: int, generator: torch.Generator
    ) -> Int64[Tensor, "batch count"]:
        """So many unseen items for each user, with replacement.

        Args:
            users: Codes of users with at least one unseen item.
            count: Items a user.
            generator: A CPU generator, so that every device draws the same.
        """
        choices = self.n_unseen[users, None]
        uniform = torch.rand(len(users), count, generator=generator).to(users.device)
        # a float32 product may round up
        return self._unseen(users, (uniform * choices).long().minimum(choices - 1))

    def _unseen(
        self, users: Int64[Tensor, " batch"], ranks: Int64[Tensor, "batch count"]
    ) -> Int64[Tensor, "batch count"]:
        """Each user's unseen items with these places among the unseen."""
        keys = users[:, None] * self.n_items + ranks
        return (
            ranks + torch.searchsorted(self._shifted, keys, right=True) - self._starts[users, None]
        )

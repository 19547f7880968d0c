"""Unseen items by a binary search among the user's own seen items: the twin of `UnseenItems.draw`."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from recsys_cli.data.sampling import UnseenItems
from recsys_cli.models.kernels.compiling import kernel


class CompiledUnseenItems(UnseenItems):
    """Draws what `UnseenItems` draws, several times faster where the users of a batch stand in order."""

    @staticmethod
    def compile() -> None:
        """Have the kernel ready."""
        codes = np.zeros(1, np.int64)
        uniform = np.zeros((0, 1), np.float32)
        _nth_unseen(codes[:0], uniform, codes, codes, codes, codes[None, :0], 1)

    def draw(
        self, users: Int64[Tensor, " batch"], count: int, generator: torch.Generator
    ) -> Int64[Tensor, "batch count"]:
        """So many unseen items for each user, with replacement."""
        found = torch.empty((len(users), count), dtype=torch.long)
        _nth_unseen(
            users.numpy(),
            torch.rand(len(users), count, generator=generator).numpy(),
            self.n_unseen.numpy(),
            self._starts.numpy(),
            self._shifted.numpy(),
            found.numpy(),
            self.n_items,
        )
        return found


@kernel
def _nth_unseen(
    users: NDArray[np.int64],
    uniform: NDArray[np.float32],
    n_unseen: NDArray[np.int64],
    starts: NDArray[np.int64],
    shifted: NDArray[np.int64],
    found: NDArray[np.int64],
    n_items: int,
) -> None:
    """All that one user is to get is searched for in lock-step, so that the steps of many searches overlap.

    Args:
        users: Codes; the same one often in a row.
        uniform: How far along the user's unseen items each is to be, in [0, 1), (events, items).
        n_unseen: How many each user has.
        starts: Where each user's seen items begin in `shifted`, and where the last one's end.
        shifted: Seen items less their place among the user's, plus the user's code times `n_items`; ascending.
        found: Is filled in.
        n_items: Size of the catalogue.
    """
    flat, out = uniform.reshape(-1), found.reshape(-1)
    count = uniform.shape[1]
    ranks = np.empty(0, np.int64)
    first = 0
    while first < users.shape[0]:
        user = users[first]
        last = first + 1
        while last < users.shape[0] and users[last] == user:
            last += 1
        low, high = first * count, last * count
        start, size, base = starts[user], starts[user + 1] - starts[user], user * n_items
        choices = n_unseen[user]
        if high - low > ranks.shape[0]:
            ranks = np.empty(2 * (high - low), np.int64)
        for k in range(low, high):
            # a float32 product may round up
            ranks[k - low] = min(np.int64(flat[k] * np.float32(choices)), choices - 1)
            out[k] = start
        while size > 0:
            half = (size + 1) // 2
            for k in range(low, high):
                # never past the end: half is at most what is left
                out[k] += half * (shifted[out[k] + half - 1] <= base + ranks[k - low])
            size -= half
        for k in range(low, high):
            out[k] += ranks[k - low] - start
        first = last

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
        _nth_unseen(codes[:0], codes[None, :0], codes, codes, codes[None, :0], 1)

    def _unseen(
        self, users: Int64[Tensor, " batch"], ranks: Int64[Tensor, "batch count"]
    ) -> Int64[Tensor, "batch count"]:
        found = torch.empty_like(ranks)
        _nth_unseen(
            users.numpy(),
            ranks.numpy(),
            self._starts.numpy(),
            self._shifted.numpy(),
            found.numpy(),
            self.n_items,
        )
        return found


@kernel
def _nth_unseen(
    users: NDArray[np.int64],
    ranks: NDArray[np.int64],
    starts: NDArray[np.int64],
    shifted: NDArray[np.int64],
    found: NDArray[np.int64],
    n_items: int,
) -> None:
    """All that one user is to get is searched for in lock-step, so that the steps of many searches overlap.

    Args:
        users: Codes; the same one often in a row.
        ranks: Which of the user's unseen items, (events, items).
        starts: Where each user's seen items begin in `shifted`, and where the last one's end.
        shifted: Seen items less their place among the user's, plus the user's code times `n_items`; ascending.
        found: Is filled in.
        n_items: Size of the catalogue.
    """
    flat, out = ranks.reshape(-1), found.reshape(-1)
    count = ranks.shape[1]
    first = 0
    while first < users.shape[0]:
        user = users[first]
        last = first + 1
        while last < users.shape[0] and users[last] == user:
            last += 1
        low, high = first * count, last * count
        start, size, base = starts[user], starts[user + 1] - starts[user], user * n_items
        for k in range(low, high):
            out[k] = start
        while size > 0:
            half = (size + 1) // 2
            for k in range(low, high):
                # never past the end: half is at most what is left
                out[k] += half * (shifted[out[k] + half - 1] <= base + flat[k])
            size -= half
        for k in range(low, high):
            out[k] += flat[k] - start
        first = last

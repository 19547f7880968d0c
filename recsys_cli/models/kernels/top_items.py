"""The best items of each row in one pass: the twin of what `evaluation.top_k` does with torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys_cli.models.kernels.compiling import kernel


def compile_scan() -> None:
    """Have the kernel ready."""
    best_items(torch.zeros(0, 1), 1)


def best_items(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The values and codes of so many items of each row, by score descending, then code ascending.

    Args:
        scores: (rows, items), float32, on the CPU, contiguous, no NaN.
        count: At most as many as there are items; where fewer are above minus infinity, the rest is minus infinity
            and -1.
    """
    values = torch.full((len(scores), count), -torch.inf)
    items = torch.full((len(scores), count), -1)
    _scan(scores.numpy(), values.numpy(), items.numpy())
    return values, items


@kernel
def _scan(
    scores: NDArray[np.float32], values: NDArray[np.float32], items: NDArray[np.int64]
) -> None:
    """Put each score that beats the last of the list into its place; an equal one has a higher code and stays out."""
    last = values.shape[1] - 1
    for row in range(scores.shape[0]):
        least = values[row, last]
        for item in range(scores.shape[1]):
            score = scores[row, item]
            if score > least:
                place = last
                while place > 0 and values[row, place - 1] < score:
                    values[row, place] = values[row, place - 1]
                    items[row, place] = items[row, place - 1]
                    place -= 1
                values[row, place] = score
                items[row, place] = item
                least = values[row, last]

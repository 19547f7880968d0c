"""Histories as rows of a 0/1 matrix: who met what, however often."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recsys_cli.data.interactions import Interactions

BLOCK_ITEMS = 1024


def incidence(interactions: Interactions) -> sparse.csr_array:
    """The training histories, users x items, float64: 1 where a user met an item at least once."""
    matrix = sparse.csr_array(
        (np.ones(len(interactions)), (interactions.users, interactions.items)),
        shape=(interactions.n_users, interactions.n_items),
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def n_meetings(interactions: Interactions) -> float:
    """How often two items meet in a user's history: what a sparse product of items by items adds up."""
    return float(np.square(np.diff(interactions.offsets), dtype=np.float64).sum())


def gram(matrix: sparse.csr_array) -> NDArray[np.float64]:
    """How many users each two items share, items x items; the diagonal is each item's users.

    It is filled block by block, since the sparse product of a large catalogue is larger than the dense one.
    """
    by_item = matrix.T.tocsr()
    out = np.empty((matrix.shape[1], matrix.shape[1]))
    for start in range(0, len(out), BLOCK_ITEMS):
        block = slice(start, start + BLOCK_ITEMS)
        out[block] = (by_item[block] @ matrix).toarray()
    return out


def multi_hot(items: Int64[Tensor, "batch length"], n_items: int) -> Float[Tensor, "batch items"]:
    """The histories of queries as 0/1 rows: -1 is padding, and a repeated item counts once."""
    rows = torch.zeros(len(items), n_items + 1, device=items.device)
    rows.scatter_(1, torch.where(items < 0, n_items, items), 1.0)
    return rows[:, :n_items]


def float64_device(device: torch.device) -> torch.device:
    """The device itself where it can hold 64-bit floats, else the CPU: exact solves need them."""
    try:
        torch.zeros((), dtype=torch.float64, device=device)
    except TypeError:
        return torch.device("cpu")
    return device

"""SLIM: a sparse, non-negative linear item-item model (Ning and Karypis 2011).

With X the 0/1 histories of the n users with a training event, each column w of the weights is the elastic net of
one item x_j on all the others:

    1 / (2 n) ||x_j - X w||^2 + alpha l1_ratio ||w||_1 + alpha (1 - l1_ratio) / 2 ||w||^2,   w >= 0, w_j = 0.

All columns are solved at once by cyclic coordinate descent on X'X: a sweep sets each row of weights to its optimum
given the other rows. Each item keeps its `neighbours` largest weights.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.history import gram, incidence, multi_hot, n_meetings
from recsys_cli.models.baselines.neighbours import ItemNeighbours

BLOCK_ROWS = 32


class SLIM(nn.Module):
    """An item deserves to be next as a few other items of the history predict it together.

    Args:
        n_items: Size of the catalogue.
        alpha: Weight of both penalties.
        l1_ratio: Share of the penalty on the absolute weights, which makes them sparse; the rest is on their squares.
        neighbours: Largest weights kept for each item.
        max_sweeps: Sweeps after which the descent is given up.
        tolerance: The descent ends with a sweep that moves no weight by more than this.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: int | None = None

    def __init__(
        self,
        *,
        n_items: int,
        alpha: Annotated[float, Gt(0), Le(1000)],
        l1_ratio: Annotated[float, Ge(0), Le(1)],
        neighbours: Annotated[int, Ge(1), Le(1_000_000)],
        max_sweeps: Annotated[int, Ge(1), Le(100_000)],
        tolerance: Annotated[float, Gt(0), Le(1)],
    ) -> None:
        super().__init__()
        self.n_items = n_items
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.max_sweeps = max_sweeps
        self.tolerance = tolerance
        self.nearest = ItemNeighbours(n_items=n_items, neighbours=neighbours)

    def fit(self, interactions: Interactions) -> None:
        """Sweep over the weights of the items that still move, until none does.

        Raises:
            ModelError: Some still move after `max_sweeps`.
        """
        matrix = incidence(interactions)
        penalty = self.alpha * np.count_nonzero(np.diff(matrix.indptr))
        shared = torch.from_numpy(gram(matrix)).to(self.nearest.weights)
        weights = torch.zeros_like(shared)
        moving = torch.arange(self.n_items, device=shared.device)
        for _ in range(self.max_sweeps):
            columns = weights[:, moving]
            moves = _sweep(
                columns, moving, shared, penalty * self.l1_ratio, penalty * (1 - self.l1_ratio)
            )
            weights[:, moving] = columns
            moving = moving[moves > self.tolerance]
            if not len(moving):
                break
        else:
            raise ModelError(
                f"model=slim: the weights of {len(moving)} items still move after {self.max_sweeps} sweeps",
                "make model.max_sweeps, model.tolerance or model.alpha larger",
            )
        self.nearest.keep_strongest(0, weights.T.cpu().numpy())

    def work(self, train: Interactions) -> float:
        """A sweep's products, its steps within blocks, and the calls for each row; sweeps are taken to be as many."""
        n = float(train.n_items)
        return n**3 + 500 * n**2 + 1.6e6 * n + 50 * n_meetings(train)

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """Items by items: what items share, the weights and those that move, and 64 bits to find the strongest."""
        return (3 * 4 + 8) * self.n_items**2

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The summed weights of the history for each item."""
        assert queries.items is not None
        scores: Tensor = self.nearest(multi_hot(queries.items, self.n_items))
        return scores


def _sweep(
    weights: Float[Tensor, "items moving"],
    moving: Int64[Tensor, " moving"],
    shared: Float[Tensor, "items items"],
    l1: float,
    l2: float,
) -> Float[Tensor, " moving"]:
    """Set each row of the weights of some items to its optimum in turn; returns each item's largest move.

    The residuals of a block of rows come from one matrix product and are then kept up to date within the block.
    """
    moves = weights.new_zeros(len(moving))
    for start in range(0, len(shared), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        within = shared[rows, rows]
        before = weights[rows].clone()
        residual = torch.addmm(shared[rows][:, moving], shared[rows], weights, alpha=-1)
        for row, users in enumerate(within.diagonal().tolist()):
            current = weights[start + row]
            best = (residual[row] + users * current - l1).div_(users + l2).clamp_(min=0)
            best.masked_fill_(moving == start + row, 0.0)
            residual.addr_(within[:, row], best - current, alpha=-1)
            current.copy_(best)
        moves = torch.maximum(moves, (weights[rows] - before).abs().amax(dim=0))
    return moves

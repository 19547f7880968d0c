"""RP3beta: a walk of three steps on the graph of users and items (Paudel et al. 2017).

From an item i of the history to a user who met it, and on to another of that user's items j. With U_i the users of
item i and I_u the items of user u, steps to the power alpha, and popular ends held back by beta:

    w_ij = sum over u in both U_i and U_j of |U_i|^-alpha |I_u|^-alpha / |U_j|^beta,    w_ii = 0.

Each item i keeps its `neighbours` strongest ends j; with `normalise` these are divided by their sum; then each end
keeps its `neighbours` strongest starts. A history's score for j is the sum of w_ij over its items.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Float
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.baselines.history import BLOCK_ITEMS, incidence, multi_hot, n_meetings
from recsys_cli.models.baselines.neighbours import ItemNeighbours, strongest


class RP3Beta(nn.Module):
    """An item deserves to be next as a short random walk from the history arrives at it, less for the popular.

    Args:
        n_items: Size of the catalogue.
        alpha: Power of the chances of the steps; 1 = a plain random walk.
        beta: Power of the popularity that an end is divided by; 0 = not at all.
        neighbours: Strongest ends kept for each start, then starts for each end.
        normalise: Whether the ends kept for a start are divided by their sum.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: int | None = None

    def __init__(
        self,
        *,
        n_items: int,
        alpha: Annotated[float, Ge(0), Le(10)],
        beta: Annotated[float, Ge(0), Le(10)],
        neighbours: Annotated[int, Ge(1), Le(1_000_000)],
        normalise: bool,
    ) -> None:
        super().__init__()
        self.n_items = n_items
        self.alpha = alpha
        self.beta = beta
        self.normalise = normalise
        self.nearest = ItemNeighbours(n_items=n_items, neighbours=neighbours)

    def fit(self, interactions: Interactions) -> None:
        """Walk from all items, a block of them at a time."""
        ends_by_start = sparse.vstack(self._walks(incidence(interactions)), format="csr")
        starts_by_end = ends_by_start.T.tocsr()
        for start in range(0, self.n_items, BLOCK_ITEMS):
            self.nearest.keep_strongest(start, starts_by_end[start : start + BLOCK_ITEMS].toarray())

    def work(self, train: Interactions) -> float:
        """The meetings of items, and some passes over all pairs of items."""
        return n_meetings(train) + 20 * float(train.n_items) ** 2

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """A block of items by items in 64 bits, some times over, and what is kept of all walks, twice."""
        return (
            4 * 8 * min(BLOCK_ITEMS, self.n_items) * self.n_items
            + 2 * 16 * self.nearest.items.numel()
        )

    def _walks(self, matrix: sparse.csr_array) -> list[sparse.csr_array]:
        """Starts x ends in blocks of starts, each start with its strongest ends."""
        met, users = _inverse_power(matrix.sum(axis=1), self.alpha), matrix.sum(axis=0)
        to_users = sparse.diags_array(_inverse_power(users, self.alpha)) @ matrix.T
        to_items = (
            sparse.diags_array(met) @ matrix @ sparse.diags_array(_inverse_power(users, self.beta))
        )
        blocks = []
        for start in range(0, self.n_items, BLOCK_ITEMS):
            walk = (to_users.tocsr()[start : start + BLOCK_ITEMS] @ to_items).toarray()
            walk[np.arange(len(walk)), start + np.arange(len(walk))] = 0.0
            weights, items = strongest(walk, self.nearest.kept)
            if self.normalise:
                total = weights.sum(axis=1, keepdims=True)
                weights = np.divide(weights, total, out=weights, where=total > 0)
            rows = np.repeat(np.arange(len(walk)), items.shape[1])
            blocks.append(
                sparse.csr_array((weights.ravel(), (rows, items.ravel())), shape=walk.shape)
            )
        return blocks

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The summed weights of the walks from the history to each item."""
        assert queries.items is not None
        scores: Tensor = self.nearest(multi_hot(queries.items, self.n_items))
        return scores


def _inverse_power(counts: np.ndarray, power: float) -> np.ndarray:
    """counts^-power, and 0 where there is nothing to count."""
    return np.where(counts > 0, np.maximum(counts, 1.0) ** -power, 0.0)

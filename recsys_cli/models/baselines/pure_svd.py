"""PureSVD: the histories seen through their strongest directions (Cremonesi, Koren and Turrin 2010).

With X the 0/1 histories and V its first right singular vectors (items x factors), a history x scores x V V'. For a
user of the training data that is the row of the best low-rank approximation of X.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from scipy.sparse.linalg import svds
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.history import incidence, multi_hot


class PureSVD(nn.Module):
    """An item deserves to be next as far as it lies in the few directions that explain all histories best.

    Args:
        n_items: Size of the catalogue.
        factors: Directions kept; fewer than there are users and items.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: int | None = None
    directions: Float[Tensor, "items factors"]

    def __init__(self, *, n_items: int, factors: Annotated[int, Ge(1), Le(10_000)]) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(n_items, factors))

    def fit(self, interactions: Interactions) -> None:
        """Find the directions by Lanczos iterations from a fixed start: the directions are the same from any.

        Raises:
            ModelError: There are not more users and items than factors.
        """
        matrix = incidence(interactions)
        factors = self.directions.shape[1]
        if factors >= min(matrix.shape):
            users, items = matrix.shape
            raise ModelError(
                f"model.factors={factors} must be smaller than the {users} users and the {items} items",
                "make it smaller",
            )
        fixed = np.random.default_rng(0)
        start = fixed.standard_normal(min(matrix.shape))
        _, _, directions = svds(matrix, k=factors, v0=start, rng=fixed)
        # A direction's sign is arbitrary: its largest entry is made positive, so that equal fits are equal bytes.
        largest = np.abs(directions).argmax(axis=1)[:, None]
        directions = directions * np.sign(np.take_along_axis(directions, largest, axis=1))
        self.directions.copy_(torch.from_numpy(directions[::-1].T.copy()))

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """The basis of the iterations and the directions found, on both sides, in 64 bits."""
        return 8 * (2 * self.directions.shape[1] + 1) * (train.n_users + train.n_items)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The history's 0/1 row, projected on the directions and back."""
        assert queries.items is not None
        return multi_hot(queries.items, len(self.directions)) @ self.directions @ self.directions.T

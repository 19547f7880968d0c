"""EASE: a linear item-item model in closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

With X the 0/1 histories (users x items), it is the B that minimises ||X - X B||^2 + l2 ||B||^2 under diag(B) = 0.
Each column of B is the ridge regression of one item on all the others. With P = (X'X + l2 I)^-1 the solution is
B_ij = -P_ij / P_jj off the diagonal.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.history import (
    float64_device,
    gram,
    incidence,
    multi_hot,
    n_meetings,
)


class EASE(nn.Module):
    """An item deserves to be next as a ridge regression on the rest of the history predicts it.

    Args:
        n_items: Size of the catalogue.
        l2: Weight of the squared weights; the more, the more cautious.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: int | None = None
    weights: Float[Tensor, "items items"]

    def __init__(self, *, n_items: int, l2: Annotated[float, Ge(1e-6), Le(1_000_000_000)]) -> None:
        super().__init__()
        self.l2 = l2
        self.register_buffer("weights", torch.zeros(n_items, n_items))

    def fit(self, interactions: Interactions) -> None:
        """Solve for all weights by one Cholesky factorisation in 64 bits.

        Raises:
            ModelError: `l2` is too small for the factorisation.
        """
        shared = torch.from_numpy(gram(incidence(interactions)))
        shared = shared.to(float64_device(self.weights.device))
        shared.diagonal().add_(self.l2)
        factor, failed = torch.linalg.cholesky_ex(shared)
        if failed:
            raise ModelError(
                f"model.l2={self.l2:g} leaves the items' matrix singular", "make model.l2 larger"
            )
        del shared
        inverse = torch.cholesky_inverse(factor)
        del factor
        inverse /= -inverse.diagonal().clone()
        self.weights.copy_(inverse.fill_diagonal_(0.0))

    def work(self, train: Interactions) -> float:
        """The cube of the items; two items that meet cost as much as some dozen of its multiplications."""
        return float(train.n_items) ** 3 + 50 * n_meetings(train)

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """Three matrices of items by items in 64 bits: what is factorised or inverted, the result, and LAPACK's copy."""
        return 3 * 8 * self.weights.numel()

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The history's 0/1 row times the weights."""
        assert queries.items is not None
        return multi_hot(queries.items, len(self.weights)) @ self.weights

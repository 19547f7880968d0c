"""NMF of ratings: r(u, i) = p_u . q_i with nothing below zero, so that tastes only add up.

Each epoch multiplies every factor by what the ratings ask for, over what the model says and the penalty adds, all
from the vectors before the epoch; n is the number of the user's or item's ratings:

    p_uf *= sum of q_if r / (sum of q_if r(u, i) + l2 n_u p_uf),   q_if *= sum of p_uf r / (sum of p_uf r(u, i) + l2 n_i q_if)

Luo, Zhou, Xia and Zhu, "An efficient non-negative matrix-factorization-based approach to collaborative filtering
for recommender systems" (IEEE Transactions on Industrial Informatics 2014).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError

Array = NDArray[np.float64]


class NMF(nn.Module):
    """An item deserves to be next as far as it has of what the user likes.

    An unknown user, or an item without a rating, is given the mean rating.

    Args:
        n_users: Users of the data set.
        n_items: Items of the catalogue.
        factors: Length of the vectors.
        epochs: Updates of all vectors.
        l2: Weight of the squared length of the vectors of a rating.
        init_high: The first entries of the vectors are drawn between 0 and this.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None
    mean: Float[Tensor, " 1"]
    users: Float[Tensor, "users_and_unknown factors"]
    items: Float[Tensor, "items factors"]

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        factors: Annotated[int, Ge(1), Le(4096)],
        epochs: Annotated[int, Ge(1), Le(10_000)],
        l2: Annotated[float, Ge(0), Le(10)],
        init_high: Annotated[float, Gt(0), Le(10)],
    ) -> None:
        super().__init__()
        self.epochs, self.l2 = epochs, l2
        self.register_buffer("mean", torch.zeros(1))
        # One more than there are users: code -1, an unknown user, finds the last row, which stays 0.
        shapes = {"users": (n_users + 1, factors), "items": (n_items, factors)}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.empty(shape).uniform_(0.0, init_high))

    def fit(self, interactions: Interactions) -> None:
        """Update all vectors, epoch by epoch.

        Raises:
            ModelError: A rating is below zero.
        """
        if interactions.values.min() < 0:
            raise ModelError(
                f"model=nmf takes ratings of 0 and more, and the data has {interactions.values.min():g}",
                "choose another model",
            )
        self.mean.fill_(float(interactions.values.mean(dtype=np.float64)))
        ratings = _matrix(interactions.values.astype(np.float64), interactions)
        p, q = self.users[:-1].cpu().double().numpy(), self.items.cpu().double().numpy()
        p[np.diff(interactions.offsets) == 0] = 0.0
        q[interactions.item_counts == 0] = 0.0
        n_of_user = np.diff(interactions.offsets)[:, None]
        n_of_item = interactions.item_counts[:, None]
        for _ in range(self.epochs):
            said = _said(p, q, interactions)
            p, q = (
                p * _ratio(ratings @ q, said @ q + self.l2 * n_of_user * p),
                q * _ratio(ratings.T @ p, said.T @ p + self.l2 * n_of_item * q),
            )
        self.users[:-1] = torch.from_numpy(p).to(self.users)
        self.users[-1] = 0.0
        self.items.copy_(torch.from_numpy(q))

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """The vectors in 64 bits some times over, and those of both sides of every rating."""
        return 8 * self.items.shape[1] * (6 * (train.n_users + train.n_items) + 2 * len(train))

    def predict(
        self, users: Int64[Tensor, " pairs"], items: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The rating that each user would give the item beside them; -1 is an unknown user."""
        said = (self.users[users] * self.items[items]).sum(dim=1)
        return torch.where(said > 0, said, self.mean)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The predicted rating of every item."""
        assert queries.users is not None
        said = self.users[queries.users] @ self.items.T
        return torch.where(said > 0, said, self.mean)


def _said(p: Array, q: Array, interactions: Interactions) -> sparse.csr_array:
    """What the vectors say of each rating that there is."""
    said = np.einsum("rf,rf->r", p[interactions.users], q[interactions.items])
    return _matrix(said, interactions)


def _matrix(values: Array, interactions: Interactions) -> sparse.csr_array:
    """A value for each rating, as users x items."""
    shape = (interactions.n_users, interactions.n_items)
    return sparse.csr_array((values, (interactions.users, interactions.items)), shape=shape)


def _ratio(above: Array, below: Array) -> Array:
    """The quotient; 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)

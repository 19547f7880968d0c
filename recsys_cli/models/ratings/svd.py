"""SVD of ratings, as Funk made it popular: r(u, i) = mu + b_u + b_i + p_u . q_i, by stochastic gradient descent.

For each rating in turn, with the error e = r - r(u, i),

    b_u += lr (e - l2 b_u),  b_i += lr (e - l2 b_i),  p_u += lr (e q_i - l2 p_u),  q_i += lr (e p_u - l2 q_i)

Steps of ratings that share neither user nor item do not touch each other's numbers, so they are taken together, and
the result is exactly that of taking them one by one. Few such rounds are enough: they are a colouring of the edges
of the graph of users and items. Each epoch takes the rounds in another order, because the first ones hold everybody
and the last ones only the most active: a model would lean to whom it heard last.

Funk, "Netflix update: try this at home" (2006); Koren, Bell and Volinsky, "Matrix factorization techniques for
recommender systems" (Computer 2009).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import DivergedError
from recsys_cli.seeds import numpy_generator


class SVD(nn.Module):
    """An item deserves to be next as far as its rating, by taste and biases, would be high.

    A user or item without a rating has neither bias nor vector.

    Args:
        n_users: Users of the data set.
        n_items: Items of the catalogue.
        factors: Length of the vectors.
        epochs: Passes over the ratings.
        lr: Step size.
        l2: Weight of the squared length of the vectors and biases of a rating.
        init_sd: Standard deviation of the vectors' first entries.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None
    mean: Float[Tensor, " 1"]
    users: Float[Tensor, "users_and_unknown factors"]
    items: Float[Tensor, "items factors"]
    user_bias: Float[Tensor, " users_and_unknown"]
    item_bias: Float[Tensor, " items"]

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        factors: Annotated[int, Ge(1), Le(4096)],
        epochs: Annotated[int, Ge(1), Le(10_000)],
        lr: Annotated[float, Gt(0), Le(1)],
        l2: Annotated[float, Ge(0), Le(10)],
        init_sd: Annotated[float, Ge(0), Le(10)],
    ) -> None:
        super().__init__()
        self.epochs, self.lr, self.l2 = epochs, lr, l2
        self.register_buffer("mean", torch.zeros(1))
        # One more than there are users: code -1, an unknown user, finds the last row, which stays 0.
        self.register_buffer("users", torch.empty(n_users + 1, factors).normal_(std=init_sd))
        self.register_buffer("items", torch.empty(n_items, factors).normal_(std=init_sd))
        self.register_buffer("user_bias", torch.zeros(n_users + 1))
        self.register_buffer("item_bias", torch.zeros(n_items))

    def fit(self, interactions: Interactions) -> None:
        """Take a step for every rating, epoch by epoch.

        Raises:
            DivergedError: The vectors are no longer finite numbers.
        """
        device = self.users.device
        self.mean.fill_(float(interactions.values.mean(dtype=np.float64)))
        self.users[:-1][torch.from_numpy(np.diff(interactions.offsets) == 0).to(device)] = 0.0
        self.users[-1] = 0.0
        self.items[torch.from_numpy(interactions.item_counts == 0).to(device)] = 0.0
        columns = (interactions.users.astype(np.int64), interactions.items.astype(np.int64))
        steps = [
            tuple(
                torch.from_numpy(column[together]).to(device)
                for column in (*columns, interactions.values)
            )
            for together in rounds(*columns)
        ]
        for epoch in range(1, self.epochs + 1):
            for position in numpy_generator(0, "svd", epoch).permutation(len(steps)):
                self._step(*steps[position])
            if not self.users.isfinite().all():
                raise DivergedError(
                    f"the vectors of model=svd are not finite after epoch {epoch} (model.lr={self.lr:g})",
                    "lower model.lr",
                )

    def _step(
        self,
        users: Int64[Tensor, " together"],
        items: Int64[Tensor, " together"],
        values: Float[Tensor, " together"],
    ) -> None:
        """A step for each of some ratings, all of different users and of different items."""
        p, q = self.users[users], self.items[items]
        user_bias, item_bias = self.user_bias[users], self.item_bias[items]
        error = values - self.mean - user_bias - item_bias - (p * q).sum(dim=1)
        keep = 1 - self.lr * self.l2
        step = self.lr * error
        self.user_bias[users] = keep * user_bias + step
        self.item_bias[items] = keep * item_bias + step
        self.users[users] = keep * p + step[:, None] * q
        self.items[items] = keep * q + step[:, None] * p

    def predict(
        self, users: Int64[Tensor, " pairs"], items: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The rating that each user would give the item beside them; -1 is an unknown user."""
        taste = (self.users[users] * self.items[items]).sum(dim=1)
        return self.mean + self.user_bias[users] + self.item_bias[items] + taste

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The predicted rating of every item."""
        assert queries.users is not None
        biases = self.mean + self.user_bias[queries.users][:, None] + self.item_bias
        return torch.addmm(biases, self.users[queries.users], self.items.T)


def rounds(users: NDArray[Any], items: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Positions of the ratings, in groups within which no user and no item occurs twice.

    Each rating joins the first group that has neither its user nor its item.
    """
    taken_by_user, taken_by_item = [0] * (int(users.max()) + 1), [0] * (int(items.max()) + 1)
    group = np.empty(len(users), dtype=np.int64)
    for position, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        taken = taken_by_user[user] | taken_by_item[item]  # bit g: group g has the user or the item
        free = ~taken & (taken + 1)  # its lowest zero bit
        group[position] = free.bit_length() - 1
        taken_by_user[user] |= free
        taken_by_item[item] |= free
    order = np.argsort(group, kind="stable")
    return np.split(order, np.cumsum(np.bincount(group))[:-1])

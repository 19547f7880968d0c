"""Rating baseline: r(u, i) = mu + b_u + b_i, some people give more, some items get more.

With n the number of a user's or item's ratings, the biases are found by alternating least squares, items first:

    b_i = sum over its ratings of (r - mu - b_u) / (l2_items + n),   b_u = sum of (r - mu - b_i) / (l2_users + n)

Koren, "Factor in the neighbors: scalable and accurate collaborative filtering" (TKDD 2010).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries


class Baseline(nn.Module):
    """An item deserves to be next as far as it is rated above others, by everybody alike.

    A user or item without a rating has no bias.

    Args:
        n_users: Users of the data set.
        n_items: Items of the catalogue.
        l2_users: Ratings of 0 bias that each user is given in addition.
        l2_items: Ratings of 0 bias that each item is given in addition.
        epochs: Solves of all items and all users.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None
    mean: Float[Tensor, " 1"]
    user_bias: Float[Tensor, " users_and_unknown"]
    item_bias: Float[Tensor, " items"]

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        l2_users: Annotated[float, Ge(0), Le(1_000_000)],
        l2_items: Annotated[float, Ge(0), Le(1_000_000)],
        epochs: Annotated[int, Ge(1), Le(10_000)],
    ) -> None:
        super().__init__()
        self.l2_users, self.l2_items, self.epochs = l2_users, l2_items, epochs
        self.register_buffer("mean", torch.zeros(1))
        # One more than there are users: code -1, an unknown user, finds the last bias, which stays 0.
        self.register_buffer("user_bias", torch.zeros(n_users + 1))
        self.register_buffer("item_bias", torch.zeros(n_items))

    def fit(self, interactions: Interactions) -> None:
        """Solve the biases of all items and all users in turn."""
        users, items = interactions.users, interactions.items
        values = interactions.values.astype(np.float64)
        mean = values.mean()
        above = values - mean
        n_of_user = np.bincount(users, minlength=interactions.n_users)
        n_of_item = interactions.item_counts
        user_bias = np.zeros(interactions.n_users)
        for _ in range(self.epochs):
            rest = np.bincount(items, above - user_bias[users], minlength=interactions.n_items)
            item_bias = rest / np.maximum(self.l2_items + n_of_item, 1)
            rest = np.bincount(users, above - item_bias[items], minlength=interactions.n_users)
            user_bias = rest / np.maximum(self.l2_users + n_of_user, 1)
        self.mean.fill_(float(mean))
        self.user_bias[:-1] = torch.from_numpy(user_bias)
        self.item_bias.copy_(torch.from_numpy(item_bias))

    def predict(
        self, users: Int64[Tensor, " pairs"], items: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The rating that each user would give the item beside them; -1 is an unknown user."""
        return self.mean + self.user_bias[users] + self.item_bias[items]

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The predicted rating of every item."""
        assert queries.users is not None
        return self.mean + self.user_bias[queries.users][:, None] + self.item_bias

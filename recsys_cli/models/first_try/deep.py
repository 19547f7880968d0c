"""The deeper network: two embeddings, concatenated, through dense layers to one score.

Basilico and Raimond, "Deep Learning for Recommender Systems", GTC 2018, slides 8-10: the net that is to beat a
matrix factorisation by learning how to combine the vectors instead of taking their dot product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le, Len
from jaxtyping import Float
from torch import Tensor, nn

from recsys_cli.data.batches import Pairs
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.layers import take_rows
from recsys_cli.models.losses import PairLoss, pair_loss

Activation = Literal["relu", "tanh", "selu", "gelu"]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "tanh": nn.Tanh,
    "selu": partial(nn.SELU, inplace=True),
    "gelu": nn.GELU,
}
BLOCK_USERS = 16
BLOCK_NUMBERS = 1 << 18  # of the first hidden layer: 1 MiB


class Deep(nn.Module):
    """A feed-forward net over the pair of a user's and an item's embedding.

    The first layer of a concatenation is a sum, W [p; q] = W_p p + W_q q, and is computed so: once a user and
    once an item instead of once a pair.

    Args:
        n_users: Users of the data set.
        n_items: Items of the catalogue.
        dim: Length of the embeddings.
        widths: Units of each hidden layer.
        activation: The non-linearity after each hidden layer.
        loss: What is minimised, see `losses.pair_loss`.
        negatives: Unseen items drawn for each event.
        l2: Weight of the squared length of an example's embeddings and of all layers.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    batches: ClassVar[str] = "pairs"
    history_length: int | None = None

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        dim: Annotated[int, Ge(1), Le(4096)],
        widths: Annotated[list[Annotated[int, Ge(1), Le(8192)]], Len(1, 16)],
        activation: Activation,
        loss: PairLoss,
        negatives: Annotated[int, Ge(1), Le(1000)],
        l2: Annotated[float, Ge(0), Le(10)],
    ) -> None:
        super().__init__()
        self.users = nn.Parameter(torch.empty(n_users, dim).normal_(std=0.1))
        self.items = nn.Parameter(torch.empty(n_items, dim).normal_(std=0.1))
        self.first_user = nn.Linear(dim, widths[0])
        self.first_item = nn.Linear(dim, widths[0], bias=False)
        layers: list[nn.Module] = [ACTIVATIONS[activation]()]
        for width, following in pairwise(widths):
            layers += [nn.Linear(width, following), ACTIVATIONS[activation]()]
        self.rest = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
        self.negatives = negatives
        self._loss: PairLoss = loss
        self._l2 = l2

    def loss(self, batch: Pairs) -> Float[Tensor, ""]:
        """Mean loss of the pairs, plus l2 times the squared length of an example's embeddings and of the layers."""
        items = torch.cat([batch.items[:, None], batch.negatives], dim=1)
        p, q = take_rows(self.users, batch.users), take_rows(self.items, items)
        scores = self.rest(self.first_user(p)[:, None] + self.first_item(q)).squeeze(2)
        loss = pair_loss(self._loss, scores[:, 0], scores[:, 1:])
        if self._l2:
            size = (p.square().sum() + q.square().sum() / items.shape[1]) / len(batch)
            for weight in self._layer_weights():
                size = size + weight.square().sum()
            loss = loss + self._l2 * size
        return loss

    def _layer_weights(self) -> list[Tensor]:
        return [layer.weight for layer in self.modules() if isinstance(layer, nn.Linear)]

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """What every layer makes of a step's pairs, with its gradient."""
        pairs = min(batch_size, len(train)) * (1 + self.negatives)
        units = sum(len(weight) for weight in self._layer_weights())
        return 3 * 4 * pairs * (2 * self.items.shape[1] + units)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """All pairs with the catalogue, a block of pairs at a time that stays in the second-level cache."""
        assert queries.users is not None
        known = (queries.users >= 0)[:, None]
        users = self.first_user(self.users[queries.users.clamp(min=0)] * known)
        items = self.first_item(self.items)
        scores: Tensor = users.new_empty(len(users), len(items))
        width = max(1, BLOCK_NUMBERS // (BLOCK_USERS * items.shape[1]))
        for row in range(0, len(users), BLOCK_USERS):
            for column in range(0, len(items), width):
                rows, columns = slice(row, row + BLOCK_USERS), slice(column, column + width)
                block = users[rows, None] + items[None, columns]
                scores[rows, columns] = self._rest_of(block.flatten(0, 1)).view(block.shape[:2])
        return scores

    def _rest_of(self, pairs: Float[Tensor, "pairs width"]) -> Float[Tensor, "1 pairs"]:
        """What `rest` gives, for scoring: features x pairs, as products with few rows are slow the other way round."""
        activation, *others = self.rest
        values: Tensor = activation(pairs).T
        for layer in others:
            if isinstance(layer, nn.Linear):
                values = torch.addmm(layer.bias[:, None], layer.weight, values)
            else:
                values = layer(values)
        return values

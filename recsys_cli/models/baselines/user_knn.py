"""UserKNN: what people with a similar history met (Resnick et al. 1994; Herlocker et al. 1999).

With H the items of the query's history, I_v those of a training user v, c = |H & I_v|, and `shrink` added to the
denominator, v is as alike as

- cosine:  c / (sqrt(|H| |I_v|) + shrink)
- jaccard: c / (|H or I_v| + shrink)

An item's score is the summed likeness of those who met it among the `neighbours` most similar users, and all who
are as similar as the last of these. A user of the training data is not their own neighbour.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.baselines.history import incidence, multi_hot


class UserKNN(nn.Module):
    """An item deserves to be next as far as people with a similar history met it.

    The training histories are the model. Their number is known only after `fit`, so weights that are loaded set the
    size of these buffers.

    Args:
        n_users: Users of the data set.
        n_items: Size of the catalogue.
        similarity: How alike two histories are.
        neighbours: Most similar users who have a say.
        shrink: Added to the similarity's denominator: trust short histories less.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users", "items"})
    history_length: int | None = None
    items: Int64[Tensor, " pairs"]
    user_starts: Int64[Tensor, " users"]
    users: Int64[Tensor, " pairs"]
    item_starts: Int64[Tensor, " items"]
    met: Float[Tensor, " users"]

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        similarity: Literal["cosine", "jaccard"],
        neighbours: Annotated[int, Ge(1), Le(1_000_000)],
        shrink: Annotated[float, Ge(0), Le(1_000_000)],
    ) -> None:
        super().__init__()
        self.similarity = similarity
        self.neighbours = min(neighbours, n_users)
        self.shrink = shrink
        self.register_buffer("items", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("user_starts", torch.zeros(n_users, dtype=torch.int64))
        self.register_buffer("users", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("item_starts", torch.zeros(n_items, dtype=torch.int64))
        self.register_buffer("met", torch.zeros(n_users))
        self.register_load_state_dict_pre_hook(_resize)  # type: ignore[no-untyped-call]  # torch has no types here

    def fit(self, interactions: Interactions) -> None:
        """Keep the training histories, by user and by item."""
        device = self.met.device
        by_user = incidence(interactions)
        by_item = by_user.T.tocsr()
        self.items = torch.from_numpy(by_user.indices).to(device, torch.int64)
        self.users = torch.from_numpy(by_item.indices).to(device, torch.int64)
        self.user_starts.copy_(torch.from_numpy(by_user.indptr[:-1]))
        self.item_starts.copy_(torch.from_numpy(by_item.indptr[:-1]))
        self.met.copy_(torch.from_numpy(by_user.sum(axis=1)))

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The summed likeness of each item's users among the nearest."""
        assert queries.users is not None
        assert queries.items is not None
        history = multi_hot(queries.items, len(self.item_starts))
        common = _sums(history.T.contiguous(), self.items, self.user_starts).T  # (batch, users)
        alike = self._alike(common, history.sum(dim=1, keepdim=True))
        known = queries.users >= 0
        alike[known, queries.users[known]] = 0.0
        least = alike.topk(self.neighbours, dim=1).values[:, -1:]
        said = alike.masked_fill(alike < least, 0.0)
        return _sums(said.T.contiguous(), self.users, self.item_starts).T

    def _alike(
        self, common: Float[Tensor, "batch users"], size: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, "batch users"]:
        if self.similarity == "cosine":
            below = (size * self.met).sqrt()
        else:
            below = size + self.met - common
        return common / (below + self.shrink).clamp(min=torch.finfo(common.dtype).tiny)


def _sums(
    rows: Float[Tensor, "rows batch"],
    index: Int64[Tensor, " pairs"],
    starts: Int64[Tensor, " bags"],
) -> Float[Tensor, "bags batch"]:
    """The sum of the rows that each bag names; bag b names index[starts[b] : starts[b + 1]]."""
    return functional.embedding_bag(index, rows, starts, mode="sum")


def _resize(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Make room for as many pairs as the weights hold that are about to be loaded."""
    for name in ("items", "users"):
        if prefix + name in state:
            setattr(module, name, state[prefix + name].new_empty(len(state[prefix + name])))

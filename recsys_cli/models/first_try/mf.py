"""Matrix factorisation by gradient descent: s(u, i) = mu + b_u + b_i + p_u . q_i.

Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", 2009; the loss for binary
events with sampled negatives as in Rendle et al., "BPR", 2009. The talk reads it as a shallow network: one-hot
inputs, a layer of embeddings, a dot product (slides 4-7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import embedding

from recsys_cli.data.batches import Pairs
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.contract import RowGradients
from recsys_cli.models.losses import PairLoss, pair_loss, pair_slope


class MF(nn.Module):
    """A vector for each user and item; a score is their dot product, plus biases.

    A user that training never saw has the zero vector, so gets the items by their biases.

    Args:
        n_users: Users of the data set.
        n_items: Items of the catalogue.
        rank: Length of the vectors.
        biases: Whether users and items have a bias too, and all scores a mean.
        loss: What is minimised, see `losses.pair_loss`.
        negatives: Unseen items drawn for each event.
        l2: Weight of the squared length of the vectors and biases of an example.
        init_sd: Standard deviation of the initial vectors.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    batches: ClassVar[str] = "pairs"
    history_length: int | None = None

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        rank: Annotated[int, Ge(1), Le(4096)],
        biases: bool,
        loss: PairLoss,
        negatives: Annotated[int, Ge(1), Le(1000)],
        l2: Annotated[float, Ge(0), Le(10)],
        init_sd: Annotated[float, Ge(0), Le(10)],
    ) -> None:
        super().__init__()
        self.users = nn.Parameter(torch.empty(n_users, rank).normal_(std=init_sd))
        self.items = nn.Parameter(torch.empty(n_items, rank).normal_(std=init_sd))
        absolute = biases and loss != "bpr"  # that loss compares what has the same user and mean
        self.user_bias = nn.Parameter(torch.zeros(n_users, 1), requires_grad=absolute)
        self.item_bias = nn.Parameter(torch.zeros(n_items, 1), requires_grad=biases)
        self.mean = nn.Parameter(torch.zeros(1, 1), requires_grad=absolute)
        self.negatives = negatives
        self._loss: PairLoss = loss
        self._l2 = l2

    def loss(self, batch: Pairs) -> Float[Tensor, ""]:
        """Mean loss of the pairs, plus l2 times the mean squared length of what an example uses."""
        items = torch.cat([batch.items[:, None], batch.negatives], dim=1)
        p, b = embedding(batch.users, self.users), embedding(batch.users, self.user_bias)
        q, c = embedding(items, self.items), embedding(items, self.item_bias)
        scores = torch.einsum("bd,bsd->bs", p, q) + self.mean + b + c.squeeze(2)
        loss = pair_loss(self._loss, scores[:, 0], scores[:, 1:])
        if self._l2:
            size_of_user = p.square().sum() + b.square().sum()
            size_of_items = (q.square().sum() + c.square().sum()) / items.shape[1]
            loss = loss + self._l2 * (size_of_user + size_of_items) / len(batch)
        return loss

    @torch.no_grad()
    def derive(
        self, batch: Pairs
    ) -> tuple[Float[Tensor, ""], Callable[[float], list[RowGradients]]]:
        """`loss` and its gradient, worked out by hand: see `contract.DerivesRows`."""
        n, slots, users = len(batch), 1 + batch.negatives.shape[1], batch.users
        items = torch.cat([batch.items[None], batch.negatives.T]).flatten()
        p, q = self.users.index_select(0, users), self.items.index_select(0, items)
        b, c = self.user_bias.view(-1)[users], self.item_bias.view(-1)[items]
        by_difference = self._loss == "bpr"  # of which users' biases and the mean are no part
        of_slot, own = q.view(slots, n, -1), c.view(slots, n)
        if by_difference:
            of_slot, own = of_slot[1:] - of_slot[0], own[1:] - own[0]
        scores = (of_slot * p).sum(2).add_(own)
        if not by_difference:
            scores += b + self.mean
        loss, slope = pair_slope(self._loss, scores)
        if self._l2:
            size_of_user, size_of_items = _size(p) + _size(b), _size(q) + _size(c)
            loss = loss + (size_of_user + size_of_items / slots) * (self._l2 / n)

        @torch.no_grad()
        def gradients(times: float) -> list[RowGradients]:
            pull = slope * times
            of_user = of_slot[0] * pull[0][:, None]
            for slot in range(1, len(pull)):
                of_user.addcmul_(of_slot[slot], pull[slot][:, None])
            pulled = pull.sum(0)
            if by_difference:
                pull = torch.cat([-pulled[None], pull])
            of_items = (p * pull[:, :, None]).flatten(0, 1)
            shrink = 2 * self._l2 / n * times
            if shrink:
                of_user.add_(p, alpha=shrink)
                of_items.add_(q, alpha=shrink / slots)
            biases = [
                (self.item_bias, items, pull.view(-1).add(c, alpha=shrink / slots)),
                (self.user_bias, users, pulled.add(b, alpha=shrink)),
                (self.mean, users.new_zeros(1), pulled.sum()[None]),
            ]
            return [
                RowGradients(self.users, users, of_user),
                RowGradients(self.items, items, of_items),
                *(RowGradients(t, rows, g[:, None]) for t, rows, g in biases if t.requires_grad),
            ]

        return loss, gradients

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """The vectors of a step's events and unseen items, with what their gradients are made of."""
        return 3 * 4 * min(batch_size, len(train)) * (2 + self.negatives) * self.items.shape[1]

    @property
    def events_at_once(self) -> int:
        """Events whose steps take some hundredths of a second."""
        return max(1, min(1 << 16, (1 << 24) // (self.users.shape[1] * (1 + self.negatives))))

    def descend(
        self, pairs: Pairs, lr: float, sums: Mapping[Tensor, Float[Tensor, " rows"]] | None
    ) -> float:
        """A step of `loss` for each pair by itself, by a compiled kernel: see `contract.HasKernel`."""
        from recsys_cli.models.kernels.factorisation import LOSSES, Rule, Tables, descend
        from recsys_cli.models.kernels.one_negative import descend_one

        take_steps = descend_one if pairs.negatives.shape[1] == 1 else descend
        parameters = (self.users, self.user_bias, self.items, self.item_bias, self.mean)
        untrained = torch.zeros(0)
        held = [untrained if sums is None else sums.get(table, untrained) for table in parameters]
        return take_steps(
            pairs.users.numpy(),
            pairs.items.numpy(),
            pairs.negatives.numpy(),
            Tables(*(table.detach().numpy() for table in parameters)),
            Tables(*(table[:, None].numpy() for table in held)),
            Rule(
                loss=LOSSES.index(self._loss),
                lr=np.float32(lr),
                l2=np.float32(self._l2),
                adaptive=sums is not None,
                of_users=self.user_bias.requires_grad,
                of_items=self.item_bias.requires_grad,
            ),
        )

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Dot products with the whole catalogue."""
        assert queries.users is not None
        known = (queries.users >= 0)[:, None]
        users = queries.users.clamp(min=0)
        vectors = self.users[users] * known
        if not self.item_bias.requires_grad:  # then no bias is trained, so all are zero
            return vectors @ self.items.T
        bias = self.mean + self.user_bias[users] * known
        return torch.addmm(self.item_bias.T, vectors, self.items.T).add_(bias)


def _size(rows: Tensor) -> Tensor:
    """The squared length of all rows together, in one pass over them."""
    numbers = rows.view(-1)
    return torch.dot(numbers, numbers)

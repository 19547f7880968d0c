"""The contextual sequence model: given all that a user did so far, and the moment now, what is next?

Slide 24's question, answered by a GRU over the past actions, each crossed with the moment at which it
happened, whose state is crossed with the moment of the request (Beutel et al., "Latent Cross: making use of
context in recurrent recommender systems", 2018), and a softmax over all items (Hidasi and Karatzoglou 2018).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding

from recsys_cli.data.batches import Sequences
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.layers import ContextName, LatentCross
from recsys_cli.models.losses import softmax_loss


class Seq(nn.Module):
    """A recurrent net that knows what time it is.

    Args:
        n_items: Items of the catalogue.
        dim: Length of the item embeddings, shared by input and output.
        hidden: Units of the GRU.
        dropout: Share of the GRU's inputs and outputs that is dropped in training.
        context: What the moments tell: `gap` since the event before, `weekday`, `hour` (UTC); [] for none.
        history_length: Most events of a history that are read, the latest ones.
    """

    batches: ClassVar[str] = "sequences"

    def __init__(
        self,
        *,
        n_items: int,
        dim: Annotated[int, Ge(1), Le(4096)],
        hidden: Annotated[int, Ge(1), Le(8192)],
        dropout: Annotated[float, Ge(0), Lt(1)],
        context: list[ContextName],
        history_length: Annotated[int, Ge(1), Le(10_000)],
    ) -> None:
        super().__init__()
        self.reads = frozenset({"items", "times", "now"} if context else {"items"})
        self.history_length = history_length
        self.items = nn.Parameter(torch.empty(n_items, dim).normal_(std=dim**-0.5))
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.event_cross = LatentCross(context, dim)
        self.gru = nn.GRU(dim, hidden, batch_first=True)
        self.request_cross = LatentCross(context, hidden)
        self.to_item = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def loss(self, batch: Sequences) -> Float[Tensor, ""]:
        """Mean softmax loss of the next item at every position."""
        states = self._states(batch.items, batch.times)
        crossed = self.request_cross(states, batch.now, batch.times)[batch.real]
        vectors = self.to_item(self.dropout(crossed))
        return softmax_loss(vectors, self.items, self.bias, batch.targets[batch.real])

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """The scores of all items at every position of a step, as logits, their softmax and its gradient."""
        positions = min(batch_size, len(train))
        return 4 * positions * (3 * len(self.items) + 12 * self.to_item.in_features)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Logits of the next item at the moment of the request; without a history, the items' biases."""
        assert queries.items is not None
        real = queries.items >= 0
        lengths = real.sum(1)
        # left padding -> right padding, so that the net starts at each history's first event
        position = torch.arange(real.shape[1], device=real.device)
        at = (position + real.shape[1] - lengths[:, None]).clamp(max=real.shape[1] - 1)
        items = queries.items.gather(1, at).clamp(min=0)
        times = None if queries.times is None else queries.times.gather(1, at)
        last = (lengths - 1).clamp(min=0)
        states = self._states(items, times)[torch.arange(len(items), device=last.device), last]
        states = states * (lengths > 0)[:, None]
        before = None if times is None else times.gather(1, last[:, None]).squeeze(1)
        vectors = self.to_item(self.request_cross(states, queries.now, before))
        return torch.addmm(self.bias, vectors * (lengths > 0)[:, None], self.items.T)

    def _states(
        self, items: Int64[Tensor, "batch length"], times: Int64[Tensor, "batch length"] | None
    ) -> Float[Tensor, "batch length hidden"]:
        """The GRU's state after each event."""
        before = None if times is None else torch.cat([times[:, :1], times[:, :-1]], dim=1)
        inputs = self.event_cross(embedding(items, self.items), times, before)
        states: Tensor = self.gru(self.dropout(inputs))[0]
        return states

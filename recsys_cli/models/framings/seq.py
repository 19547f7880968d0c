"""The contextual sequence model: given all that a user did so far, and the moment now, what is next?

Slide 24's question, answered by a GRU over the past actions, each crossed with the moment at which it
happened, whose state is crossed with the moment of the request (Beutel et al., "Latent Cross: making use of
context in recurrent recommender systems", 2018), and a softmax over all items (Hidasi and Karatzoglou 2018).

What follows a certain item is hard to tell through a state and item vectors that are the same at input and output. So the
last item may add a vector of its own to the state's: a factored Markov chain (Rendle et al., "Factorizing personalized
Markov chains", 2010).

Whether people return to what they just had, or stay with its like, hangs on the moment, on the gap since then above all. So
the last item's own vector may be added too, weighed by the moment of the request.

A mask can only weaken or strengthen what a state holds, and where histories tell little that is nothing. So the moment of
the request may add a vector too (Perez et al., "FiLM", 2018).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recsys_cli.data.batches import Sequences
from recsys_cli.data.context import ContextFacts, is_asked
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.framings.moments import (
    Histories,
    asked_by,
    asked_for,
    histories,
    of_events,
    read_by,
)
from recsys_cli.models.layers import ContextVectors, Dropout, LatentCross, Moments, take_rows
from recsys_cli.models.softmax import ROWS_ON_CPU, sampled_softmax_loss, softmax_loss

MOST_ITEMS_OF_A_FULL_SOFTMAX = 10_000


class Seq(nn.Module):
    """A recurrent net that knows what time it is.

    Args:
        n_items: Items of the catalogue.
        dim: Length of the item embeddings, shared by input and output.
        hidden: Units of the GRU.
        dropout: Share of the GRU's inputs and outputs that is dropped in training.
        context_facts: What the data tells of its context.
        last_item: Whether the last item adds a vector of its own.
        returns: Whether the last item's vector is added, weighed by the moment of the request.
        context: What the moments tell: `gap` since the event before, `weekday`, `hour`, `hour_of_week` (UTC), as codes; `clock`, the same
            and how far training has gone, as numbers; columns of the data; [] for none.
        shift: Whether the moment of the request adds a vector too.
        history_length: Most events of a history that are read, the latest ones.
        shuffled: Whether the items of a history change places by chance, in training and after it: a control, which
            shows what their order is worth. The moments stay where they are.
        softmax: What the next item is told from in training: `full` = all items, `sampled` = a draw of some, `auto` =
            all of a catalogue of up to 10,000 items and a draw of a larger one.
        n_negatives: Items in a draw, which all positions of a step share.

    Attributes:
        negatives: Items drawn a step; None where there is no draw.
    """

    batches: ClassVar[str] = "sequences"

    def __init__(
        self,
        *,
        n_items: int,
        context_facts: ContextFacts,
        dim: Annotated[int, Ge(1), Le(4096)],
        hidden: Annotated[int, Ge(1), Le(8192)],
        dropout: Annotated[float, Ge(0), Lt(1)],
        last_item: bool,
        returns: bool,
        context: list[str],
        shift: bool,
        history_length: Annotated[int, Ge(1), Le(10_000)],
        shuffled: bool,
        softmax: Literal["auto", "full", "sampled"],
        n_negatives: Annotated[int, Ge(1), Le(1_000_000)],
    ) -> None:
        super().__init__()
        self.history_length, self.shuffled = history_length, shuffled
        full = n_items <= MOST_ITEMS_OF_A_FULL_SOFTMAX if softmax == "auto" else softmax == "full"
        self.negatives = None if full else n_negatives
        self.items = nn.Parameter(torch.empty(n_items, dim).normal_(std=dim**-0.5))
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.followers = nn.Parameter(torch.zeros(n_items, dim)) if last_item else None
        self.event_cross = LatentCross(context, dim, context_facts)
        self.gru = nn.GRU(dim, hidden)
        asked = [name for name in context if is_asked(name)]
        self.request_cross = LatentCross(asked, hidden, context_facts)
        self.request_shift = ContextVectors(asked, dim, context_facts) if shift and asked else None
        self.weights = ContextVectors(asked, dim, context_facts) if returns and asked else None
        self.reads = read_by(self.event_cross) | {"items"}
        self.to_item = nn.Linear(hidden, dim)
        self.dropout = Dropout(dropout)

    def in_words(self) -> str:
        """How the next item is told from others in training."""
        n_items, rule = len(self.items), "full up to 10,000 items, sampled above (model.softmax)"
        if self.negatives is None:
            return f"softmax over all {n_items:,} items; {rule}"
        return (
            f"softmax over the next item and {self.negatives:,} of {n_items:,} drawn a step; {rule}"
        )

    def loss(self, batch: Sequences) -> Float[Tensor, ""]:
        """Mean softmax loss of the next item at every position."""
        if self.shuffled:
            batch = shuffled(batch)
        length = batch.real.shape[1]
        real = (
            batch.real.T.flatten().nonzero().squeeze(1)
        )  # the GRU counts positions column by column
        at = real % len(batch.real) * length + real // len(batch.real)
        states = take_rows(self._states(batch).flatten(0, 1), real)
        vectors = self._answers(states, asked_for(batch, at), batch.items.flatten()[at])
        targets = batch.targets.flatten()[at]
        if batch.negatives is None:
            return softmax_loss(vectors, self.items, self.bias, targets)
        drawn = batch.negatives
        return sampled_softmax_loss(
            vectors, self.items, self.bias, targets, drawn.items, drawn.log_chance
        )

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """What the layers keep of every position for the way back, and the softmax of one chunk of them."""
        positions = min(batch_size, len(train))
        dim, hidden = self.items.shape[1], self.to_item.in_features
        told_from = len(self.items) if self.negatives is None else self.negatives
        parts = (self.followers, self.request_shift, self.weights, self.weights)
        added = 2 * sum(part is not None for part in parts)
        kept = (6 + added) * dim + 26 * hidden
        return 4 * (positions * kept + 2 * told_from * (ROWS_ON_CPU + dim))

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Logits of the next item at the moment of the request; without a history, the items' biases."""
        past = histories(queries)
        if self.shuffled:
            past = replace(past, items=_in_some_order(past.items, past.lengths))
        rows, last = past.last
        states = self._states(past)[last, rows]
        vectors = self._answers(states, asked_by(queries, past), past.items[rows, last])
        return torch.addmm(self.bias, vectors * (past.lengths > 0)[:, None], self.items.T)

    def _states(self, told: Sequences | Histories) -> Float[Tensor, "length batch hidden"]:
        """The GRU's state after each event."""
        inputs = self.event_cross(take_rows(self.items, told.items.T), of_events(told).turned)
        states: Tensor = self.gru(self.dropout(inputs))[0]
        return states

    def _answers(
        self,
        states: Float[Tensor, "examples hidden"],
        request: Moments,
        last_items: Int64[Tensor, " examples"],
    ) -> Float[Tensor, "examples dim"]:
        """The vectors whose products with the items' are the scores."""
        vectors: Tensor = self.to_item(self.dropout(self.request_cross(states, request)))
        if self.followers is not None:
            vectors = vectors + take_rows(self.followers, last_items)
        if self.weights is not None:
            own = take_rows(self.items, last_items)
            vectors = vectors + own * self.weights.added_to(torch.zeros_like(own), request)
        if self.request_shift is not None:
            vectors = self.request_shift.added_to(vectors, request)
        return vectors


def shuffled(batch: Sequences) -> Sequences:
    """The windows with their items, that of the last target among them, in an order drawn anew."""
    items = torch.cat([batch.items[:, :1], batch.targets], 1)
    real = torch.cat([batch.real[:, :1], batch.real], 1)
    places = torch.rand(items.shape, device=items.device) + ~real  # what is padded stays behind
    items = items.gather(1, places.argsort(1))
    return replace(batch, items=items[:, :-1] * batch.real, targets=items[:, 1:] * batch.real)


def _in_some_order(
    items: Int64[Tensor, "batch length"], lengths: Int64[Tensor, " batch"]
) -> Int64[Tensor, "batch length"]:
    """Histories padded on the right, in an order that tells nothing of when: the same for the same items."""
    keys = items * 2_654_435_761 % 2**32  # Knuth's multiplicative hash
    position = torch.arange(items.shape[1], device=items.device)
    keys = torch.where(position < lengths[:, None], keys, 2**32)
    return items.gather(1, keys.argsort(stable=True))

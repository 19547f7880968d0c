"""The contextual recurrent net: each event, and the request, integrated with its moment (Smirnova and Vasile 2017).

Three parts: what comes in, an item and the moment at which it was chosen; a GRU; and what goes out, the state and the
moment of the request, from which the next item is told. With x a vector and c what its moment tells, the two are
integrated as [x; c] (`concat`), as x * (1 + C c) number by number (`mult`), or as both, [x * (1 + C c); c]
(`concat_mult`). The 1 is a starting point, in which the moment changes nothing.

The GRU's own step may depend on the moment of its event too: with `transitions` each product of its state with the
weights of a gate is multiplied, number by number, by 1 + W c, so that a long gap can make it forget.

Of the event that is asked for only what is known at the request is integrated, see `recsys_cli.data.context`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float
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
from recsys_cli.models.next_item import LossName, NextItemLoss

How = Literal["concat", "mult", "concat_mult"]


class CRNN(nn.Module):
    """A recurrent net over the latest events, in context.

    Args:
        n_items: Items of the catalogue.
        context_facts: What the data tells of its context.
        dim: Length of the item embeddings, shared by input and output.
        hidden: Units of the GRU.
        dropout: Share of the GRU's inputs and outputs that is dropped in training.
        context: What the moments tell, as in `recsys_cli.models.framings.seq.Seq`; [] for none.
        context_dim: Length of what a moment tells where it is put beside something.
        events: How events and their moments are integrated.
        request: How the state and the moment of the request are integrated.
        transitions: Whether the GRU's step depends on the moment of its event.
        history_length: Most events of a history that are read, the latest ones.
        loss: What the next item is told from, see `recsys_cli.models.next_item.NextItemLoss`.
        n_negatives: Items in a draw that all positions of a step share.
        logq: Share of the correction for an item's chance to be drawn.
        calibration: Of the loss `gbce`.

    Attributes:
        negatives: Items drawn; None where there is no draw.
        draws: How they are drawn.
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
        context: list[str],
        context_dim: Annotated[int, Ge(1), Le(4096)],
        events: How,
        request: How,
        transitions: bool,
        history_length: Annotated[int, Ge(1), Le(10_000)],
        loss: LossName,
        n_negatives: Annotated[int, Ge(1), Le(1_000_000)],
        logq: Annotated[float, Ge(0), Le(1)],
        calibration: Annotated[float, Ge(0), Le(1)],
    ) -> None:
        super().__init__()
        self.history_length = history_length
        self.next_item = NextItemLoss(
            loss, n_items=n_items, n_negatives=n_negatives, logq=logq, calibration=calibration
        )
        self.negatives, self.draws = self.next_item.negatives, self.next_item.draws
        self.items = nn.Parameter(torch.empty(n_items, dim).normal_(std=dim**-0.5))
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.events = Integration(events, context, dim, context_dim, context_facts)
        of_steps = context if transitions else []
        self.gru = ContextGRU(self.events.length, hidden, of_steps, context_facts)
        asked = [name for name in context if is_asked(name)]
        self.request = Integration(request, asked, hidden, context_dim, context_facts)
        self.to_item = nn.Linear(self.request.length, dim)
        self.dropout = Dropout(dropout)
        self.reads = read_by(self.events.context) | {"items"}

    def in_words(self) -> str:
        """What the next item is told from in training."""
        return f"{self.next_item.in_words()}; model.loss"

    def loss(self, batch: Sequences) -> Float[Tensor, ""]:
        """Mean loss of the next item at every position."""
        at = batch.real.flatten().nonzero().squeeze(1)
        states = take_rows(self._states(batch).transpose(0, 1).flatten(0, 1), at)
        told = self.request(self.dropout(states), asked_for(batch, at))
        drawn = None if batch.negatives is None else batch.negatives.at(at)
        targets = batch.targets.flatten()[at]
        return self.next_item(self.to_item(told), self.items, self.bias, targets, drawn)

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """What the layers keep of every position for the way back, and the scores that are there at once."""
        positions, (n_items, dim) = min(batch_size, len(train)), self.items.shape
        told_from = n_items if self.negatives is None else self.negatives
        return 4 * positions * (12 * dim + 30 * self.gru.gru.hidden_size + told_from)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Logits of the next item at the moment of the request; without a history, the items' biases."""
        past = histories(queries)
        rows, last = past.last
        told = self.request(self._states(past)[last, rows], asked_by(queries, past))
        vectors = self.to_item(told) * (past.lengths > 0)[:, None]
        return torch.addmm(self.bias, vectors, self.items.T)

    def _states(self, told: Sequences | Histories) -> Float[Tensor, "length batch hidden"]:
        """The GRU's state after each event."""
        moments = of_events(told).turned
        inputs = self.events(take_rows(self.items, told.items.T), moments)
        states: Tensor = self.gru(self.dropout(inputs), moments)
        return states


class Integration(nn.Module):
    """A vector and its moment, made one.

    Args:
        how: `concat`, `mult` or `concat_mult`.
        names: The contexts; without any the vector stays as it is.
        dim: Length of the vector.
        context_dim: Length of what is put beside it.
        facts: What the data tells of its context.

    Attributes:
        length: Of what comes out.
        context: The vectors of the moments.
    """

    def __init__(
        self, how: How, names: Sequence[str], dim: int, context_dim: int, facts: ContextFacts
    ) -> None:
        super().__init__()
        self.factor = None if how == "concat" else LatentCross(names, dim, facts)
        self.beside = None if how == "mult" else ContextVectors(names, context_dim, facts)
        beside = self.beside is not None and not self.beside.empty
        self.length = dim + (context_dim if beside else 0)

    @property
    def context(self) -> ContextVectors:
        """The vectors of the moments."""
        found = self.factor or self.beside
        assert found is not None
        return found

    def forward(
        self, x: Float[Tensor, "*shape dim"], moments: Moments
    ) -> Float[Tensor, "*shape length"]:
        """Integrate vectors with their moments."""
        out: Tensor = x if self.factor is None else self.factor(x, moments)
        if self.beside is None or self.beside.empty:
            return out
        nothing = x.new_zeros(*x.shape[:-1], self.length - x.shape[-1])
        return torch.cat([out, self.beside.added_to(nothing, moments)], -1)


class ContextGRU(nn.Module):
    """A GRU whose step depends on the moment of the event; without a context it is torch's.

    r = sigmoid(W_ir x + b_ir + f_r * W_hr h + b_hr), z the same with its own weights and factor,
    n = tanh(W_in x + b_in + r * (f_n * W_hn h + b_hn)), h' = (1 - z) * n + z * h, with f = 1 + the moment's vector.

    Args:
        length: Of the inputs.
        hidden: Units.
        names: The contexts.
        facts: What the data tells of them.
    """

    def __init__(self, length: int, hidden: int, names: Sequence[str], facts: ContextFacts) -> None:
        super().__init__()
        self.gru = nn.GRU(length, hidden)
        self.factors = ContextVectors(names, 3 * hidden, facts)

    def forward(
        self, inputs: Float[Tensor, "length batch inputs"], moments: Moments
    ) -> Float[Tensor, "length batch hidden"]:
        """The state after each event, from zeros."""
        if self.factors.empty:
            plain: Tensor = self.gru(inputs)[0]
            return plain
        hidden = self.gru.hidden_size
        into, over, into_bias, over_bias = self.gru.all_weights[0]
        of_inputs = nn.functional.linear(inputs, into, into_bias)
        factors = self.factors.added_to(torch.ones_like(of_inputs), moments)
        state, states = inputs.new_zeros(inputs.shape[1], hidden), []
        for of_input, factor in zip(of_inputs, factors, strict=True):
            of_state = torch.addcmul(over_bias, state @ over.T, factor)
            gates = (of_input[:, : 2 * hidden] + of_state[:, : 2 * hidden]).sigmoid()
            reset, keep = gates.chunk(2, 1)
            new = torch.addcmul(of_input[:, 2 * hidden :], reset, of_state[:, 2 * hidden :]).tanh()
            state = torch.lerp(new, state, keep)
            states.append(state)
        return torch.stack(states)

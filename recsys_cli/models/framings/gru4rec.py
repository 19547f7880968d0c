"""GRU4Rec: a GRU over the events of a session (Hidasi et al. 2016; Hidasi and Karatzoglou 2018), as its authors train it.

One table of item vectors is read at the input and at the output, so that a state is as long as an item's vector. A step
tells each target from the other targets of the step and from items drawn by a power alpha of their events, which all
positions share: by softmax, whose logits may be lowered by the logarithms of their chances (logQ: of P for a target,
of P^alpha for a drawn item, P being the item's share of the events), or by BPR-max. An item that is there twice counts
twice, and one that is the target itself is taken out.

The authors step through sessions side by side and pass no gradient from one event back to the one before. With
`bptt: false` neither does this: the states are made without gradients, and then every event takes one step of the GRU
from the state before it. That is the sum of the gradients of their steps, all with the weights before the first; and
targets of the same session are told from one another too. With `lanes` it is done as they do it: sessions side by side, a
step for an event of each, and what is kept of a session is its state, which the steps before have made.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import elu

from recsys_cli.data.batches import Draws, Negatives, Sequences
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.data.side_by_side import SideBySide
from recsys_cli.errors import ConfigError
from recsys_cli.models.framings.self_attention import oldest_first
from recsys_cli.models.layers import Dropout, take_rows
from recsys_cli.models.losses import bpr_max_loss
from recsys_cli.models.softmax import softmax_loss, weighted_softmax_loss

GruLoss = Literal["softmax", "cross_entropy", "bpr_max"]


class GRU4Rec(nn.Module):
    """A recurrent net over the latest events, without context.

    Args:
        n_items: Items of the catalogue.
        dim: Length of item vectors and states.
        embedding_dropout: Share of the GRU's inputs that is dropped in training.
        hidden_dropout: Share of its states that is dropped in training.
        history_length: Most events of a history that are read, the latest ones.
        bptt: Whether gradients pass from an event to those before it.
        lanes: Sessions side by side, an event of each a step; None = windows of many events a step.
        loss: `softmax` over all items; `cross_entropy` over the targets of the step and a draw; `bpr_max` over these.
        n_negatives: Items in the draw.
        alpha: An item's chance to be drawn grows with its events to this power.
        logq: Of `cross_entropy`: share of the logarithms of the chances by which logits are lowered.
        score_l2: Of `bpr_max`: weight of the squared scores.
        elu: Of `bpr_max`: scores below 0 become elu (exp(s) - 1), with this elu; 0 = they stay.

    Attributes:
        negatives: Items drawn; None where there is no draw.
        draws: How they are drawn.
        batches: The kind of batch that it learns from.
        lane_states: The state of each lane after the step before; only with `lanes`.
    """

    lane_states: Tensor
    reads: ClassVar[frozenset[str]] = frozenset({"items"})

    def __init__(
        self,
        *,
        n_items: int,
        dim: Annotated[int, Ge(1), Le(8192)],
        embedding_dropout: Annotated[float, Ge(0), Lt(1)],
        hidden_dropout: Annotated[float, Ge(0), Lt(1)],
        history_length: Annotated[int, Ge(1), Le(10_000)],
        bptt: bool,
        lanes: Annotated[int, Ge(1), Le(1_000_000)] | None,
        loss: GruLoss,
        n_negatives: Annotated[int, Ge(1), Le(1_000_000)],
        alpha: Annotated[float, Ge(0), Le(1)],
        logq: Annotated[float, Ge(0), Le(1)],
        score_l2: Annotated[float, Ge(0), Le(1000)],
        elu: Annotated[float, Ge(0), Le(10)],
    ) -> None:
        super().__init__()
        if lanes is not None and bptt:
            raise ConfigError(
                f"model.lanes={lanes} goes without model.bptt: a step sees one event of a session",
                "model.bptt=false",
            )
        self.history_length, self.lanes = history_length, lanes
        self.batches = "sequences" if lanes is None else "side_by_side"
        self.negatives = None if loss == "softmax" else n_negatives
        self.draws = Draws(power=alpha)
        self._bptt, self._loss = bptt, loss
        self._alpha, self._logq, self._score_l2, self._elu = alpha, logq, score_l2, elu
        self.items = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_items, dim)))
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.gru = nn.GRU(dim, dim)
        if lanes is not None:
            # kept with the weights, so that training can go on in the middle of an epoch
            self.register_buffer("lane_states", torch.zeros(lanes, dim))
        self.embedding_dropout = Dropout(embedding_dropout)
        self.hidden_dropout = Dropout(hidden_dropout)

    def in_words(self) -> str:
        """What the next item is told from in training."""
        if self.negatives is None:
            return "softmax over all items; model.loss"
        how = "softmax" if self._loss == "cross_entropy" else "BPR-max"
        return f"{how} over the targets of a step and {self.negatives:,} drawn; model.loss"

    def loss(self, batch: Sequences | SideBySide) -> Float[Tensor, ""]:
        """Mean loss of the next item at every position."""
        if isinstance(batch, SideBySide):
            states, targets = self.step(batch), batch.targets
        else:
            at = batch.real.T.flatten().nonzero().squeeze(1)
            inputs = self.embedding_dropout(take_rows(self.items, batch.items.T))
            states = take_rows(self._states(inputs).flatten(0, 1), at)
            targets = batch.targets.T.flatten()[at]
        states = self.hidden_dropout(states)
        if batch.negatives is None:
            return softmax_loss(states, self.items, self.bias, targets)
        if self._loss == "cross_entropy":
            return self._cross_entropy(states, targets, batch.negatives)
        return self._bpr_max(states, targets, batch.negatives)

    def step(self, batch: SideBySide) -> Float[Tensor, "lanes dim"]:
        """The state of each lane after its next event; kept, without its gradient, for the step after."""
        inputs = self.embedding_dropout(take_rows(self.items, batch.items))
        before = self.lane_states[batch.lanes] * ~batch.first[:, None]
        states = torch.gru_cell(inputs, before, *self.gru.all_weights[0])
        self.lane_states[batch.lanes] = states.detach().to(before.dtype)
        return states

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """What the GRU keeps of every position, and the scores that are there at once."""
        positions, (n_items, dim) = min(batch_size, len(train)), self.items.shape
        scores = n_items
        if self._loss == "bpr_max":
            assert self.negatives is not None
            scores = 8 * (positions + self.negatives)
        return 4 * positions * (scores + 16 * dim)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Logits of the next item; without a history, the items' biases."""
        assert queries.items is not None
        items, lengths = oldest_first(queries.items)
        states = self.gru(take_rows(self.items, items.T))[0]
        last = states[(lengths - 1).clamp(min=0), torch.arange(len(items), device=items.device)]
        return torch.addmm(self.bias, last * (lengths > 0)[:, None], self.items.T)

    def _states(
        self, inputs: Float[Tensor, "length batch dim"]
    ) -> Float[Tensor, "length batch dim"]:
        """The state after each event."""
        if self._bptt:
            through: Tensor = self.gru(inputs)[0]
            return through
        with torch.no_grad():
            after = self.gru(inputs)[0]
        before = torch.cat([torch.zeros_like(after[:1]), after[:-1]])
        flat = inputs.flatten(0, 1), before.flatten(0, 1)
        step = torch.gru_cell(*flat, *self.gru.all_weights[0])
        return step.view_as(inputs)

    def _cross_entropy(
        self,
        states: Float[Tensor, "examples dim"],
        targets: Int64[Tensor, " examples"],
        drawn: Negatives,
    ) -> Float[Tensor, ""]:
        """Softmax over the targets of the step and the draw."""
        assert drawn.log_share is not None
        lowered = self._logq * drawn.log_share
        of_targets, of_draws = (
            torch.bincount(items, minlength=len(self.items)) for items in (targets, drawn.items)
        )
        weights = of_targets * (-lowered).exp() + of_draws * (-self._alpha * lowered).exp()
        others = weights.nonzero().squeeze(1)
        return weighted_softmax_loss(
            states, self.items, self.bias, targets, others, weights[others].log(), -lowered[targets]
        )

    def _bpr_max(
        self,
        states: Float[Tensor, "examples dim"],
        targets: Int64[Tensor, " examples"],
        drawn: Negatives,
    ) -> Float[Tensor, ""]:
        """BPR-max over the targets of the step and the draw."""
        others = torch.cat([targets, drawn.items])
        scores = torch.addmm(take_rows(self.bias, others), states, take_rows(self.items, others).T)
        if self._elu:
            scores = elu(scores, alpha=self._elu)
        wrong = others != targets[:, None]
        return bpr_max_loss(scores.diagonal(), scores, wrong, self._score_l2)

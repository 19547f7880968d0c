"""SASRec: self-attention over what a user did so far (Kang and McAuley, "Self-attentive sequential recommendation", 2018).

The vectors of a history's items, each with a learned vector of its place, go through blocks of two layers, each
x + dropout(f(layer norm(x))): causal self-attention, and a net of two layers on each position alone. A last layer norm
makes the vector whose products with the items' own vectors are the scores.

All positions of a window are predicted at once. Against one drawn item by binary cross-entropy it is the paper's;
against all items by softmax it is as good as later models (Klenitskiy and Vasilev 2023).

In a context, each event's vector is crossed with the moment at which it happened, and the last vector with the moment of
the request (Beutel et al., "Latent cross", 2018), as in `seq`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float
from torch import Tensor, nn

from recsys_cli.data.batches import Sequences
from recsys_cli.data.context import ContextFacts, is_asked
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ConfigError
from recsys_cli.models.framings.moments import (
    Histories,
    asked_by,
    asked_for,
    histories,
    of_events,
    read_by,
)
from recsys_cli.models.framings.self_attention import CausalAttention
from recsys_cli.models.layers import Dropout, LatentCross, take_rows
from recsys_cli.models.next_item import LossName, NextItemLoss

INIT_SD = 0.02


class SASRec(nn.Module):
    """A causal self-attention net over the latest events.

    Args:
        n_items: Items of the catalogue.
        context_facts: What the data tells of its context.
        dim: Length of all vectors; the items' are shared by input and output.
        blocks: Blocks of attention and feed-forward net.
        heads: Parts of the vectors that attend for themselves; a divisor of `dim`.
        dropout: Share of the inputs and of each layer's outputs that is dropped in training.
        context: What the moments tell, as in `recsys_cli.models.framings.seq.Seq`; [] for none.
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
        blocks: Annotated[int, Ge(1), Le(64)],
        heads: Annotated[int, Ge(1), Le(64)],
        dropout: Annotated[float, Ge(0), Lt(1)],
        context: list[str],
        history_length: Annotated[int, Ge(1), Le(10_000)],
        loss: LossName,
        n_negatives: Annotated[int, Ge(1), Le(1_000_000)],
        logq: Annotated[float, Ge(0), Le(1)],
        calibration: Annotated[float, Ge(0), Le(1)],
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigError(
                f"model.dim={dim} is no multiple of model.heads={heads}", "change one"
            )
        self.history_length = history_length
        self.next_item = NextItemLoss(
            loss, n_items=n_items, n_negatives=n_negatives, logq=logq, calibration=calibration
        )
        self.negatives, self.draws = self.next_item.negatives, self.next_item.draws
        self.items = nn.Parameter(torch.empty(n_items, dim).normal_(std=INIT_SD))
        self.places = nn.Parameter(torch.empty(history_length, dim).normal_(std=INIT_SD))
        self.dropout = Dropout(dropout)
        self.blocks = nn.Sequential(*(self.block(dim, heads, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(dim)
        self.event_cross = LatentCross(context, dim, context_facts)
        asked = [name for name in context if is_asked(name)]
        self.request_cross = LatentCross(asked, dim, context_facts)
        self.reads = read_by(self.event_cross) | {"items"}

    def block(self, dim: int, heads: int, dropout: float) -> nn.Module:
        """A block as in the paper."""
        return Block(dim, heads, dropout)

    def in_words(self) -> str:
        """What the next item is told from in training."""
        return f"{self.next_item.in_words()}; model.loss"

    def loss(self, batch: Sequences) -> Float[Tensor, ""]:
        """Mean loss of the next item at every position."""
        at = batch.real.flatten().nonzero().squeeze(1)
        vectors = take_rows(self._vectors(batch).flatten(0, 1), at)
        vectors = self.request_cross(vectors, asked_for(batch, at))
        drawn = None if batch.negatives is None else batch.negatives.at(at)
        return self.next_item(
            vectors, self.items, self._no_bias(), batch.targets.flatten()[at], drawn
        )

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """What the layers keep of every position for the gradient, and the scores that are there at once."""
        positions, (n_items, dim) = min(batch_size, len(train)), self.items.shape
        scores = n_items if self.negatives is None else self.negatives
        crosses = 6 if self.reads > {"items"} else 0
        return 4 * positions * ((self.kept() * len(self.blocks) + 12 + crosses) * dim + scores)

    def kept(self) -> int:
        """Numbers that a block keeps of a position for the gradient, in lengths of a vector."""
        return 24

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Products of the last position's vector with the items'; all 0 without a history."""
        past = histories(queries)
        vectors = self.request_cross(self._vectors(past)[past.last], asked_by(queries, past))
        scores: Tensor = (vectors * (past.lengths > 0)[:, None]) @ self.items.T
        return scores

    def _vectors(self, told: Sequences | Histories) -> Float[Tensor, "batch length dim"]:
        """What is known after each event."""
        inputs = take_rows(self.items, told.items) * self.items.shape[1] ** 0.5
        inputs = self.event_cross(inputs, of_events(told))
        x = self.blocks(self.dropout(inputs + self.places[: inputs.shape[1]]))
        vectors: Tensor = self.norm(x)
        return vectors

    def _no_bias(self) -> Float[Tensor, " items"]:
        return self.items.new_zeros(len(self.items))


class Block(nn.Module):
    """Attention, then a net on each position alone, each around its own layer norm."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.attention = CausalAttention(dim, heads)
        self.net = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), Dropout(dropout), nn.Linear(dim, dim)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch length dim"]:
        """The positions, each with what it took from those before it."""
        x = x + self.dropout(self.attention(self.norms[0](x)))
        out: Tensor = x + self.dropout(self.net(self.norms[1](x)))
        return out

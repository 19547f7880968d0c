"""HSTU: attention without softmax, gated, that knows how long ago (Zhai et al., "Actions speak louder than words", 2024).

A block makes four views of each position at once, U, V, Q, K = silu(W layer norm(x)), and is
x + dropout(W' (layer norm(A V) * U)) with A = silu(Q K^T + p + t) / n: pointwise, so that how much there was of
something is not normalised away as by a softmax. There is no net on each position alone. n is the length of the longest
history; p is a learned number for each distance in places; t one for each bucket of the time that has passed,
floor(ln(max(|seconds|, 1)) / 0.301), 128 of them.

The time that has passed is told from the moment of the request: at a position of training that is the next event's,
of which nothing else is known. All positions of a window are predicted at once, as by SASRec.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import silu

from recsys_cli.data.batches import Sequences
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ConfigError
from recsys_cli.models.framings.moments import Histories, histories
from recsys_cli.models.layers import Dropout, take_rows
from recsys_cli.models.next_item import LossName, NextItemLoss

INIT_SD = 0.02
N_BUCKETS, BUCKET_WIDTH = 128, 0.301
ROWS_AT_ONCE = 32  # histories scored together: weights of attention are as many as pairs of events
TimeBias = Literal["none", "event", "request"]
_READS = {"none": (), "event": ("times",), "request": ("times", "now")}


class HSTU(nn.Module):
    """A net of gated pointwise attention over the latest events.

    Args:
        n_items: Items of the catalogue.
        dim: Length of all vectors; the items' are shared by input and output.
        blocks: Blocks of attention.
        heads: Parts of the vectors that attend for themselves; a divisor of `dim`.
        dropout: Share of the inputs and of each block's gated output that is dropped in training.
        history_length: Most events of a history that are read, the latest ones.
        time_bias: From when on the time since an event is told: from the `request` that a position answers, from the
            position's own `event`, or `none`.
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
        dim: Annotated[int, Ge(1), Le(4096)],
        blocks: Annotated[int, Ge(1), Le(64)],
        heads: Annotated[int, Ge(1), Le(64)],
        dropout: Annotated[float, Ge(0), Lt(1)],
        history_length: Annotated[int, Ge(1), Le(10_000)],
        time_bias: TimeBias,
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
        self.reads = frozenset({"items", *_READS[time_bias]})
        self.next_item = NextItemLoss(
            loss, n_items=n_items, n_negatives=n_negatives, logq=logq, calibration=calibration
        )
        self.negatives, self.draws = self.next_item.negatives, self.next_item.draws
        self._time_bias, self._heads = time_bias, heads
        self.items = nn.Parameter(torch.empty(n_items, dim).normal_(std=INIT_SD))
        self.places = nn.Parameter(torch.empty(history_length, dim).normal_(std=INIT_SD))
        self.dropout = Dropout(dropout)
        timed = time_bias != "none"
        self.blocks = nn.ModuleList(
            Block(dim, heads, dropout, history_length, timed=timed) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(dim)

    def in_words(self) -> str:
        """What the next item is told from in training."""
        return f"{self.next_item.in_words()}; model.loss"

    def loss(self, batch: Sequences) -> Float[Tensor, ""]:
        """Mean loss of the next item at every position."""
        at = batch.real.flatten().nonzero().squeeze(1)
        vectors = self._vectors(batch, batch.now).flatten(0, 1)
        drawn = None if batch.negatives is None else batch.negatives.at(at)
        no_bias = self.items.new_zeros(len(self.items))
        targets = batch.targets.flatten()[at]
        return self.next_item(take_rows(vectors, at), self.items, no_bias, targets, drawn)

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """What the blocks keep of every position and pair of positions for the gradient, and the scores at once."""
        positions, (n_items, dim) = min(batch_size, len(train)), self.items.shape
        told_from = n_items if self.negatives is None else self.negatives
        longest = min(self.history_length, int((train.offsets[1:] - train.offsets[:-1]).max()))
        blocks = len(self.blocks)
        pairs = max(positions, longest) * longest * (8 + 5 * self._heads * blocks)
        return 4 * (positions * ((16 * blocks + 12) * dim + told_from) + pairs)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """Products of the last position's vector with the items'; all 0 without a history."""
        past, vectors = histories(queries), []
        for start in range(0, len(past.items), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            times = None if past.times is None else past.times[some]
            part = Histories(past.items[some], past.lengths[some], times)
            now = None if queries.now is None else _requests(part, queries.now[some])
            vectors.append(self._vectors(part, now)[part.last])
        scores: Tensor = (torch.cat(vectors) * (past.lengths > 0)[:, None]) @ self.items.T
        return scores

    def _vectors(
        self,
        told: Sequences | Histories,
        now: Int64[Tensor, "batch length"] | None,
    ) -> Float[Tensor, "batch length dim"]:
        """What is known after each event, at the moment of the request that comes then."""
        inputs = take_rows(self.items, told.items) * self.items.shape[1] ** 0.5
        x = self.dropout(inputs + self.places[: inputs.shape[1]])
        passed = None
        if self._time_bias != "none":
            until = now if self._time_bias == "request" else told.times
            assert told.times is not None
            assert until is not None
            passed = buckets(until[:, :, None] - told.times[:, None, :])
        for block in self.blocks:
            x = block(x, passed)
        vectors: Tensor = self.norm(x)
        return vectors


def _requests(past: Histories, now: Int64[Tensor, " batch"]) -> Int64[Tensor, "batch length"]:
    """The moment of the request that came after each event: the next event's, and that of the question."""
    assert past.times is not None
    moments = past.times.roll(-1, 1)
    moments[past.last] = now
    return moments


def buckets(seconds: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """How long a time is, as one of 128 codes on a logarithmic scale; all that is longer than the last is the last."""
    size = seconds.abs().clamp(min=1).double().log()
    return (size / BUCKET_WIDTH).long().clamp(max=N_BUCKETS - 1)


class Block(nn.Module):
    """Gated pointwise attention.

    Args:
        dim: Length of the vectors.
        heads: Parts of them that attend for themselves.
        dropout: Share of the gated output that is dropped in training.
        history_length: Most positions; the weights of attention are divided by it.
        timed: Whether there is a number for each bucket of time.
    """

    def __init__(
        self, dim: int, heads: int, dropout: float, history_length: int, *, timed: bool
    ) -> None:
        super().__init__()
        self._heads, self._longest = heads, history_length
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for _ in range(2))
        self.project = nn.Linear(dim, 4 * dim)
        self.join = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        self.place_bias = nn.Parameter(torch.zeros(history_length))
        self.time_bias = nn.Parameter(torch.zeros(N_BUCKETS)) if timed else None

    def forward(
        self,
        x: Float[Tensor, "batch length dim"],
        passed: Int64[Tensor, "batch length length"] | None,
    ) -> Float[Tensor, "batch length dim"]:
        """The positions, each with what it took from those up to it.

        Args:
            x: The positions.
            passed: Bucket of the time between each position and each other.
        """
        views = silu(self.project(self.norms[0](x))).chunk(4, dim=-1)
        gate, values, queries, keys = (
            view.reshape(*x.shape[:2], self._heads, -1) for view in views
        )
        position = torch.arange(x.shape[1], device=x.device)
        distance = position[:, None] - position
        bias = take_rows(self.place_bias, distance.clamp(min=0))
        if self.time_bias is not None:
            assert passed is not None
            bias = (bias + take_rows(self.time_bias, passed))[:, None]
        scores = torch.einsum("bqhd,bkhd->bhqk", queries, keys) + bias
        weights = silu(scores) * ((distance >= 0) / self._longest)
        taken = torch.einsum("bhqk,bkhd->bqhd", weights, values).flatten(2)
        gated = self.norms[1](taken) * gate.flatten(2)
        out: Tensor = x + self.join(self.dropout(gated))
        return out

"""When and where the events of a history, and the request after it, took place: the same in training and in a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor

from recsys_cli.data.batches import Sequences
from recsys_cli.data.context import READS
from recsys_cli.data.queries import Queries
from recsys_cli.models.framings.self_attention import oldest_first
from recsys_cli.models.layers import ContextVectors, Moments


@dataclass(frozen=True, eq=False)
class Histories:
    """Histories as in training: oldest event first, padded on the right.

    Attributes:
        items: Codes; 0 at padding.
        lengths: Events of each.
        times: Seconds; None where they are not read.
        context: Column -> codes.
    """

    items: Int64[Tensor, "batch length"]
    lengths: Int64[Tensor, " batch"]
    times: Int64[Tensor, "batch length"] | None = None
    context: Mapping[str, Int64[Tensor, "batch length"]] = field(default_factory=dict)

    @property
    def last(self) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
        """Row and position of each history's last event; the first position where it has none."""
        rows = torch.arange(len(self.items), device=self.items.device)
        return rows, (self.lengths - 1).clamp(min=0)


def histories(queries: Queries) -> Histories:
    """The histories of some questions, laid out as in training."""
    assert queries.items is not None
    items, lengths = oldest_first(queries.items)
    longest = items.shape[1]
    at = torch.arange(longest, device=items.device) + longest - lengths[:, None]
    at = at.clamp(max=longest - 1)
    return Histories(
        items=items,
        lengths=lengths,
        times=None if queries.times is None else queries.times.gather(1, at),
        context={name: codes.gather(1, at).clamp(min=0) for name, codes in queries.context.items()},
    )


def of_events(told: Sequences | Histories) -> Moments:
    """The moment of each event, (batch, length), and of the one before it; the first has none before it."""
    times = told.times
    before = None if times is None else torch.cat([times[:, :1], times[:, :-1]], 1)
    return Moments(times, before, told.context)


def asked_for(batch: Sequences, at: Int64[Tensor, " examples"]) -> Moments:
    """The moments of the events to be predicted, with what is known of them by then.

    Args:
        batch: Windows.
        at: Positions of the events before them, counted row by row.
    """
    now = None if batch.now is None else batch.now.flatten()[at]
    before = None if batch.times is None else batch.times.flatten()[at]
    return Moments(now, before, {name: codes.flatten()[at] for name, codes in batch.asked.items()})


def asked_by(queries: Queries, past: Histories) -> Moments:
    """The moments of some questions, with what is known of them."""
    before = None if past.times is None else past.times[past.last]
    return Moments(queries.now, before, queries.asked)


def read_by(context: ContextVectors) -> frozenset[str]:
    """The fields of a query that the vectors of the moments of events need, beside the items."""
    columns = {f"{READS}{name}" for name in context.columns}
    return frozenset(columns | ({"times", "now"} if context.reads_clock else set()))

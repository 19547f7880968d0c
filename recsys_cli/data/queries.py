"""The one question asked of every model: given a user, what they did so far, and the moment now, what is next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from recsys_cli.data.context import READS, is_asked
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError

FIELDS = frozenset({"users", "items", "times", "now"})
PADDING = -1


@dataclass(frozen=True, eq=False)
class Queries:
    """A block of questions. A field that the model does not read is None.

    Attributes:
        users: Codes; -1 = a user without any event in the training data.
        items: The history, oldest first, padded on the left with -1.
        times: Seconds of the history's events, padded on the left with -1.
        now: Seconds at the moment of the question.
        context: Column -> codes of the history's events, padded on the left with -1.
        asked: Column -> code at the moment of the question; without those that come with the answer.
    """

    users: Int64[Tensor, " batch"] | None = None
    items: Int64[Tensor, "batch length"] | None = None
    times: Int64[Tensor, "batch length"] | None = None
    now: Int64[Tensor, " batch"] | None = None
    context: Mapping[str, Int64[Tensor, "batch length"]] = field(default_factory=dict)
    asked: Mapping[str, Int64[Tensor, " batch"]] = field(default_factory=dict)

    def __len__(self) -> int:
        present = (self.users, self.items, self.times, self.now)
        return next(len(column) for column in present if column is not None)

    def to(self, device: torch.device) -> Queries:
        """The same questions on a device."""

        def move(column: Tensor | None) -> Tensor | None:
            return None if column is None else column.to(device)

        return Queries(
            users=move(self.users),
            items=move(self.items),
            times=move(self.times),
            now=move(self.now),
            context={name: column.to(device) for name, column in self.context.items()},
            asked={name: column.to(device) for name, column in self.asked.items()},
        )


def make_queries(
    holdout: Holdout,
    users: NDArray[Any],
    reads: frozenset[str],
    history_length: int | None = None,
) -> Queries:
    """The questions of these users, with just the fields that a model reads.

    Args:
        holdout: The events known so far and the events to be predicted.
        users: Codes of users with at least one target.
        reads: Names of the fields to build, out of `FIELDS`, and `context.NAME` for columns of context.
        history_length: Keep at most this many latest events of each history; None keeps all.

    Raises:
        DataError: A column of context is to be read that the events or the questions do not have.
    """
    codes = users if holdout.askers is None else holdout.askers[users]
    known = torch.from_numpy(np.where(holdout.warm_users[users], codes, -1).astype(np.int64))
    columns = sorted(name.removeprefix(READS) for name in reads if name.startswith(READS))
    items = times = now = None
    context = {}
    if reads & {"items", "times"} or columns:
        history = holdout.history
        stop = history.offsets[users + 1]
        start = history.offsets[users]
        if history_length is not None:
            start = np.maximum(start, stop - history_length)
        longest = max(int((stop - start).max(initial=0)), 1)
        at = stop[:, None] - longest + np.arange(longest)  # (batch, length)
        real = at >= start[:, None]
        at = np.where(real, at, 0)
        if "items" in reads:
            items = _padded(history.items, at, real)
        if "times" in reads and history.times is not None:
            times = _padded(history.times, at, real)
        context = {name: _padded(_column(history, name), at, real) for name in columns}
    targets = holdout.targets
    first = targets.offsets[users]
    if "now" in reads and targets.times is not None:
        now = torch.from_numpy(targets.times[first].astype(np.int64))
    asked = {
        name: torch.from_numpy(_column(targets, name)[first].astype(np.int64))
        for name in columns
        if is_asked(name)
    }
    return Queries(known if "users" in reads else None, items, times, now, context, asked)


def _column(events: Interactions, name: str) -> NDArray[np.int32]:
    if name not in events.context:
        raise DataError(
            f"the model reads the context {name}, which is not known here",
            "train it without: model.context=[]",
        )
    return events.context[name]


def _padded(column: NDArray[Any], at: NDArray[Any], real: NDArray[Any]) -> Tensor:
    if not len(column):
        return torch.full(at.shape, PADDING, dtype=torch.int64)
    return torch.from_numpy(np.where(real, column[at], PADDING).astype(np.int64))

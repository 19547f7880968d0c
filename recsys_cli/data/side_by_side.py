"""Sessions side by side, an event of each a step, as the authors of GRU4Rec train it (Hidasi et al. 2016).

There are so many lanes. In the order in which sessions began, each is put into the lane that is free first, one event
a step, so that a model can hand on the state of each lane from step to step; where a session begins it starts anew. At
the end, when no session is left, there are fewer lanes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy.typing import NDArray
from torch import Tensor

from recsys_cli.data.batches import DrawnItems, Negatives, windows_of
from recsys_cli.data.interactions import Interactions
from recsys_cli.errors import ConfigError
from recsys_cli.seeds import generator


@dataclass(frozen=True, eq=False)
class SideBySide:
    """One event of each of some sessions.

    Attributes:
        items: The event in each lane.
        targets: The next event's item.
        lanes: The number of each lane; ascending, and without those that have no session any more.
        first: Whether the event is the first of its session.
        negatives: What the model draws to compare with; None where it takes all items.
    """

    items: Int64[Tensor, " lanes"]
    targets: Int64[Tensor, " lanes"]
    lanes: Int64[Tensor, " lanes"]
    first: Bool[Tensor, " lanes"]
    negatives: Negatives | None = None

    def __len__(self) -> int:
        return len(self.items)


class SideBySideBatches:
    """Every event but a session's first is predicted once an epoch; the order is that of time and always the same.

    Args:
        interactions: The events; a user is a session. One of more than `model.history_length` events and one is cut.
        model: Says how many `lanes` there are, and what it wants drawn, as for `SequenceBatches`.
        batch_size: The same number: a step is an event of each lane.
        seed: From which negatives are derived.
        device: Where the batches are to be.
    """

    name: ClassVar[str] = "side_by_side"

    def __init__(
        self,
        interactions: Interactions,
        model: Any,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        check_lanes(model.lanes, batch_size)
        starts, lengths = windows_of(interactions, model.history_length)
        self.n_examples = int(lengths.sum())
        if interactions.times is not None:
            order = np.argsort(interactions.times[starts], kind="stable")
            starts, lengths = starts[order], lengths[order]
        lanes, steps = schedule(lengths, model.lanes)
        place = np.arange(self.n_examples) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        step = np.repeat(steps, lengths) + place
        lane = np.repeat(lanes, lengths)
        order = np.lexsort((lane, step))
        self._rows = (np.repeat(starts, lengths) + place)[order]
        self._lanes, self._first = lane[order], (place == 0)[order]
        self._cuts = np.searchsorted(step[order], np.arange(int(step.max()) + 2))
        self._items = interactions.items
        self._drawn = DrawnItems(interactions, model, device)
        self._seed, self._device = seed, device

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def epoch(self, number: int) -> Iterator[SideBySide]:
        """The steps of epoch `number`, on the device: the same in each, but for what is drawn."""
        draws = generator(self._seed, "negatives", number)
        for start, stop in zip(self._cuts[:-1], self._cuts[1:], strict=True):
            rows = self._rows[start:stop]
            yield SideBySide(
                items=self._tensor(self._items[rows]),
                targets=self._tensor(self._items[rows + 1]),
                lanes=self._tensor(self._lanes[start:stop]),
                first=torch.from_numpy(self._first[start:stop]).to(self._device),
                negatives=self._drawn.draw((len(rows),), draws),
            )

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self._device)


def check_lanes(lanes: int, batch_size: int | None) -> None:
    """Refuse steps of another size.

    Raises:
        ConfigError: The two are not the same.
    """
    if batch_size != lanes:
        raise ConfigError(
            f"model.lanes={lanes} and trainer.batch_size={batch_size}: a step is one event of each lane",
            f"trainer.batch_size={lanes}",
        )


def schedule(
    lengths: NDArray[np.int64], n_lanes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lane of each session and the step at which it begins: in order, each where it can begin first.

    Args:
        lengths: Steps that each session takes.
        n_lanes: Lanes; of those that are free at once the lowest is taken.
    """
    free = [(0, lane) for lane in range(n_lanes)]
    lanes, steps = np.empty_like(lengths), np.empty_like(lengths)
    for session, length in enumerate(lengths.tolist()):
        step, lane = free[0]
        lanes[session], steps[session] = lane, step
        heapq.heapreplace(free, (step + length, lane))
    return lanes, steps

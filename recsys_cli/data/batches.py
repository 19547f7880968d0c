"""What gradient descent reads, an epoch at a time.

The order of an epoch depends on the seed and the epoch's number alone, so any epoch can be repeated, and
every device sees the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from recsys_cli.data.context import READS, is_asked
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.sampling import UnseenItems
from recsys_cli.errors import DataError
from recsys_cli.seeds import generator, numpy_generator

BLOCK_EVENTS = 1 << 18  # some thousand users: their vectors fit a core's own cache
BLOCK_DRAWS = 1 << 22  # negatives held at once
JITTER = 0.1  # windows whose lengths differ by less than this share may change places


@dataclass(frozen=True, eq=False)
class Pairs:
    """Events, each with items that its user has no event with.

    Attributes:
        users: Codes.
        items: The item of the event.
        negatives: Unseen items, drawn anew each epoch.
    """

    users: Int64[Tensor, " batch"]
    items: Int64[Tensor, " batch"]
    negatives: Int64[Tensor, "batch negatives"]

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, eq=False)
class Negatives:
    """Items that the examples of a batch are told from.

    Attributes:
        items: Drawn with replacement, of all items of the training data, for all examples together or for each
            position, then as (batch, length, negatives); an example's own target may be among them.
        log_chance: Logarithm of each item's chance in one draw.
        log_share: Logarithm of each item's share of the training events, an item without any counted as one with one;
            None where the model makes no use of it.
    """

    items: Int64[Tensor, "*position negatives"]
    log_chance: Float[Tensor, " items"]
    log_share: Float[Tensor, " items"] | None = None

    def at(self, positions: Int64[Tensor, " examples"]) -> Negatives:
        """Those of some positions, counted row by row; what is shared stays as it is."""
        if self.items.dim() == 1:
            return self
        return replace(self, items=self.items.flatten(0, 1)[positions])


@dataclass(frozen=True)
class Draws:
    """How a model of sequences wants its negatives drawn.

    Attributes:
        power: An item's chance grows with its events to this power, 0 = all items alike; None = half of the draws
            by events, half as any other item.
        each: Whether every position has draws of its own, instead of one set for all of a step.
    """

    power: float | None = None
    each: bool = False


@dataclass(frozen=True, eq=False)
class Sequences:
    """Windows of users' histories, oldest event first, padded on the right.

    Position t knows the events 0 .. t and is to predict the event t + 1.

    Attributes:
        items: The event at each position; 0 at padding.
        times: Its seconds; None where the model does not read them.
        targets: The next event's item.
        now: The next event's seconds: the moment of the request.
        real: False at padding.
        negatives: What the model draws to compare with; None where it takes all items.
        context: Column -> the event's code.
        asked: Column -> the next event's code; without the columns that come with the answer.
    """

    items: Int64[Tensor, "batch length"]
    times: Int64[Tensor, "batch length"] | None
    targets: Int64[Tensor, "batch length"]
    now: Int64[Tensor, "batch length"] | None
    real: Bool[Tensor, "batch length"]
    negatives: Negatives | None = None
    context: Mapping[str, Int64[Tensor, "batch length"]] = field(default_factory=dict)
    asked: Mapping[str, Int64[Tensor, "batch length"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.real.sum())


class Batches(Protocol):
    """An endless supply of epochs.

    Attributes:
        n_examples: Things to be predicted in an epoch.
    """

    n_examples: int

    def __len__(self) -> int:
        """Steps an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[Any]:
        """The batches of epoch `number`, on the device."""
        ...


class PairBatches:
    """Every event once an epoch, in random order; a user who has met every item has no negatives and is left out.

    Order is random in two steps, so that what a stretch of an epoch touches stays in the processor's cache however
    large the data: users are put into blocks by chance once, an epoch takes the blocks in random order, and the
    events of a block are shuffled.

    Args:
        interactions: The events.
        model: Says how many `negatives` an event has.
        batch_size: Most events in a batch.
        seed: From which order and negatives are derived.
        device: Where the batches are to be.
        unseen: Draws the negatives.
    """

    name: ClassVar[str] = "pairs"

    def __init__(
        self,
        interactions: Interactions,
        model: Any,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        unseen: type[UnseenItems] = UnseenItems,
    ) -> None:
        self._unseen = unseen(interactions, device)
        has_unseen = self._unseen.n_unseen.cpu().numpy() > 0
        users = numpy_generator(seed, "blocks").permutation(np.flatnonzero(has_unseen))
        rows, sizes = _rows_of(users, interactions.offsets)
        self.n_examples = len(rows)
        if not self.n_examples:
            raise DataError("every user has met every item: there are no negatives to learn from")
        self._users = torch.from_numpy(np.repeat(users, sizes)).to(device)
        self._items = torch.from_numpy(interactions.items[rows].astype(np.int64)).to(device)
        self._negatives: int = model.negatives
        self._batch_size, self._seed, self._device = batch_size, seed, device
        largest = max(batch_size, min(BLOCK_EVENTS, BLOCK_DRAWS // self._negatives))
        self._blocks = _blocks(sizes, largest)
        # asked for at every step
        self._steps = sum(-(-size // batch_size) for size in np.diff(self._blocks).tolist())

    def __len__(self) -> int:
        return self._steps

    def epoch(self, number: int) -> Iterator[Pairs]:
        """The batches of epoch `number`, on the device; the last of a block may be smaller."""
        draws = generator(self._seed, "negatives", number)
        shuffle = generator(self._seed, "order", number)
        for block in torch.randperm(len(self._blocks) - 1, generator=shuffle).tolist():
            start, stop = self._blocks[block], self._blocks[block + 1]
            users, items = self._users[start:stop], self._items[start:stop]
            negatives = self._unseen.draw(users, self._negatives, draws)  # users are in order here
            order = torch.randperm(stop - start, generator=shuffle).to(self._device)
            users, items = users.index_select(0, order), items.index_select(0, order)
            if self._negatives == 1:
                # numbers are picked several times as fast as rows of one number
                negatives = negatives.view(-1).index_select(0, order)[:, None]
            for first in range(0, stop - start, self._batch_size):
                rows = slice(first, first + self._batch_size)
                drawn = negatives[rows] if self._negatives == 1 else negatives[order[rows]]
                yield Pairs(users[rows], items[rows], drawn)


def _rows_of(
    users: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of these users, one user after the other, and how many each has."""
    sizes = np.diff(offsets)[users]
    before = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(offsets[users] - before, sizes), sizes


def _blocks(sizes: NDArray[np.int64], largest: int) -> list[int]:
    """Where blocks of whole users begin and end: as few as have about `largest` events or less, of like size."""
    ends = np.cumsum(sizes)
    count = -(-int(ends[-1]) // largest)
    wanted = np.linspace(0, int(ends[-1]), count + 1)[1:]
    cuts = ends[np.minimum(np.searchsorted(ends, wanted - 0.5), len(ends) - 1)]
    return [0, *np.unique(cuts).tolist()]


class DrawnItems:
    """Draws what the positions of a step are told from, as the model wants it.

    Args:
        interactions: The events, by which an item's chance may grow.
        model: Has `negatives` draws, or None of them, and may say in `draws` how they are drawn.
        device: Where they are to be.
    """

    def __init__(self, interactions: Interactions, model: Any, device: torch.device) -> None:
        self._n_negatives: int | None = model.negatives
        self._draws: Draws = getattr(model, "draws", Draws())
        chances = _chances(interactions, self._draws.power)
        self._below = chances.cumsum(0)[:-1]
        self._log_chance = chances.log().float().to(device)
        self._log_share = _chances(interactions, 1.0).log().float().to(device)
        self._device = device

    def draw(self, positions: tuple[int, ...], random: torch.Generator) -> Negatives | None:
        """Those of a step; None where the model wants none.

        Args:
            positions: Shape of the step, for draws of each position's own.
            random: Moves on.
        """
        if self._n_negatives is None:
            return None
        shape = (*(positions if self._draws.each else ()), self._n_negatives)
        uniform = torch.rand(shape, generator=random, dtype=torch.float64)
        drawn = torch.searchsorted(self._below, uniform, right=True)
        return Negatives(drawn.to(self._device), self._log_chance, self._log_share)


class SequenceBatches:
    """Windows of at most `model.history_length` events that do not overlap, in batches of like length.

    Every event but a user's first is predicted once an epoch. A batch holds at most `batch_size` positions (or one
    window), so that padding is small and steps cost alike; which windows of like length meet in a batch, and the
    order of the batches, is another in each epoch.

    A model has `negatives` draws, or None of them; how they are drawn it may say in `draws`, a `Draws`.
    """

    name: ClassVar[str] = "sequences"

    def __init__(
        self,
        interactions: Interactions,
        model: Any,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self._starts, self._lengths = windows_of(interactions, model.history_length)
        self.n_examples = int(self._lengths.sum())
        self._items = interactions.items
        self._times = interactions.times if "times" in model.reads else None
        read = sorted(name.removeprefix(READS) for name in model.reads if name.startswith(READS))
        self._context = {name: interactions.context[name] for name in read}
        self._cuts = _cuts(self._lengths, batch_size)
        self._drawn = DrawnItems(interactions, model, device)
        self._seed, self._device = seed, device

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def epoch(self, number: int) -> Iterator[Sequences]:
        """The batches of epoch `number`, on the device."""
        random = numpy_generator(self._seed, "order", number)
        draws = generator(self._seed, "negatives", number)
        jittered = self._lengths * (1 + JITTER * random.random(len(self._lengths)))
        order = np.argsort(jittered, kind="stable")
        for batch in random.permutation(len(self)):
            chosen = order[self._cuts[batch] : self._cuts[batch + 1]]
            positions = (len(chosen), int(self._lengths[chosen].max()))
            yield self._gather(chosen, self._drawn.draw(positions, draws))

    def _gather(self, chosen: NDArray[np.int64], negatives: Negatives | None) -> Sequences:
        starts, lengths = self._starts[chosen], self._lengths[chosen]
        position = np.arange(lengths.max())
        real = position < lengths[:, None]
        at = np.where(real, starts[:, None] + position, starts[:, None])  # (batch, length)

        def column(values: NDArray[Any], shift: int) -> Tensor:
            picked = np.where(real, values[at + shift], 0).astype(np.int64)
            return torch.from_numpy(picked).to(self._device)

        return Sequences(
            items=column(self._items, 0),
            times=None if self._times is None else column(self._times, 0),
            targets=column(self._items, 1),
            now=None if self._times is None else column(self._times, 1),
            real=torch.from_numpy(real).to(self._device),
            negatives=negatives,
            context={name: column(codes, 0) for name, codes in self._context.items()},
            asked={n: column(codes, 1) for n, codes in self._context.items() if is_asked(n)},
        )


def _chances(interactions: Interactions, power: float | None) -> Float64[Tensor, " items"]:
    """Chance of each item to be drawn, as `Draws.power` says; an item without events counts as one with one."""
    counts = torch.from_numpy(interactions.item_counts).double()
    if power is None:
        return (counts / counts.sum() + 1 / len(counts)) / 2
    weights = counts.clamp(min=1) ** power
    return weights / weights.sum()


def _cuts(lengths: NDArray[np.int64], batch_size: int) -> list[int]:
    """Where batches of windows in jittered order begin and end.

    They are the same in all epochs, so that all have as many steps: the window at a place is never longer than the
    one at this place in plain order, jittered as far as can be.
    """
    most = np.minimum(np.floor(np.sort(lengths) * (1 + JITTER)), lengths.max())
    ends = np.cumsum(most)
    cuts = [0]
    while cuts[-1] < len(lengths):
        before = ends[cuts[-1] - 1] if cuts[-1] else 0
        cut = int(np.searchsorted(ends, before + batch_size, side="right"))
        cuts.append(max(cut, cuts[-1] + 1))
    return cuts


def windows_of(
    interactions: Interactions, longest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The windows of some events.

    Raises:
        DataError: There is none, as no user has two events.
    """
    starts, lengths = windows(interactions.offsets, longest)
    if not len(lengths):
        raise DataError("no user has two events in training: there is no sequence to learn from")
    return starts, lengths


def windows(
    offsets: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start row and length of each window: each user's n - 1 inputs, cut from the latest backwards.

    Args:
        offsets: Where each user's rows begin.
        longest: Most inputs in a window.
    """
    inputs = np.maximum(np.diff(offsets) - 1, 0)
    per_user = -(-inputs // longest)
    user = np.repeat(np.arange(len(inputs)), per_user)
    from_end = np.arange(len(user)) - np.repeat(np.cumsum(per_user) - per_user, per_user)
    stop = inputs[user] - from_end * longest
    start = np.maximum(stop - longest, 0)
    return offsets[user] + start, stop - start

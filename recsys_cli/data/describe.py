"""A data set in numbers: how much there is, when it happened, and how unequally it falls on users and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions

SITTING_GAP_SECONDS = 3_600
DAY_SECONDS = 86_400
MOST_KINDS = (
    12  # ratings have 5 or 10 kinds of value; more are a measure, and a histogram says little
)

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """How a count spreads over those who are counted: least, quartiles, greatest, mean."""

    least: float
    lower: float
    median: float
    upper: float
    greatest: float
    mean: float


@dataclass(frozen=True)
class Values:
    """The ratings or counts of the events.

    Attributes:
        least: The smallest.
        greatest: The largest.
        mean: Their mean.
        counts: How many events have each value, ascending; empty where there are more than a dozen values.
    """

    least: float
    greatest: float
    mean: float
    counts: Mapping[float, int]


@dataclass(frozen=True)
class Times:
    """When events happened, in UTC, and in which sittings.

    A sitting is a run of events of a user with no gap of more than an hour.

    Attributes:
        first: The earliest event, ISO 8601.
        last: The latest event.
        days: Days between them.
        whole_days: Whether the clock tells days only, so that sittings are days and hours mean nothing.
        sittings: How many there are.
        sittings_per_user: How they spread over users.
        users_with_one_sitting: Share of users all of whose events are of one sitting.
        gaps_within_sittings: Share of the gaps between a user's successive events of at most an hour.
        gaps_of_nothing: Share of these gaps that are 0 s: the order of such events is that of the file.
    """

    first: str
    last: str
    days: float
    whole_days: bool
    sittings: int
    sittings_per_user: Spread
    users_with_one_sitting: float
    gaps_within_sittings: float
    gaps_of_nothing: float


@dataclass(frozen=True)
class Description:
    """What there is to know of a data set before a model is chosen.

    Attributes:
        users: Users of the data set.
        items: Items of the catalogue.
        items_without_event: Items of the catalogue that nobody took.
        events: Events.
        repeats: Events of a user with an item that they had before.
        density: Share of all pairs of user and item that have an event.
        per_user: Events of a user.
        per_item: Events of an item of the catalogue.
        top_1_percent: Share of events with the most popular hundredth of the items (at least one item).
        top_10_percent: Share of events with the most popular tenth.
        gini: How unequally events fall on items: 0 = all alike, towards 1 = all on one.
        values: Ratings or counts.
        times: Clock and sittings; None where the data has no times.
        context: Name of each context column -> how many values it takes.
        digest: SHA-256 of the whole content.
    """

    users: int
    items: int
    items_without_event: int
    events: int
    repeats: int
    density: float
    per_user: Spread
    per_item: Spread
    top_1_percent: float
    top_10_percent: float
    gini: float
    values: Values
    times: Times | None
    context: Mapping[str, int]
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields."""
        plain = asdict(self)
        plain["values"]["counts"] = {f"{value:g}": n for value, n in self.values.counts.items()}
        return plain


def describe(interactions: Interactions) -> Description:
    """Count everything; a pass or two over the events."""
    n_users, n_items = interactions.n_users, interactions.n_items
    per_user, per_item = np.diff(interactions.offsets), interactions.item_counts
    pairs = _distinct(interactions.users.astype(np.int64) * n_items + interactions.items)
    return Description(
        users=n_users,
        items=n_items,
        items_without_event=int((per_item == 0).sum()),
        events=len(interactions),
        repeats=len(interactions) - pairs,
        density=pairs / (n_users * n_items),
        per_user=spread(per_user),
        per_item=spread(per_item),
        top_1_percent=top_share(per_item, 0.01),
        top_10_percent=top_share(per_item, 0.1),
        gini=gini(per_item),
        values=_values(interactions.values),
        times=_times(interactions),
        context={name: _distinct(column) for name, column in interactions.context.items()},
        digest=interactions.digest(),
    )


def spread(counts: Counts) -> Spread:
    """Quartiles and mean of a count."""
    quartiles = np.quantile(counts, [0, 0.25, 0.5, 0.75, 1])
    return Spread(*(float(value) for value in quartiles), mean=float(counts.mean()))


def top_share(per_item: Counts, part: float) -> float:
    """Share of events with the most popular `part` of the items, at least one item."""
    n_top = max(1, round(part * len(per_item)))
    return float(np.sort(per_item)[-n_top:].sum() / per_item.sum())


def gini(per_item: Counts) -> float:
    """Mean difference between two items' events, as a share of twice the mean: 0 = all alike."""
    ascending = np.sort(per_item).astype(np.float64)
    n = len(ascending)
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float((weights * ascending).sum() / (n * ascending.sum()))


def sittings_per_user(interactions: Interactions) -> Counts:
    """How many sittings each user has; the data has times."""
    assert interactions.times is not None
    gap = np.diff(interactions.times)
    begins = np.diff(interactions.users, prepend=-1) != 0
    begins[1:] |= gap > SITTING_GAP_SECONDS
    return np.bincount(interactions.users[begins], minlength=interactions.n_users)


def _times(interactions: Interactions) -> Times | None:
    if interactions.times is None:
        return None
    first, last = int(interactions.times.min()), int(interactions.times.max())
    gaps = np.diff(interactions.times)[np.diff(interactions.users) == 0]
    sittings = sittings_per_user(interactions)
    present = sittings[sittings > 0]
    return Times(
        first=f"{np.datetime64(first, 's')}Z",
        last=f"{np.datetime64(last, 's')}Z",
        days=(last - first) / DAY_SECONDS,
        whole_days=not (interactions.times % DAY_SECONDS).any(),
        sittings=int(sittings.sum()),
        sittings_per_user=spread(present),
        users_with_one_sitting=float((present == 1).mean()),
        gaps_within_sittings=float((gaps <= SITTING_GAP_SECONDS).mean()) if len(gaps) else 1.0,
        gaps_of_nothing=float((gaps == 0).mean()) if len(gaps) else 0.0,
    )


def _values(values: NDArray[np.float32]) -> Values:
    kinds, counts = np.unique(values, return_counts=True)
    few = len(kinds) <= MOST_KINDS
    return Values(
        least=float(kinds[0]),
        greatest=float(kinds[-1]),
        mean=float(values.mean(dtype=np.float64)),
        counts={float(k): int(n) for k, n in zip(kinds, counts, strict=True)} if few else {},
    )


def _distinct(column: NDArray[Any]) -> int:
    """How many different values; sorting is several times faster than a hash of so many."""
    ordered = np.sort(column)
    return int((ordered[1:] != ordered[:-1]).sum()) + 1

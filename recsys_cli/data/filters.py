"""Which events are kept before the split: steps that are named, ordered, recorded and counted.

A step that counts events (`k_core` and its like) counts those of the later test part too, so it knows the future;
every step says so. Users and items that are left without an event leave the vocabularies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from recsys_cli.data.interactions import Interactions
from recsys_cli.errors import ConfigError, DataError, nearest

Step = dict[str, float]


@dataclass(frozen=True)
class Filtered:
    """Events that went through the filter.

    Attributes:
        interactions: What is left.
        steps: What each step left, in order, the data before the first step included.
        leaks: What of the test the filter knew; empty where nothing.
    """

    interactions: Interactions
    steps: list[Remaining]
    leaks: str


@dataclass(frozen=True)
class Remaining:
    """What is left after a step."""

    step: str
    events: int
    users: int
    items: int

    def __str__(self) -> str:
        return f"{self.step}: {self.events:,} events, {self.users:,} users, {self.items:,} items"


def none(*, interactions: Interactions) -> Filtered:
    """Keep everything."""
    return Filtered(interactions, [], "")


def _check_steps(steps: Any) -> list[Step]:
    """One step is one name with one number.

    Raises:
        ConfigError: It is something else, or the number is out of the step's range.
    """
    if not isinstance(steps, list):
        raise ConfigError(
            f"filter.steps={steps!r} is no list", "write [{min_value: 3}, {k_core: 10}]"
        )
    for step in steps:
        if not isinstance(step, Mapping) or len(step) != 1:
            raise ConfigError(
                f"filter.steps: {step!r} is not one name with one number", "write {k_core: 10}"
            )
        ((name, value),) = step.items()
        if name not in STEPS:
            raise ConfigError(f"filter.steps: no step called {name!r}", nearest(name, list(STEPS)))
        kinds = (int, float) if name == "min_value" else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds) or not np.isfinite(value):
            raise ConfigError(f"filter.steps: {name}={value!r} is not a number that it takes")
        if name != "min_value" and not 1 <= value <= 1_000_000:
            raise ConfigError(f"filter.steps: {name}={value!r} is not in its range [1, 1000000]")
    return steps


def steps(
    *, interactions: Interactions, steps: Annotated[list[Step], BeforeValidator(_check_steps)]
) -> Filtered:
    """Apply the steps one after the other.

    Args:
        interactions: All events.
        steps: Each a name of `STEPS` with its number.

    Raises:
        DataError: Nothing is left after a step.
    """
    report = [_remaining("before the filter", interactions)]
    for step in steps:
        ((name, number),) = step.items()
        interactions = interactions.take(STEPS[name](interactions, number))
        report.append(_remaining(f"{name} {number:g}", interactions))
        if not len(interactions):
            raise DataError(
                f"filter.steps: nothing is left after {name} {number:g} ({report[-2]})",
                "lower its number",
            )
    counting = [f"{name} {step[name]:g}" for step in steps for name in step if name != "min_value"]
    leaks = (
        f"the filter ({', '.join(counting)}) counted events of all parts, so who and what is in training depends "
        "on the test"
        if counting
        else ""
    )
    return Filtered(interactions.compact(), report, leaks)


def _min_value(events: Interactions, least: float) -> NDArray[np.bool_]:
    """Events of at least this value."""
    kept: NDArray[np.bool_] = events.values >= least
    return kept


def _min_user_events(events: Interactions, least: float) -> NDArray[np.bool_]:
    """Events of users with at least so many."""
    return _enough(events.users, least)


def _min_item_events(events: Interactions, least: float) -> NDArray[np.bool_]:
    """Events of items with at least so many."""
    return _enough(events.items, least)


def _k_core(events: Interactions, least: float) -> NDArray[np.bool_]:
    """Events of the largest set in which every user and every item has at least so many."""
    kept = np.arange(len(events))
    while True:
        enough = _enough(events.users[kept], least) & _enough(events.items[kept], least)
        if enough.all():
            mask = np.zeros(len(events), dtype=bool)
            mask[kept] = True
            return mask
        kept = kept[enough]


def _enough(codes: NDArray[np.int32], least: float) -> NDArray[np.bool_]:
    enough: NDArray[np.bool_] = (np.bincount(codes) >= least)[codes]
    return enough


def _remaining(step: str, events: Interactions) -> Remaining:
    return Remaining(
        step, len(events), len(np.unique(events.users)), int((events.item_counts > 0).sum())
    )


STEPS: dict[str, Callable[[Interactions, float], NDArray[np.bool_]]] = {
    "min_value": _min_value,
    "k_core": _k_core,
    "min_user_events": _min_user_events,
    "min_item_events": _min_item_events,
}

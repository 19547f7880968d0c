"""The upright axes of parallel coordinates: where on an axis each value stands, and which of its marks are named."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from recsys_cli.sweeps.space import Scale

MARGIN = 0.06
MOST_NAMES = 12  # of choices on an axis
APART = 0.08  # of two marks, or their names overlap


@dataclass(frozen=True)
class Ladder:
    """One axis.

    Attributes:
        name: What it measures.
        heights: From 0 at its foot to 1 at its top, of each value.
        ticks: Height and text.
    """

    name: str
    heights: list[float]
    ticks: list[tuple[float, str]]


def ladder(name: str, values: Sequence[Any], scale: Scale, choices: Sequence[Any] | None) -> Ladder:
    """An axis that holds these values; where all are the same they stand in its middle.

    Args:
        name: What it measures.
        values: One at least.
        scale: How values are laid out.
        choices: All that there are, in order, where they are names.
    """
    if choices is not None:
        places = [_height(at, 0, len(choices) - 1) for at in range(len(choices))]
        every = -(-len(choices) // MOST_NAMES)
        ticks = [(places[at], _said(choices[at])) for at in range(0, len(choices), every)]
        return Ladder(name, [places[choices.index(value)] for value in values], ticks)
    low, high = min(values), max(values)
    onto: Callable[[float], float] = math.log if scale == "log" else float

    def height(value: float) -> float:
        return _height(onto(value), onto(low), onto(high))

    named = {height(end): _said(end) for end in (low, high)}
    for mark in _round_numbers(low, high, scale):
        if all(abs(height(mark) - other) > APART for other in named):
            named[height(mark)] = _said(mark)
    return Ladder(name, [height(value) for value in values], list(named.items()))


def _height(value: float, low: float, high: float) -> float:
    return 0.5 if low == high else (value - low) / (high - low)


def _round_numbers(low: float, high: float, scale: Scale) -> list[float]:
    """Marks between the ends: powers of ten, with 2 and 5 times them where there are few, or even steps."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    few = scale == "log" and high / low < 100
    locator = LogLocator(subs=(1, 2, 5) if few else (1,)) if scale == "log" else MaxNLocator(4)
    return [float(mark) for mark in locator.tick_values(low, high) if low < mark < high]


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value).lower() if isinstance(value, bool) else str(value)

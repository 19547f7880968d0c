"""A search space, read from Hydra's override grammar.

`model.rank=16,32`, `range(8,64,8)`, `'tag(log, interval(1e-4, 1e-1))'`, `int(interval(8, 512))`, `model=glob(m*)`:
whatever holds several values is an axis, all else is said to every trial. A trial is nothing but a list of
overrides, so `recsys train` with that list repeats it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from recsys_cli import catalogue, config
from recsys_cli.errors import ConfigError
from recsys_cli.seeds import derive

MOST_VALUES = 10_000  # of one axis
SAME_IN_ALL = ("data", "split", "evaluation", "tracking", "root")
Point = dict[str, Any]
Scale = Literal["linear", "log", "choices"]


@dataclass(frozen=True)
class Axis:
    """One setting that is searched.

    Attributes:
        key: What stands left of `=`, with a leading `+` where it was typed.
        typed: The whole override as typed.
        distribution: From what a sampler draws. Choices are kept as the text of an override.
        values: All values as text, in the order of trying; None for an interval, which has no end of them.
        ends: Values as text that stand for all when settings are checked: every choice, the two ends of a range.
    """

    key: str
    typed: str
    distribution: BaseDistribution
    values: tuple[str, ...] | None
    ends: tuple[str, ...]

    @property
    def name(self) -> str:
        """The key without the sign that adds it."""
        return self.key.lstrip("+")

    @property
    def scale(self) -> Scale:
        """How its values are laid out: at even distances, at even ratios, or as names."""
        if isinstance(self.distribution, CategoricalDistribution):
            return "choices"
        return "log" if getattr(self.distribution, "log", False) else "linear"

    def text(self, value: Any) -> str:
        """A drawn value as it is typed after `=`; 12 digits, because 0.30000000000000004 is meant as 0.3."""
        return repr(float(f"{value:.12g}")) if isinstance(value, float) else str(value)

    def short(self, value: Any) -> str:
        """Enough of a drawn value to compare trials by eye."""
        return f"{value:.4g}" if isinstance(value, float) else self.text(value)

    def drawn(self, text: str) -> Any:
        """The value whose text this is."""
        if isinstance(self.distribution, CategoricalDistribution):
            return text
        return int(text) if isinstance(self.distribution, IntDistribution) else float(text)


@dataclass(frozen=True)
class Space:
    """What is the same in all trials, and what is searched."""

    fixed: tuple[str, ...]
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int | None:
        """Number of points; None where an axis is an interval."""
        sizes = [len(axis.values) for axis in self.axes if axis.values is not None]
        return math.prod(sizes) if len(sizes) == len(self.axes) else None

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Key -> from what it is drawn."""
        return {axis.key: axis.distribution for axis in self.axes}

    def grid(self) -> Iterator[Point]:
        """All points, the last axis changing fastest; none where an axis is an interval."""
        for texts in product(*(axis.values or () for axis in self.axes)):
            yield {axis.key: axis.drawn(text) for axis, text in zip(self.axes, texts, strict=True)}

    def texts(self, point: Mapping[str, Any]) -> dict[str, str]:
        """Key -> value as typed."""
        return {axis.key: axis.text(point[axis.key]) for axis in self.axes}

    def overrides(self, point: Mapping[str, Any]) -> list[str]:
        """The overrides that are this trial."""
        return [*self.fixed, *(f"{key}={text}" for key, text in self.texts(point).items())]


def read(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> Space:
    """Take overrides apart into what is fixed and what is searched.

    Raises:
        ConfigError: Nothing is searched, or an axis is empty, endless or wrongly tagged.
    """
    parsed = config.parse(overrides, config_dirs)
    axes = tuple(
        _axis(override, config_dirs) for override in parsed if override.is_sweep_override()
    )
    if not axes:
        raise ConfigError(
            "nothing to search: no setting is given several values",
            "like model.rank=16,32,64 or 'trainer.lr=tag(log, interval(1e-4, 1e-1))', or name a --space",
        )
    fixed = (
        text
        for text, override in zip(overrides, parsed, strict=True)
        if not override.is_sweep_override()
    )
    return Space(tuple(fixed), axes)


def _axis(override: Override, config_dirs: Sequence[Path]) -> Axis:
    sweep: Any = override.value()
    tags = set(getattr(sweep, "tags", ()))
    if tags - ({"log"} if isinstance(sweep, IntervalSweep) else set()):
        raise ConfigError(
            f"{override.input_line}: nothing reads the tag {', '.join(sorted(tags))} here",
            "log goes with an interval: tag(log, interval(1e-4, 1e-1))",
        )
    if isinstance(sweep, IntervalSweep):
        return _interval(override, sweep, log="log" in tags)
    if isinstance(sweep, RangeSweep):
        return _range(override, sweep)
    if isinstance(sweep, Glob):
        names = sweep.filter(catalogue.names(override.key_or_group, config_dirs))
        if not names:
            raise ConfigError(f"{override.input_line}: no {override.key_or_group} is called so")
        return _axis_of(override, CategoricalDistribution(names), names, ends=names)
    return _choice(override, sweep)


def _interval(override: Override, sweep: IntervalSweep, *, log: bool) -> Axis:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not -math.inf < low < high < math.inf:
        raise ConfigError(
            f"{override.input_line}: an interval goes from a number to a higher one, both finite",
            f"like {override.get_key_element()}=interval(0.001, 0.1)",
        )
    if log and low <= 0:
        raise ConfigError(f"{override.input_line}: a logarithmic interval starts above 0")
    distribution: BaseDistribution
    if isinstance(low, int) and isinstance(high, int):
        distribution = IntDistribution(low, high, log)
    else:
        distribution = FloatDistribution(low, high, log)
    return _axis_of(override, distribution, None, ends=(repr(low), repr(high)))


def _range(override: Override, sweep: RangeSweep) -> Axis:
    parts = (sweep.start or 0, sweep.stop or 0, sweep.step)
    if not all(map(math.isfinite, parts)) or sweep.step == 0:
        raise ConfigError(
            f"{override.input_line}: a range has finite ends and a step that is not 0"
        )
    # In decimals as typed: 3 * 0.1 is 0.3, and range(0, 0.9, 0.3) stops before 0.9.
    start, stop, step = (Decimal(str(part)) for part in parts)
    n_values = math.ceil((stop - start) / step)
    if not 0 < n_values <= MOST_VALUES:
        raise ConfigError(
            f"{override.input_line}: a range holds 1 to {MOST_VALUES:,} values",
            "range(start, stop, step) stops before its second number; for more values use interval",
        )
    whole = all(isinstance(part, int) for part in parts)
    numbers = [(int if whole else float)(start + step * at) for at in range(n_values)]
    low, high = min(numbers), max(numbers)
    distribution: BaseDistribution
    if whole:
        distribution = IntDistribution(int(low), int(high), step=abs(int(step)))
    else:
        distribution = FloatDistribution(low, high, step=abs(float(step)))
    values = _in_order(override, sweep, [repr(number) for number in numbers])
    return _axis_of(override, distribution, values, ends=dict.fromkeys((repr(low), repr(high))))


def _choice(override: Override, sweep: ChoiceSweep) -> Axis:
    texts = map(Transformer.str, sweep.list)
    # Hydra writes Python's True for a true that was typed.
    written = [text.lower() if text in ("True", "False") else text for text in texts]
    values = _in_order(override, sweep, written)
    return _axis_of(override, CategoricalDistribution(values), values, ends=values)


def _in_order(override: Override, sweep: ChoiceSweep | RangeSweep, values: list[str]) -> list[str]:
    """`shuffle(...)` gives the same order each time, or no sweep could be continued."""
    if sweep.shuffle:
        random.Random(derive(0, "shuffle", override.key_or_group)).shuffle(values)
    return values


def _axis_of(
    override: Override,
    distribution: BaseDistribution,
    values: Sequence[str] | None,
    *,
    ends: Iterable[str],
) -> Axis:
    return Axis(
        key=override.get_key_element(),
        typed=override.input_line or "",
        distribution=distribution,
        values=None if values is None else tuple(values),
        ends=tuple(ends),
    )


def check(space: Space, config_dirs: Sequence[Path] = ()) -> config.Config:
    """Compose and check every listed value and every end, before anything runs.

    Choices of groups are tried with each other, other axes one at a time beside the first values of the rest.

    Returns:
        The settings of the first point.

    Raises:
        ConfigError: A trial's settings are refused, two trials would be the same experiment, or the trials
            would not be comparable.
    """
    probes = list(_probes(space, catalogue.groups(config_dirs)))
    first = config.load([*space.fixed, *probes[0]], config_dirs)
    made = {first.hash: probes[0]}
    for said in probes[1:]:
        settings = config.load([*space.fixed, *said], config_dirs)
        _comparable(first, settings, said)
        same = made.setdefault(settings.hash, said)
        if same is not said:
            raise ConfigError(
                f"{' '.join(same)} and {' '.join(said)} are the same experiment",
                "leave one out: nothing that is measured would differ",
            )
    return first


def _probes(space: Space, groups: Sequence[str]) -> Iterator[list[str]]:
    """The axes' settings of each point that is checked, none twice."""
    chosen = [axis for axis in space.axes if axis.name in groups]
    others = [axis for axis in space.axes if axis not in chosen]
    for names in product(*(axis.ends for axis in chosen)):
        picked = dict(zip((axis.key for axis in chosen), names, strict=True))
        base = picked | {axis.key: axis.ends[0] for axis in others}
        varied = ({axis.key: end} for axis in others for end in axis.ends[1:])
        for change in ({}, *varied):
            yield [f"{key}={value}" for key, value in (base | change).items()]


def _comparable(first: config.Config, other: config.Config, said: Sequence[str]) -> None:
    for key in SAME_IN_ALL:
        if first.tree.get(key) != other.tree.get(key):
            raise ConfigError(
                f"{' '.join(said)}: {key} is not the same in all trials, so the best one could not be told",
                f"run one sweep for each {key}",
            )

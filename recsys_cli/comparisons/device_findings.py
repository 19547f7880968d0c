"""What the measurements of one model say: how fast each device is, and whether it trained the same model.

A time is the median of the repeats. Two devices are compared turn by turn: they took turns, so each repeat has
a partner that was measured next to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal

from recsys_cli.comparisons.device_trials import Cell, Learned, Sample

# Relative difference of the last loss: sums taken in another order, and shorter mantissas in matrix products.
LOSS_TOLERANCE = 1e-3
# Difference of the primary metric: near-ties in some users' rankings that fall the other way.
METRIC_TOLERANCE = 2e-3
# An interquartile range of a larger share of the median is worth a warning.
NOISE = 0.1

Same = Literal["same bits", "within tolerance", "differs"]


@dataclass(frozen=True)
class Spread:
    """Median and interquartile range of the repeats."""

    median: float
    iqr: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of two values or more."""
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), high - low)


@dataclass(frozen=True)
class Against:
    """A device set against the first one; the first against itself.

    Attributes:
        speed_up: How many times as fast it trains, median of the turns.
        speed_up_least: In the turn that was worst for it.
        speed_up_greatest: In the turn that was best for it.
        evaluation_speed_up: How many times as fast it evaluates, median of the turns.
        same: Whether it trained the same model.
        loss_difference: Between the last losses, relative to the first device's.
        metric_difference: Between the values of the primary metric.
    """

    speed_up: float
    speed_up_least: float
    speed_up_greatest: float
    evaluation_speed_up: float
    same: Same
    loss_difference: float
    metric_difference: float


@dataclass(frozen=True)
class Finding:
    """A device that did all its work.

    Attributes:
        step_seconds: A training step, its batch made and brought to the device.
        loading_seconds: The making and bringing alone.
        evaluation_seconds: A full-ranking evaluation of the validation part.
        examples_per_second: Things predicted in a second of training.
        epoch_seconds: Derived: median step times the steps of an epoch.
        peak_memory_bytes: The largest of all repeats.
        repeats_equal: All repeats ended with the same bits in all weights.
        against_first: None where the first device failed.
    """

    step_seconds: Spread
    loading_seconds: Spread
    evaluation_seconds: Spread
    examples_per_second: float
    epoch_seconds: float
    peak_memory_bytes: int
    repeats_equal: bool
    against_first: Against | None

    @property
    def noise(self) -> float:
        """Interquartile range of a step as a share of its median."""
        return self.step_seconds.iqr / self.step_seconds.median

    @property
    def noisy(self) -> bool:
        """The repeats are too far apart to rely on small differences."""
        return self.noise > NOISE

    @property
    def differs(self) -> bool:
        """It did not train the model that the first device trained."""
        return self.against_first is not None and self.against_first.same == "differs"


def find(cells: Sequence[Cell]) -> list[Finding | None]:
    """What each device's measurements say; None for a device that failed."""
    return [_finding(cell, cells[0]) for cell in cells]


def _finding(cell: Cell, first: Cell) -> Finding | None:
    learned, samples = cell.learned, cell.samples
    if cell.failure or learned is None:
        return None
    step = Spread.of([sample.step_seconds for sample in samples])
    return Finding(
        step_seconds=step,
        loading_seconds=Spread.of([sample.loading_seconds for sample in samples]),
        evaluation_seconds=Spread.of([sample.evaluation_seconds for sample in samples]),
        examples_per_second=learned.examples_per_step / step.median,
        epoch_seconds=step.median * learned.steps_per_epoch,
        peak_memory_bytes=max(sample.peak_memory_bytes for sample in samples),
        repeats_equal=len({sample.weights_sha256 for sample in samples}) == 1,
        against_first=_against(learned, samples, first),
    )


def _against(learned: Learned, samples: Sequence[Sample], first: Cell) -> Against | None:
    if first.failure or first.learned is None:
        return None
    turns = list(zip(first.samples, samples, strict=True))
    training = [base.step_seconds / own.step_seconds for base, own in turns]
    evaluating = [base.evaluation_seconds / own.evaluation_seconds for base, own in turns]
    loss = abs(learned.loss - first.learned.loss) / max(abs(first.learned.loss), 1e-12)
    metric = abs(learned.metric - first.learned.metric)
    return Against(
        speed_up=median(training),
        speed_up_least=min(training),
        speed_up_greatest=max(training),
        evaluation_speed_up=median(evaluating),
        same=_same(learned, first.learned, loss, metric),
        loss_difference=loss,
        metric_difference=metric,
    )


def _same(learned: Learned, first: Learned, loss: float, metric: float) -> Same:
    if learned.weights_sha256 == first.weights_sha256 and loss == metric == 0:
        return "same bits"
    return (
        "within tolerance" if loss <= LOSS_TOLERANCE and metric <= METRIC_TOLERANCE else "differs"
    )


def conclude(model: str, cells: Sequence[Cell], findings: Sequence[Finding | None]) -> str:
    """The comparison in one clause: the fastest of the other devices against the first."""
    first = cells[0].device.label
    if findings[0] is None:
        return f"{model}: {first} failed, so there is nothing to compare with"
    others = [
        (cell.device.label, finding, finding.against_first)
        for cell, finding in zip(cells[1:], findings[1:], strict=True)
        if finding is not None and finding.against_first is not None
    ]
    if not others:
        return f"{model}: only {first} was measured, so there is nothing to compare"
    label, finding, best = max(others, key=lambda other: other[2].speed_up)
    if finding.differs:
        return f"{model}: {label} did not train the same model as {first}, so their speeds are not compared"
    if best.speed_up_least <= 1 <= best.speed_up_greatest:
        return f"{model}: {first} and {label} do not differ by more than the repeats do"
    if best.speed_up < 1:
        return f"{model}: {first} is the fastest, {label} trains {best.speed_up:.2f} times as fast"
    return f"{model}: {label} trains {best.speed_up:.1f} times as fast as {first}"

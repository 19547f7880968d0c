"""What the measurements of one model say: how fast each setup is, why, and whether it trained the same model.

A time is the median of the repeats. Two setups are compared turn by turn: they took turns, so each repeat has
a partner that was measured next to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal

import numpy as np

from recsys_cli.comparisons.device_roofline import Bound, Roof, bound
from recsys_cli.comparisons.device_trials import Cell, Learned

# Relative difference of the last loss: sums taken in another order, and shorter mantissas in matrix products.
LOSS_TOLERANCE = 1e-3
# Difference of the primary metric: near-ties in some users' rankings that fall the other way.
METRIC_TOLERANCE = 2e-3
# The same in matrix products of 8 bits of mantissa instead of 24.
BF16_LOSS_TOLERANCE = 1e-2
BF16_METRIC_TOLERANCE = 1e-2
# An interquartile range of a larger share of the median is worth a warning.
NOISE = 0.1

Same = Literal["same bits", "within tolerance", "differs", "other steps"]


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
    """A setup set against the first one; the first against itself.

    Attributes:
        speed_up: How many times as fast it trains an example, median of the turns.
        speed_up_least: In the turn that was worst for it.
        speed_up_greatest: In the turn that was best for it.
        evaluation_speed_up: How many times as fast it evaluates, median of the turns.
        same: Whether it trained the same model; a kernel takes other steps: one an event.
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
    """A setup that did all its work.

    Attributes:
        step_seconds: A training step, its batch made and brought to the device.
        phase_seconds: Its phases, timed apart.
        evaluation_seconds: A full-ranking evaluation of the validation part.
        request_p50_seconds: A list for one user, median of all repeats.
        request_p99_seconds: The same, exceeded by one in a hundred.
        examples_per_second: Things predicted in a second of training.
        epoch_seconds: Derived: median step times the steps of an epoch.
        peak_memory_bytes: The largest of all repeats.
        host_peak_bytes: The same of the whole process.
        step_joules: Energy of a step, median; None where the machine does not report it.
        repeats_equal: All repeats ended with the same bits in all weights.
        bounds: What holds each phase up; empty where there is no roof to hold it against.
        against_first: None where the first setup failed.
    """

    step_seconds: Spread
    phase_seconds: Mapping[str, Spread]
    evaluation_seconds: Spread
    request_p50_seconds: float
    request_p99_seconds: float
    examples_per_second: float
    epoch_seconds: float
    peak_memory_bytes: int
    host_peak_bytes: int
    step_joules: float | None
    repeats_equal: bool
    bounds: Mapping[str, Bound]
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
        """It did not train the model that the first setup trained."""
        return self.against_first is not None and self.against_first.same == "differs"


def find(cells: Sequence[Cell], roofs: Mapping[str, Roof] | None = None) -> list[Finding | None]:
    """What each setup's measurements say; None for one that failed or did not get through two repeats.

    Args:
        cells: The first is what the others are set against.
        roofs: What each setup can do at best, by label.
    """
    return [_finding(cell, cells[0], (roofs or {}).get(cell.setup.label)) for cell in cells]


def _finding(cell: Cell, first: Cell, roof: Roof | None) -> Finding | None:
    learned, samples = cell.learned, cell.samples
    if cell.failure or learned is None or len(samples) < 2:
        return None
    step = Spread.of([sample.step_seconds for sample in samples])
    phases = {
        name: Spread.of([sample.phase_seconds[name] for sample in samples])
        for name in samples[0].phase_seconds
    }
    evaluation = Spread.of([sample.evaluation_seconds for sample in samples])
    requests = [seconds for sample in samples for seconds in sample.request_seconds]
    joules = [sample.step_joules for sample in samples if sample.step_joules is not None]
    p50, p99 = (float(each) for each in np.percentile(requests, (50, 99)))
    return Finding(
        step_seconds=step,
        phase_seconds=phases,
        evaluation_seconds=evaluation,
        request_p50_seconds=p50,
        request_p99_seconds=p99,
        examples_per_second=learned.examples_per_step / step.median,
        epoch_seconds=step.median * learned.steps_per_epoch,
        peak_memory_bytes=max(sample.peak_memory_bytes for sample in samples),
        host_peak_bytes=max(sample.host_peak_bytes for sample in samples),
        step_joules=median(joules) if joules else None,
        repeats_equal=len({sample.weights_sha256 for sample in samples}) == 1,
        bounds=_bounds(learned, phases | {"evaluation": evaluation}, roof),
        against_first=_against(cell, learned, first),
    )


def _bounds(learned: Learned, seconds: Mapping[str, Spread], roof: Roof | None) -> dict[str, Bound]:
    """What holds each piece of work up, under a roof that none of them is above."""
    if roof is None:
        return {}
    done = {name: (work, seconds[name].median) for name, work in learned.work.items()}
    raised = roof.raised_by(done.values())
    return {name: bound(work, spent, raised) for name, (work, spent) in done.items()}


def _against(cell: Cell, learned: Learned, first: Cell) -> Against | None:
    if first.failure or first.learned is None:
        return None
    turns = list(zip(first.samples, cell.samples, strict=False))  # the last may have been cut off
    size = learned.examples_per_step / first.learned.examples_per_step
    training = [size * base.step_seconds / own.step_seconds for base, own in turns]
    evaluating = [base.evaluation_seconds / own.evaluation_seconds for base, own in turns]
    loss = abs(learned.loss - first.learned.loss) / max(abs(first.learned.loss), 1e-12)
    metric = abs(learned.metric - first.learned.metric)
    return Against(
        speed_up=median(training),
        speed_up_least=min(training),
        speed_up_greatest=max(training),
        evaluation_speed_up=median(evaluating),
        same=_same(cell, first, loss, metric),
        loss_difference=loss,
        metric_difference=metric,
    )


def _same(cell: Cell, first: Cell, loss: float, metric: float) -> Same:
    assert cell.learned is not None
    assert first.learned is not None
    if cell.setup.engine != first.setup.engine:
        return "other steps"
    if cell.learned.weights_sha256 == first.learned.weights_sha256 and loss == metric == 0:
        return "same bits"
    most_loss, most_metric = tolerance(cell.setup.precision, first.setup.precision)
    return "within tolerance" if loss <= most_loss and metric <= most_metric else "differs"


def tolerance(*precisions: str) -> tuple[float, float]:
    """How far the last losses (relative) and the metrics of the same model may lie apart."""
    if "bf16" in precisions:
        return BF16_LOSS_TOLERANCE, BF16_METRIC_TOLERANCE
    return LOSS_TOLERANCE, METRIC_TOLERANCE


def promise(finding: Finding) -> str:
    """The class of promise: what the same seed gives on this setup."""
    if not finding.repeats_equal:
        return "statistical: repeats differ in bits"
    same = None if finding.against_first is None else finding.against_first.same
    if same == "same bits":
        return "bit-for-bit, and the bits of the first"
    return "bit-for-bit on itself"


def conclude(model: str, cells: Sequence[Cell], findings: Sequence[Finding | None]) -> str:
    """The comparison in one clause: the fastest of the others that train the same model against the first."""
    first = cells[0].setup.label
    if findings[0] is None and not cells[0].failure:
        return f"{model}: stopped before it was measured"
    if findings[0] is None:
        return f"{model}: {first} failed, so there is nothing to compare with"
    others = [
        (cell.setup.label, finding, finding.against_first)
        for cell, finding in zip(cells[1:], findings[1:], strict=True)
        if finding is not None
        and finding.against_first is not None
        and cell.setup.engine == cells[0].setup.engine
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

"""Where one device overtakes another: the same step with small and large batches and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from time import monotonic

from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_training import Training
from recsys_cli.comparisons.device_trials import Plan, Subject, attempt
from recsys_cli.progress import Bar
from recsys_cli.seeds import isolated

BATCHES = (256, 2048, 16384)
DIMS = (16, 64, 256)
TIMES = 4  # the first of them is the warm-up


@dataclass
class Point:
    """A batch size and an embedding length, timed in every setup.

    Attributes:
        batch_size: Things a step may predict.
        dim: Length of the embeddings; None where the model has no such setting.
        example_seconds: Of a step, for each thing that it predicted: those of each setup, by label, in turns.
        failures: Why a setup could not do it, by label.
    """

    batch_size: int
    dim: int | None
    example_seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Numbers that a step moves, as a measure of its size."""
        return self.batch_size * (self.dim or 1)

    def speed_up(self, label: str, against: str) -> float | None:
        """How many times as fast a setup is as another, median of the turns; None where one failed."""
        own, base = self.example_seconds.get(label), self.example_seconds.get(against)
        if not own or not base:
            return None
        return median(b / o for b, o in zip(base, own, strict=False))

    def wins(self, label: str, against: str) -> bool:
        """Whether a setup was faster than another in every turn."""
        own, base = self.example_seconds.get(label), self.example_seconds.get(against)
        return bool(own and base) and all(
            o < b for o, b in zip(own or (), base or (), strict=False)
        )


def grid(subject: Subject) -> list[Point]:
    """The points, small ones first."""
    dims = (None,) if subject.make is None else DIMS
    points = [Point(batch, dim) for batch in BATCHES for dim in dims]
    return sorted(points, key=lambda point: point.size)


def first_win(points: Sequence[Point], label: str, against: str) -> Point | None:
    """The smallest batch and model at which a setup is faster; None where it never is."""
    won = (point for point in points if point.wins(label, against))
    return min(won, key=lambda point: point.size, default=None)


def cross(
    subject: Subject, points: Sequence[Point], setups: Sequence[Setup], plan: Plan, bar: Bar
) -> None:
    """Time every point in every setup, in turns, until the time is used up; points without times come last.

    Args:
        subject: The model.
        points: Are filled.
        setups: Those by torch in fp32.
        plan: How long it may take.
        bar: Is advanced by one for each point.
    """
    end = monotonic() + plan.grid_seconds
    for point in points:
        if monotonic() < end:
            _time(_resized(subject, point), point, setups)
        bar.advance()


def _resized(subject: Subject, point: Point) -> Subject:
    """The model and the trainer of a point."""
    ready = subject.ready
    model = ready.model
    if subject.make is not None and point.dim is not None:
        with isolated(ready.trainer.seed, "init"):
            model = subject.make(point.dim)
    trainer = replace(ready.trainer, batch_size=point.batch_size)
    return replace(subject, ready=replace(ready, model=model, trainer=trainer))


def _time(subject: Subject, point: Point, setups: Sequence[Setup]) -> None:
    trainings: dict[str, Training] = {}
    for setup in setups:
        setup.device.release_memory()
    for time in range(TIMES):
        for setup in setups:
            label = setup.label
            if label in point.failures:
                continue
            work = _one_step(subject, setup, trainings, point, timed=time > 0)
            if failure := attempt(setup.device, work):
                point.failures[label] = failure
                point.example_seconds.pop(label, None)


def _one_step(
    subject: Subject,
    setup: Setup,
    trainings: dict[str, Training],
    point: Point,
    *,
    timed: bool,
) -> Callable[[], None]:
    def work() -> None:
        device, label = setup.device, setup.label
        with device.active(), isolated(subject.ready.trainer.seed, "epoch", 1):
            if label not in trainings:
                trainings[label] = Training(subject.name, subject.ready, setup)
            start = device.now()
            examples = trainings[label].take(1)
            seconds = device.now() - start
        if timed:
            point.example_seconds.setdefault(label, []).append(seconds / examples)

    return work

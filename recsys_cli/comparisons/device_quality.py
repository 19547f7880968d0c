"""How long each setup trains until its model is nearly as good as the best that any of them reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_training import Training
from recsys_cli.comparisons.device_trials import Plan, Subject, attempt
from recsys_cli.devices import Device
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.seeds import isolated

NEARLY = 0.95
LOOKS = 10  # at the clock, in an epoch


@dataclass(frozen=True)
class Epoch:
    """One pass over the training part, and what the model was worth after it.

    Attributes:
        seconds: Of training, without the validation after it.
        trained_seconds: Of this and all passes before.
        metric: The primary metric on the validation part.
    """

    seconds: float
    trained_seconds: float
    metric: float


@dataclass
class Course:
    """A training as the settings say, cut off where its time is used up.

    Attributes:
        setup: Where and how.
        epochs: In order.
        failure: Why the device could not do it; empty where it could.
    """

    setup: Setup
    epochs: list[Epoch] = field(default_factory=list)
    failure: str = ""

    @property
    def epoch_seconds(self) -> float | None:
        """A pass over the training part, median; None where none was finished.

        The first one warms the device up, and a compiled one compiles in it: it counts only where there is no other,
        and then only where nothing was compiled.
        """
        cold = self.epochs[:1] if not self.setup.compiled else []
        counted = self.epochs[1:] or cold
        return median(epoch.seconds for epoch in counted) if counted else None

    @property
    def best(self) -> float | None:
        """The best value of the metric."""
        return max((epoch.metric for epoch in self.epochs), default=None)

    def seconds_to(self, value: float) -> float | None:
        """Seconds of training until the metric first reached a value; None where it never did."""
        reached = (e.trained_seconds for e in self.epochs if e.metric >= value)
        return next(reached, None)


def target(courses: Sequence[Course]) -> float | None:
    """95 % of the best value that any course reached; None where there is none."""
    reached = [course.best for course in courses if course.best is not None]
    return NEARLY * max(reached) if reached else None


def follow(subject: Subject, course: Course, plan: Plan) -> None:
    """Train with validation after each epoch until the time or the patience of the settings is used up."""

    def work() -> None:
        device = course.setup.device
        with device.active():
            _train(subject, course, plan.quality_seconds)

    course.setup.device.release_memory()
    course.failure = attempt(course.setup.device, work)


def _train(subject: Subject, course: Course, limit: float) -> None:
    ready, device = subject.ready, course.setup.device
    trainer = ready.trainer
    begin = device.now()
    training = Training(subject.name, ready, course.setup)
    best, since = float("-inf"), 0
    for number in range(1, trainer.epochs + 1):
        with isolated(trainer.seed, "epoch", number):
            seconds = _epoch(training, device, begin + limit)
        if seconds is None:
            return
        training.checked_loss()
        result = evaluate(training.model, ready.split.valid, ready.protocol, device=device.torch)
        before = course.epochs[-1].trained_seconds if course.epochs else 0.0
        course.epochs.append(Epoch(seconds, before + seconds, result.primary))
        since = 0 if result.primary > best else since + 1
        best = max(best, result.primary)
        if since >= trainer.patience or device.now() - begin >= limit:
            return


def _epoch(training: Training, device: Device, end: float) -> float | None:
    """Seconds of an epoch; None where it was given up, because it would not have ended in time."""
    start, left = device.now(), training.steps_per_epoch
    part = -(-left // LOOKS)
    while left:
        training.take(min(part, left))
        left -= min(part, left)
        if left and device.now() >= end:
            return None
    return device.now() - start

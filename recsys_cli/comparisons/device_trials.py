"""One model in several setups: what is measured, how often, and in which order.

A trial starts from the model's initial weights and takes the same steps on the same batches wherever it runs.
The clock is read only when the device is idle, or the device notes the moment itself; warm-up steps come before it
starts, and the setups take turns (A B A B), so that a machine that slows down slows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_training import Training, disable_dropout
from recsys_cli.comparisons.device_work import Counting, Work
from recsys_cli.data.queries import make_queries
from recsys_cli.devices import Device, host_peak_bytes
from recsys_cli.errors import DeviceError, DivergedError, ResourceError
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.evaluation.scoring import evaluating
from recsys_cli.outcome import weights_digest
from recsys_cli.preparation import Prepared
from recsys_cli.progress import Bar
from recsys_cli.seeds import isolated

LIST_LENGTH = 10


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        warmup: Steps before the clock starts, in each repeat.
        steps: Steps that are timed as a whole, in each repeat.
        repeats: Repeats of each setup.
        phase_steps: Steps whose phases are timed apart, in each repeat.
        requests: Lists for one user that are asked for, in each repeat.
        quality_seconds: Longest training for the time to quality, in each setup; 0 = none.
        grid_seconds: Longest search for where one device overtakes the other, a model; 0 = none.
    """

    warmup: int
    steps: int
    repeats: int
    phase_steps: int = 5
    requests: int = 40
    quality_seconds: float = 0.0
    grid_seconds: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A model that is to be compared with itself in other setups.

    Attributes:
        name: As it is chosen.
        ready: Data, split, protocol, the trainer, and the model with its initial weights, on the CPU.
        make: Builds the model with embeddings of another length; None where it has no such setting.
    """

    name: str
    ready: Prepared
    make: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Learned:
    """What the planned steps lead to, with dropout off: each device draws its own dropout masks.

    Attributes:
        loss: Of the batch of the last step.
        metric: The primary metric on the validation part.
        weights_sha256: Of all parameters and buffers.
        examples_per_step: Things predicted in a timed step, mean.
        steps_per_epoch: Steps that one pass over the training part takes.
        work: What each phase of a step, and the evaluation, ask for; empty for a kernel, into which nobody looks.
    """

    loss: float
    metric: float
    weights_sha256: str
    examples_per_step: float
    steps_per_epoch: int
    work: Mapping[str, Work] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """The raw measurements of one repeat.

    Attributes:
        step_seconds: A training step with the making of its batch, mean of the timed steps.
        phase_seconds: Its phases, timed apart: `data` makes the batch and brings it to the device, `forward`,
            `backward`, `update` moves the weights; empty for a kernel, which does all in one.
        evaluation_seconds: Ranking the whole catalogue for every user of the validation part.
        request_seconds: Lists for one user each, from their code to the items.
        peak_memory_bytes: Most memory held: tensors on an accelerator, the whole process on a CPU.
        host_peak_bytes: Most memory held by the whole process.
        step_joules: Energy of a step; None where the machine does not report it.
        weights_sha256: Of all parameters and buffers after the timed steps.
    """

    step_seconds: float
    phase_seconds: Mapping[str, float]
    evaluation_seconds: float
    request_seconds: Sequence[float]
    peak_memory_bytes: int
    host_peak_bytes: int
    step_joules: float | None
    weights_sha256: str


@dataclass
class Cell:
    """A setup's part in the comparison of one model.

    Attributes:
        setup: Where and how.
        learned: What training led to; None until it has run.
        samples: One a repeat.
        failure: Why the device could not do it; empty where it could.
    """

    setup: Setup
    learned: Learned | None = None
    samples: list[Sample] = field(default_factory=list)
    failure: str = ""

    @property
    def device(self) -> Device:
        """Where."""
        return self.setup.device


def measure(subject: Subject, cells: Sequence[Cell], plan: Plan, bar: Bar) -> None:
    """Train and time the model in each cell's setup, in turns.

    The first turn trains without a clock, to see whether the setups agree; it also warms each device up.
    A setup that fails takes no more turns. What is measured is in the cells at any moment.

    Args:
        subject: The model.
        cells: Are filled; the others are set against the first.
        plan: How much.
        bar: Is advanced by one for each turn of each cell.
    """
    for turn in range(plan.repeats + 1):
        for cell in cells:
            if not cell.failure:
                _take_turn(cell, subject, plan, learn=turn == 0)
            bar.advance()


def _take_turn(cell: Cell, subject: Subject, plan: Plan, *, learn: bool) -> None:
    def turn() -> None:
        if learn:
            cell.learned = learned(subject, cell.setup, plan)
        else:
            cell.samples.append(time_once(subject, cell.setup, plan))

    cell.device.release_memory()
    cell.failure = attempt(cell.device, turn)


def attempt(device: Device, work: Callable[[], None]) -> str:
    """Do some work on a device; why it could not, or nothing.

    Args:
        device: Says which errors are its own.
        work: May raise what is a device's failure; everything else is passed on.
    """
    try:
        work()
    except (DivergedError, ResourceError, DeviceError) as error:
        return str(error)
    except Exception as error:
        reason = device.failure(error)
        if reason is None:
            raise
        return reason
    return ""


def learned(subject: Subject, setup: Setup, plan: Plan) -> Learned:
    """Train the planned steps with dropout off, and see what came of it.

    Raises:
        DivergedError: The loss is not a finite number.
    """
    ready, device = subject.ready, setup.device
    with device.active(), isolated(ready.trainer.seed, "epoch", 1):
        training = Training(subject.name, ready, setup)
        disable_dropout(training.model)
        training.take(plan.warmup)
        examples = training.take(plan.steps)
        loss = training.checked_loss()
        result = evaluate(training.model, ready.split.valid, ready.protocol, device=device.torch)
        return Learned(
            loss=loss,
            metric=result.primary,
            weights_sha256=weights_digest(training.model),
            examples_per_step=examples / plan.steps,
            steps_per_epoch=training.steps_per_epoch,
            work=_work(training, ready, device) if setup.engine == "torch" else {},
        )


def _work(training: Training, ready: Prepared, device: Device) -> dict[str, Work]:
    work = training.counted_phases()
    with Counting() as counting:
        evaluate(training.model, ready.split.valid, ready.protocol, device=device.torch)
    return work | {"evaluation": counting.work}


def time_once(subject: Subject, setup: Setup, plan: Plan) -> Sample:
    """Train the planned steps as the settings say, some more in phases, evaluate and answer, each on the clock.

    Raises:
        DivergedError: The loss is not a finite number.
    """
    ready, device = subject.ready, setup.device
    device.reset_peak_memory()
    with device.active(), isolated(ready.trainer.seed, "epoch", 1):
        training = Training(subject.name, ready, setup)
        training.take(plan.warmup)
        device.synchronize()
        joules, start = device.energy_joules(), device.now()
        training.take(plan.steps)
        step_seconds = (device.now() - start) / plan.steps
        after = device.energy_joules()
        training.checked_loss()
        digest = weights_digest(training.model)
        phase_seconds = training.timed_phases(plan.phase_steps) if setup.engine == "torch" else {}

        start = device.now()
        evaluate(training.model, ready.split.valid, ready.protocol, device=device.torch)
        evaluation_seconds = device.now() - start
        return Sample(
            step_seconds=step_seconds,
            phase_seconds=phase_seconds,
            evaluation_seconds=evaluation_seconds,
            request_seconds=_requests(training.model, ready, device, plan.requests),
            peak_memory_bytes=device.peak_memory_bytes(),
            host_peak_bytes=host_peak_bytes(),
            step_joules=_a_step(joules, after, plan.steps),
            weights_sha256=digest,
        )


def _a_step(before: float | None, after: float | None, steps: int) -> float | None:
    """Joules a step; None where there is no meter, or where it began anew in between."""
    if before is None or after is None or after < before:
        return None
    return (after - before) / steps


def _requests(model: Any, ready: Prepared, device: Device, how_many: int) -> list[float]:
    """Seconds of lists for one user each, the first one not timed."""
    holdout = ready.split.valid
    users = np.resize(holdout.users, how_many + 1)
    seconds = []
    with evaluating(model):
        for user in users:
            start = device.now()
            queries = make_queries(holdout, np.array([user]), model.reads, model.history_length).to(
                device.torch
            )
            scores = model.score(queries)
            torch.topk(scores, min(LIST_LENGTH, scores.shape[1])).indices.cpu()
            seconds.append(device.now() - start)
    return seconds[1:]

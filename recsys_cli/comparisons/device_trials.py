"""One model on several devices: what is measured, how often, and in which order.

A trial starts from the model's initial weights and takes the same steps on the same batches wherever it runs.
The clock is read only when the device is idle, warm-up steps come before it starts, and the devices take turns
(A B A B), so that a machine that slows down slows them all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import torch
from torch import nn

from recsys_cli.data.batches import Batches
from recsys_cli.devices import Device
from recsys_cli.errors import DivergedError, ResourceError
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.outcome import weights_digest
from recsys_cli.preparation import Prepared
from recsys_cli.progress import Bar
from recsys_cli.seeds import isolated
from recsys_cli.training.optimisers import make_optimiser
from recsys_cli.training.steps import train_step


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        warmup: Steps before the clock starts, in each repeat.
        steps: Steps that are timed, in each repeat.
        repeats: Repeats on each device.
    """

    warmup: int
    steps: int
    repeats: int


@dataclass(frozen=True)
class Subject:
    """A model that is to be compared with itself on other devices.

    Attributes:
        name: As it is chosen.
        ready: Data, split, protocol, the trainer, and the model with its initial weights, on the CPU.
    """

    name: str
    ready: Prepared


@dataclass(frozen=True)
class Learned:
    """What the planned steps lead to, with dropout off: each device draws its own dropout masks.

    Attributes:
        loss: Of the batch of the last step.
        metric: The primary metric on the validation part.
        weights_sha256: Of all parameters and buffers.
        examples_per_step: Things predicted in a timed step, mean.
        steps_per_epoch: Steps that one pass over the training part takes.
    """

    loss: float
    metric: float
    weights_sha256: str
    examples_per_step: float
    steps_per_epoch: int


@dataclass(frozen=True)
class Sample:
    """The raw measurements of one repeat.

    Attributes:
        step_seconds: A training step with the making of its batch, mean of the timed steps.
        loading_seconds: The part of it that makes the batch and brings it to the device, timed apart.
        evaluation_seconds: Ranking the whole catalogue for every user of the validation part.
        peak_memory_bytes: Most memory held: tensors on an accelerator, the whole process on a CPU.
        weights_sha256: Of all parameters and buffers after the timed steps.
    """

    step_seconds: float
    loading_seconds: float
    evaluation_seconds: float
    peak_memory_bytes: int
    weights_sha256: str


@dataclass
class Cell:
    """A device's part in the comparison.

    Attributes:
        device: Where.
        learned: What training led to; None until it has run.
        samples: One a repeat.
        failure: Why the device could not do it; empty where it could.
    """

    device: Device
    learned: Learned | None = None
    samples: list[Sample] = field(default_factory=list)
    failure: str = ""


def measure(subject: Subject, devices: Sequence[Device], plan: Plan, bar: Bar) -> list[Cell]:
    """Train and time the model on each device, in turns.

    The first turn trains without a clock, to see whether the devices agree; it also warms each device up.
    A device that fails takes no more turns.

    Args:
        subject: The model.
        devices: Where; the others are set against the first.
        plan: How much.
        bar: Is advanced by one for each turn of each device.
    """
    cells = [Cell(device) for device in devices]
    for turn in range(plan.repeats + 1):
        for cell in cells:
            if not cell.failure:
                _attempt(cell, subject, plan, learn if turn == 0 else time_once)
            bar.advance()
    return cells


def _attempt(
    cell: Cell,
    subject: Subject,
    plan: Plan,
    work: Callable[[Subject, Device, Plan], Learned | Sample],
) -> None:
    cell.device.release_memory()
    try:
        result = work(subject, cell.device, plan)
    except (DivergedError, ResourceError) as error:
        cell.failure = str(error)
    except Exception as error:
        reason = cell.device.failure(error)
        if reason is None:
            raise
        cell.failure = reason
    else:
        if isinstance(result, Learned):
            cell.learned = result
        else:
            cell.samples.append(result)


def learn(subject: Subject, device: Device, plan: Plan) -> Learned:
    """Train the planned steps with dropout off, and see what came of it.

    Raises:
        DivergedError: The loss is not a finite number.
    """
    ready = subject.ready
    with device.active(), isolated(ready.trainer.seed, "epoch", 1):
        training = _Training(subject, device)
        _disable_dropout(training.model)
        training.take(plan.warmup + plan.steps)
        loss = training.checked_loss()
        result = evaluate(training.model, ready.split.valid, ready.protocol, device=device.torch)
        return Learned(
            loss=loss,
            metric=result.primary,
            weights_sha256=weights_digest(training.model),
            examples_per_step=sum(map(len, training.repeated(plan))) / plan.steps,
            steps_per_epoch=len(training.batches),
        )


def time_once(subject: Subject, device: Device, plan: Plan) -> Sample:
    """Train the planned steps as the settings say, make their batches again, and evaluate, each on the clock.

    Raises:
        DivergedError: The loss is not a finite number.
    """
    ready = subject.ready
    device.reset_peak_memory()
    with device.active(), isolated(ready.trainer.seed, "epoch", 1):
        training = _Training(subject, device)
        training.take(plan.warmup)
        start = device.now()
        training.take(plan.steps)
        step_seconds = (device.now() - start) / plan.steps
        training.checked_loss()

        batches = training.repeated(plan)
        start = device.now()
        for _ in batches:
            pass
        loading_seconds = (device.now() - start) / plan.steps

        start = device.now()
        evaluate(training.model, ready.split.valid, ready.protocol, device=device.torch)
        evaluation_seconds = device.now() - start
        return Sample(
            step_seconds=step_seconds,
            loading_seconds=loading_seconds,
            evaluation_seconds=evaluation_seconds,
            peak_memory_bytes=device.peak_memory_bytes(),
            weights_sha256=weights_digest(training.model),
        )


class _Training:
    """A copy of the model on a device, at its initial weights, about to be trained."""

    def __init__(self, subject: Subject, device: Device) -> None:
        ready = subject.ready
        self.name = subject.name
        self.model: Any = copy.deepcopy(ready.model).to(device.torch)
        self.model.train()
        self.batches: Batches = ready.trainer.batches(self.model, ready.split.train, device)
        self._optimiser = make_optimiser(
            ready.trainer.optimiser, self.model.parameters(), ready.trainer.lr
        )
        self._stream = _endless(self.batches)
        self._loss = torch.zeros(())  # of the last step, not yet waited for

    def take(self, steps: int) -> None:
        """Take so many steps."""
        for batch in islice(self._stream, steps):
            self._loss = train_step(self.model, self._optimiser, batch)

    def repeated(self, plan: Plan) -> Iterator[Any]:
        """The batches of the timed steps once more; those of the warm-up are made already."""
        stream = _endless(self.batches)
        for _ in islice(stream, plan.warmup):
            pass
        return islice(stream, plan.steps)

    def checked_loss(self) -> float:
        """The loss of the last step."""
        if not torch.isfinite(self._loss):
            raise DivergedError(
                f"the loss of {self.name} is not finite after the planned steps", "lower trainer.lr"
            )
        return float(self._loss)


def _endless(batches: Batches) -> Iterator[Any]:
    for epoch in count(1):
        yield from batches.epoch(epoch)


def _disable_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0

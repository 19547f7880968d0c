"""A training that can be taken step by step, whole or in phases, with the clock or with a counter."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import nn

from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_work import Counting, Work
from recsys_cli.devices import Mark
from recsys_cli.errors import DivergedError
from recsys_cli.preparation import Prepared
from recsys_cli.progress import Silent
from recsys_cli.training.optimisers import make_optimiser
from recsys_cli.training.steps import Steps, Way, train_step

PHASES = ("data", "forward", "backward", "update")


class Training:
    """A copy of the model on a device, at its initial weights, about to be trained.

    Args:
        name: Of the model, for messages.
        ready: Data, split, the trainer, and the model with its initial weights.
        setup: Where and how.

    Attributes:
        model: The copy.
        steps_per_epoch: Steps of one pass over the training part.
    """

    def __init__(self, name: str, ready: Prepared, setup: Setup) -> None:
        self._name, self._device = name, setup.device
        self.model: Any = copy.deepcopy(ready.model).to(setup.device.torch)
        self.model.train()
        trainer = setup.trainer(ready.trainer)
        self._optimiser = make_optimiser(trainer.optimiser, self.model.parameters(), trainer.lr)
        self._loss: torch.Tensor | float = 0.0  # of the last step, not yet waited for
        uncompiled = replace(trainer, compile=False)
        self._plain = uncompiled.way(self.model, self._optimiser, setup.device)
        self._way = trainer.way(self.model, self._optimiser, setup.device)
        if setup.engine == "kernel":
            steps: Steps = trainer.steps(
                self.model, self._optimiser, ready.split.train, setup.device, Silent()
            )
            self.steps_per_epoch = len(steps)
            self._examples = steps.n_examples / len(steps)
            self._by_kernel: Iterator[torch.Tensor | float] | None = _endless_steps(steps)
            return
        batches = trainer.batches(self.model, ready.split.train, setup.device)
        self.steps_per_epoch = len(batches)
        self._by_kernel = None
        self._stream: Iterator[Any] = (b for epoch in count(1) for b in batches.epoch(epoch))

    def take(self, steps: int) -> float:
        """Take so many steps; how many things they predicted."""
        examples = 0.0
        for _ in range(steps):
            if self._by_kernel is not None:
                self._loss = next(self._by_kernel)
                examples += self._examples
            else:
                batch = next(self._stream)
                self._loss = train_step(self._way, batch)
                examples += len(batch)
        return examples

    def checked_loss(self) -> float:
        """The loss of the last step."""
        loss = float(self._loss)
        if not torch.isfinite(torch.tensor(loss)):
            raise DivergedError(
                f"the loss of {self._name} is not finite after the planned steps",
                "lower trainer.lr",
            )
        return loss

    def timed_phases(self, steps: int) -> dict[str, float]:
        """Take so many more steps; mean seconds of each phase."""
        device, marks = self._device, []
        for _ in range(steps):
            row: list[Mark] = [device.mark()]
            for _ in self._in_phases(self._way):
                row.append(device.mark())  # noqa: PERF401 - the marks are made one after the other
            marks.append(row)
        return {
            phase: sum(device.seconds_between(row[at], row[at + 1]) for row in marks) / steps
            for at, phase in enumerate(PHASES)
        }

    def counted_phases(self) -> dict[str, Work]:
        """Take one more step; what each of its phases asks for."""
        work = {}
        phases = self._in_phases(self._plain)
        for phase in PHASES:
            with Counting() as counting:
                next(phases)
            work[phase] = counting.work
        return work

    def _in_phases(self, way: Way) -> Iterator[None]:
        """One step, stopping after each phase."""
        batch = next(self._stream)
        yield
        for _ in way.phases(batch):
            yield


def _endless_steps(steps: Steps) -> Iterator[torch.Tensor | float]:
    for epoch in count(1):
        yield from steps.epoch(epoch, 0)


def disable_dropout(model: nn.Module) -> None:
    """Let nothing be dropped, so that no generator of a device takes part."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0

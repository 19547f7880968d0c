"""A device whose work takes time only on paper, and what is needed to train on it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys_cli.comparisons.device_trials import Subject
from recsys_cli.data.batches import Pairs
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.queries import Queries
from recsys_cli.data.user_splits import leave_last_out
from recsys_cli.devices import Device, PrecisionName
from recsys_cli.errors import DeviceError
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.models.first_try.mf import MF
from recsys_cli.preparation import Prepared
from recsys_cli.training.loop import GradientTrainer

MIB = 1 << 20
COLD_STEPS, COLD_SECONDS = 2, 100.0
WATTS = 50.0
STEP_SECONDS, LOADING_SECONDS, SCORING_SECONDS = 1.0, 0.25, 8.0


@dataclass
class Clock:
    """Moves only when queued work is waited for.

    Attributes:
        seconds: The time.
        queued: Work that nobody has waited for.
        queued_at_reads: What was queued when the clock was read, read by read.
        turns: The devices that worked, in order.
        held: Bytes that the device's work held since its counter was reset.
    """

    seconds: float = 0.0
    queued: float = 0.0
    queued_at_reads: list[float] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    device: FakeAccelerator | None = None
    held: int = 0

    def queue(self, seconds: float) -> None:
        assert self.device is not None, "work outside of device.active()"
        self.queued += seconds / self.device.speed

    def read(self) -> float:
        self.queued_at_reads.append(self.queued)
        return self.seconds

    def __deepcopy__(self, memo: object) -> Clock:
        return self


@dataclass(frozen=True)
class FakeAccelerator(Device):
    """Computes on the CPU, and queues the time that it takes.

    Attributes:
        speed: How many times as fast as the seconds below say.
        steps_in_memory: The step of a training that no longer fits; None where all do.
        error_in_loss: What it adds to each loss.
        precisions: Those that it has.
    """

    clock: Clock = field(kw_only=True)
    speed: float = 1.0
    steps_in_memory: int | None = None
    error_in_loss: float = 0.0
    precisions: tuple[PrecisionName, ...] = ("fp32",)

    @property
    def torch(self) -> torch.device:
        return torch.device("cpu")

    @property
    def is_accelerator(self) -> bool:
        return True

    @contextmanager
    def autocast(self, precision: PrecisionName) -> Iterator[None]:
        if precision not in self.precisions:
            raise DeviceError(f"not supported: {precision} on {self.name}", "fp32")
        yield

    @property
    def hardware(self) -> str:
        return "stand-in"

    def mark(self) -> float:
        return self.now()

    def energy_joules(self) -> float:
        return self.clock.seconds * WATTS

    def synchronize(self) -> None:
        self.clock.seconds += self.clock.queued
        self.clock.queued = 0.0

    def release_memory(self) -> None:
        pass

    def reset_peak_memory(self) -> None:
        self.clock.held = 0

    def peak_memory_bytes(self) -> int:
        return self.clock.held

    @contextmanager
    def active(self) -> Iterator[None]:
        self.clock.device = self
        self.clock.turns.append(self.name)
        try:
            with super().active():
                yield
        finally:
            self.clock.device = None


class TimedMF(MF):
    """Matrix factorisation whose first steps are slow, as where kernels are chosen or compiled."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        super().__init__(**settings)
        self.clock = clock
        self.steps = 0

    def loss(self, batch: Pairs) -> Tensor:
        self.steps += 1
        device = self.clock.device
        assert device is not None
        if device.steps_in_memory is not None and self.steps > device.steps_in_memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.clock.held = max(self.clock.held, 3 * MIB)
        self.clock.queue(COLD_SECONDS if self.steps <= COLD_STEPS else STEP_SECONDS)
        return super().loss(batch) + device.error_in_loss

    def score(self, queries: Queries) -> Tensor:
        self.clock.queue(SCORING_SECONDS)
        return super().score(queries)


class TimedTrainer(GradientTrainer):
    """Its batches take time too."""

    def batches(self, model: TimedMF, train: Interactions, device: Device) -> Any:
        return _TimedBatches(super().batches(model, train, device), model.clock)


class _TimedBatches:
    def __init__(self, batches: Any, clock: Clock) -> None:
        self._batches, self._clock = batches, clock
        self.n_examples = batches.n_examples

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int) -> Iterator[Any]:
        for batch in self._batches.epoch(number):
            self._clock.queue(LOADING_SECONDS)
            yield batch


def events() -> Interactions:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(30), 10)
    items = np.concatenate([random.permutation(25)[:10] for _ in range(30)])
    return from_columns(users=users, items=items, times=np.arange(300) * 3600)


def mf_settings() -> dict[str, Any]:
    return {
        "n_users": 30,
        "n_items": 25,
        "rank": 4,
        "biases": True,
        "loss": "bpr",
        "negatives": 2,
        "l2": 0.01,
        "init_sd": 0.1,
    }


def subject(model: Any, trainer: type[GradientTrainer] = GradientTrainer) -> Subject:
    """A model on a small data set, nine steps an epoch, the last of them on 16 events."""
    interactions = events()
    ready = Prepared(
        interactions=interactions,
        split=leave_last_out(interactions=interactions, min_events=3),
        model=copy.deepcopy(model),
        trainer=trainer(
            epochs=1,
            batch_size=28,
            engine="torch",
            optimiser="adam",
            lr=0.05,
            validate_every=1,
            patience=1,
            checkpoint_seconds=60.0,
            checkpoint_every_steps=None,
            seed=3,
        ),
        protocol=RankingProtocol(
            cutoffs=[10],
            metrics=["ndcg"],
            primary="ndcg_at_10",
            exclude_seen=True,
            dialect="recsys",
        ),
        device=Device("cpu", 1),
        engine="torch",
    )
    return Subject("mf", ready)

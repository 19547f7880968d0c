"""The columns of a comparison of devices: where, in which precision, compiled or not, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from recsys_cli.devices import Device, PrecisionName
from recsys_cli.training.loop import GradientTrainer


@dataclass(frozen=True)
class Setup:
    """One way to train: a cell is a model in a setup.

    Attributes:
        device: Where.
        precision: Of matrix products.
        compiled: Whether torch compiles the steps.
        engine: `torch`, or the model's own `kernel`, which takes a step an event.
    """

    device: Device
    precision: PrecisionName = "fp32"
    compiled: bool = False
    engine: Literal["torch", "kernel"] = "torch"

    @property
    def label(self) -> str:
        """`cpu:2`, `cuda bf16`, `cpu:1 compiled`, `cpu:1 kernel`."""
        more = [
            *([] if self.precision == "fp32" else [self.precision]),
            *(["compiled"] if self.compiled else []),
            *(["kernel"] if self.engine == "kernel" else []),
        ]
        return " ".join([self.device.label, *more])

    @property
    def plain(self) -> bool:
        """By torch in fp32, not compiled: what every device has."""
        return self.engine == "torch" and self.precision == "fp32" and not self.compiled

    def trainer(self, given: GradientTrainer) -> GradientTrainer:
        """The trainer as this setup wants it."""
        return replace(given, engine=self.engine, precision=self.precision, compile=self.compiled)


def setups(
    devices: Sequence[Device], precisions: Sequence[PrecisionName], compiled: Sequence[bool]
) -> list[Setup]:
    """Every device in every precision, compiled or not; the first is what the others are set against."""
    return [
        Setup(device, precision, each)
        for precision in precisions
        for each in compiled
        for device in devices
    ]


def kernel_setup(model: Any, trainer: GradientTrainer, devices: Sequence[Device]) -> list[Setup]:
    """The model's own kernel on one thread, where it is what would train it and a CPU is compared."""
    one = Device("cpu", 1)
    has_cpu = any(not device.is_accelerator for device in devices)
    if has_cpu and "kernel" in trainer.engine_for(model, one):
        return [Setup(one, engine="kernel")]
    return []

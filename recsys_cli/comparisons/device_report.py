"""The comparison of devices as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from recsys_cli.comparisons.device_findings import (
    LOSS_TOLERANCE,
    METRIC_TOLERANCE,
    Finding,
    conclude,
    find,
)
from recsys_cli.comparisons.device_trials import Cell, Plan


@dataclass(frozen=True)
class ModelReport:
    """A model on all devices.

    Attributes:
        model: Its name.
        config_hash: Of the settings that can move a metric.
        split_hash: Of the events that it was trained and judged on.
        primary: The name of the metric that must agree.
        cells: Raw measurements, a device each.
        findings: What they say; None for a device that failed.
        conclusion: The same in one clause.
    """

    model: str
    config_hash: str
    split_hash: str
    primary: str
    cells: list[Cell]
    findings: list[Finding | None]
    conclusion: str

    @classmethod
    def of(
        cls, model: str, cells: list[Cell], *, config_hash: str, split_hash: str, primary: str
    ) -> ModelReport:
        """Draw what there is to draw from raw measurements."""
        findings = find(cells)
        conclusion = conclude(model, cells, findings)
        return cls(model, config_hash, split_hash, primary, cells, findings, conclusion)

    @property
    def pairs(self) -> Iterator[tuple[Cell, Finding | None]]:
        """Each device's measurements with what they say."""
        return zip(self.cells, self.findings, strict=True)

    def notes(self) -> Iterator[str]:
        """Failures, disagreements and noise."""
        for cell, finding in self.pairs:
            where = f"{self.model} on {cell.device.label}"
            if finding is None:
                yield f"{where} failed: {cell.failure}"
                continue
            against = finding.against_first
            if against is not None and against.same == "differs":
                yield (
                    f"{where} is not the same model: the loss is off by {against.loss_difference:.1e} (relative), "
                    f"{self.primary} by {against.metric_difference:.1e}"
                )
            if not finding.repeats_equal:
                yield f"{where} does not repeat: the bits of the weights differ between repeats"
            if finding.noisy:
                yield f"{where} is noisy: the middle half of its step times spans {finding.noise:.0%} of the median"

    def to_json(self) -> dict[str, Any]:
        """Plain values, raw samples included."""
        return {
            "model": self.model,
            "config_hash": self.config_hash,
            "split_hash": self.split_hash,
            "primary_metric": self.primary,
            "conclusion": self.conclusion,
            "cells": [
                {
                    "device": cell.device.label,
                    "hardware": cell.device.hardware,
                    "failure": cell.failure,
                    "memory_of": "tensors" if cell.device.is_accelerator else "process",
                    "finding": None if finding is None else asdict(finding),
                    "learned": None if cell.learned is None else asdict(cell.learned),
                    "samples": [asdict(sample) for sample in cell.samples],
                }
                for cell, finding in self.pairs
            ],
        }


@dataclass(frozen=True)
class Report:
    """All models on all devices.

    Attributes:
        run_id: Under which it is recorded; empty where it is not.
        data: Name of the data set.
        plan: How much was measured.
        models: A report each.
        accelerators: Those that the machine has.
        environment: Versions and hardware.
        logged_at: The tracking store; empty where nothing is kept.
        how_to_open: The command that shows it; empty where nothing is kept.
    """

    run_id: str
    data: str
    plan: Plan
    models: list[ModelReport]
    accelerators: list[str]
    environment: dict[str, str]
    logged_at: str
    how_to_open: str

    @property
    def conclusion(self) -> str:
        """One sentence."""
        return "; ".join(report.conclusion for report in self.models) + "."

    @property
    def agree(self) -> bool:
        """Every device that trained a model trained the same."""
        found = [finding for report in self.models for finding in report.findings]
        return not any(finding.differs for finding in found if finding is not None)

    @property
    def works(self) -> bool:
        """At least one model was measured on one device."""
        return any(finding for report in self.models for finding in report.findings)

    @property
    def tolerance(self) -> str:
        """What counts as the same model."""
        steps = self.plan.warmup + self.plan.steps
        return (
            f"after {steps} steps from the same weights on the same batches, dropout off, the last loss "
            f"is within {LOSS_TOLERANCE:g} (relative) and {self.models[0].primary} within {METRIC_TOLERANCE:g} of "
            "the first device's"
        )

    def notes(self) -> list[str]:
        """What one must know to trust the numbers."""
        none_found = "no accelerator was found on this machine: what is compared is CPU threads"
        own = [] if self.accelerators else [none_found]
        return [*own, *(note for report in self.models for note in report.notes())]

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `--json` prints and what is recorded."""
        return {
            "run_id": self.run_id,
            "data": self.data,
            "plan": asdict(self.plan),
            "agree": self.agree,
            "tolerance": {"loss": LOSS_TOLERANCE, "metric": METRIC_TOLERANCE},
            "accelerators": self.accelerators,
            "environment": self.environment,
            "models": [report.to_json() for report in self.models],
            "notes": self.notes(),
            "conclusion": self.conclusion,
            "logged_at": self.logged_at,
            "how_to_open": self.how_to_open,
        }

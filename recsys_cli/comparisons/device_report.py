"""The comparison of devices as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from recsys_cli.comparisons.device_crossing import Point, first_win
from recsys_cli.comparisons.device_findings import (
    BF16_LOSS_TOLERANCE,
    BF16_METRIC_TOLERANCE,
    LOSS_TOLERANCE,
    METRIC_TOLERANCE,
    Finding,
    conclude,
    find,
    promise,
)
from recsys_cli.comparisons.device_quality import NEARLY, Course, target
from recsys_cli.comparisons.device_roofline import Roof
from recsys_cli.comparisons.device_trials import Cell, Plan

# Speed-ups of GPUs that others recorded, for scale.
PUBLISHED = (
    ("implicit ALS on ML-20M, 64 factors", "2.6", "an A6000 against 8 cores"),
    ("implicit ALS on ML-20M, 128 factors", "5.3", "an A6000 against 8 cores"),
    ("implicit ALS on ML-20M, 192 factors", "6.3", "an A6000 against 8 cores"),
    ("implicit ALS on ML-20M, 256 factors", "7.8", "an A6000 against 8 cores"),
    ("GRU4Rec", "3.2", "two frameworks on one GPU"),
    ("NCF with large batches", "1.5 to 2.1", "mixed precision against fp32 on one GPU"),
    ("matrix factorisation on ML-100K", "below 1", "a GPU against a CPU, normally"),
)


@dataclass(frozen=True)
class ModelReport:
    """A model in all setups.

    Attributes:
        model: Its name.
        config_hash: Of the settings that can move a metric.
        split_hash: Of the events that it was trained and judged on.
        primary: The name of the metric that must agree.
        cells: Raw measurements, a setup each.
        findings: What they say; None for a setup that failed.
        conclusion: The same in one clause.
        courses: Trainings with validation, a setup each.
        points: Where one device overtakes another; those without times were not reached.
    """

    model: str
    config_hash: str
    split_hash: str
    primary: str
    cells: list[Cell]
    findings: list[Finding | None]
    conclusion: str
    courses: list[Course] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        model: str,
        cells: list[Cell],
        *,
        config_hash: str,
        split_hash: str,
        primary: str,
        roofs: Mapping[str, Roof] | None = None,
        courses: list[Course] | None = None,
        points: list[Point] | None = None,
    ) -> ModelReport:
        """Draw what there is to draw from raw measurements."""
        findings = find(cells, roofs)
        conclusion = conclude(model, cells, findings)
        return cls(
            model,
            config_hash,
            split_hash,
            primary,
            cells,
            findings,
            conclusion,
            courses or [],
            points or [],
        )

    @property
    def target(self) -> float | None:
        """95 % of the best value of the primary metric; None where nothing was trained for it."""
        return target(self.courses)

    def course(self, label: str) -> Course | None:
        """The training with validation of a setup."""
        return next((course for course in self.courses if course.setup.label == label), None)

    def quality_seconds(self, label: str) -> float | None:
        """Seconds of training to the target; None where it was not reached."""
        course, wanted = self.course(label), self.target
        return None if course is None or wanted is None else course.seconds_to(wanted)

    def epoch_seconds(self, cell: Cell, finding: Finding) -> float:
        """Measured where whole epochs were trained, else derived from steps."""
        course = self.course(cell.setup.label)
        measured = None if course is None else course.epoch_seconds
        return finding.epoch_seconds if measured is None else measured

    def crossings(self) -> Iterator[str]:
        """Where each of the other devices first wins, in words."""
        timed = [point for point in self.points if point.example_seconds or point.failures]
        first, *others = [cell.setup.label for cell in self.cells if cell.setup.plain] or [""]
        for label in others if timed else ():
            won = first_win(timed, label, first)
            if won is None:
                where = f"at none of the {len(timed)} batches and sizes that were timed"
            else:
                size = "" if won.dim is None else f" and {won.dim} numbers an embedding"
                where = f"from batches of {won.batch_size:,}{size}"
            yield f"{self.model}: {label} overtakes {first} {where}"

    @property
    def pairs(self) -> Iterator[tuple[Cell, Finding | None]]:
        """Each device's measurements with what they say."""
        return zip(self.cells, self.findings, strict=True)

    def notes(self) -> Iterator[str]:
        """Failures, disagreements and noise."""
        for cell, finding in self.pairs:
            where = f"{self.model} on {cell.setup.label}"
            if finding is None:
                yield f"{where} failed: {cell.failure}" if cell.failure else f"{where} was cut off"
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
        for course in self.courses:
            if course.failure:
                yield f"{self.model} on {course.setup.label} failed in whole epochs: {course.failure}"
        if missed := sum(1 for p in self.points if not p.example_seconds and not p.failures):
            yield f"{self.model}: {missed} of {len(self.points)} batches and sizes were not reached in time"

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
                    "device": cell.setup.label,
                    "precision": cell.setup.precision,
                    "compiled": cell.setup.compiled,
                    "engine": cell.setup.engine,
                    "hardware": cell.device.hardware,
                    "failure": cell.failure,
                    "memory_of": "tensors" if cell.device.is_accelerator else "process",
                    "promise": None if finding is None else promise(finding),
                    "finding": None if finding is None else asdict(finding),
                    "learned": None if cell.learned is None else asdict(cell.learned),
                    "samples": [asdict(sample) for sample in cell.samples],
                }
                for cell, finding in self.pairs
            ],
            "quality": {
                "target": self.target,
                "share_of_best": NEARLY,
                "courses": [
                    {
                        "device": course.setup.label,
                        "failure": course.failure,
                        "seconds_to_target": self.quality_seconds(course.setup.label),
                        "epochs": [asdict(epoch) for epoch in course.epochs],
                    }
                    for course in self.courses
                ],
            },
            "grid": [asdict(point) for point in self.points],
            "crossings": list(self.crossings()),
        }


@dataclass(frozen=True)
class Report:
    """All models in all setups.

    Attributes:
        run_id: Under which it is recorded; empty where it is not.
        data: Name of the data set.
        plan: How much was measured.
        models: A report each.
        accelerators: Those that the machine has.
        environment: Versions and hardware.
        logged_at: The tracking store; empty where nothing is kept.
        how_to_open: The command that shows it; empty where nothing is kept.
        roofs: What each setup can do at best, by label, measured before the models.
        load: Processes that wanted a core before it began; None where the system does not tell.
        cores: That this process may use.
        interrupted: It was stopped: what was finished is here.
    """

    run_id: str
    data: str
    plan: Plan
    models: list[ModelReport]
    accelerators: list[str]
    environment: dict[str, str]
    logged_at: str
    how_to_open: str
    roofs: Mapping[str, Roof] = field(default_factory=dict)
    load: float | None = None
    cores: int = 1
    interrupted: bool = False

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
            f"the first's; {BF16_LOSS_TOLERANCE:g} and {BF16_METRIC_TOLERANCE:g} in bf16"
        )

    def notes(self) -> list[str]:
        """What one must know to trust the numbers."""
        none_found = "no accelerator was found on this machine: what is compared is CPU threads"
        own = [] if self.accelerators else [none_found]
        if self.load is not None and self.load > self.cores / 2:
            own.append(
                f"the machine is noisy: {self.load:.1f} processes wanted its {self.cores} cores before this began"
            )
        if self.interrupted:
            own.append("stopped before its end: what was finished is shown")
        return [*own, *(note for report in self.models for note in report.notes())]

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `--json` prints and what is recorded."""
        return {
            "run_id": self.run_id,
            "data": self.data,
            "plan": asdict(self.plan),
            "agree": self.agree,
            "tolerance": {"loss": LOSS_TOLERANCE, "metric": METRIC_TOLERANCE},
            "tolerance_bf16": {"loss": BF16_LOSS_TOLERANCE, "metric": BF16_METRIC_TOLERANCE},
            "roofs": {label: asdict(roof) for label, roof in self.roofs.items()},
            "load": self.load,
            "cores": self.cores,
            "interrupted": self.interrupted,
            "published": [list(row) for row in PUBLISHED],
            "accelerators": self.accelerators,
            "environment": self.environment,
            "models": [report.to_json() for report in self.models],
            "notes": self.notes(),
            "conclusion": self.conclusion,
            "logged_at": self.logged_at,
            "how_to_open": self.how_to_open,
        }

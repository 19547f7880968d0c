"""The same training on every device: how fast, how much memory, and whether it is the same model afterwards.

Slide 9 asks how training on a GPU compares with training on a CPU. The answer depends on the model, its size, the
batch and the threads, so each model is measured on each device with the settings at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recsys_cli import __version__
from recsys_cli.comparisons import device_crossing as crossing
from recsys_cli.comparisons.device_crossing import cross
from recsys_cli.comparisons.device_findings import Finding
from recsys_cli.comparisons.device_quality import Course, follow
from recsys_cli.comparisons.device_report import ModelReport, Report
from recsys_cli.comparisons.device_roofline import Roof, measure_roof
from recsys_cli.comparisons.device_setups import Setup, kernel_setup, setups
from recsys_cli.comparisons.device_trials import Cell, Plan, Subject, attempt, measure
from recsys_cli.config import Config, build, load, locate
from recsys_cli.devices import (
    Device,
    PrecisionName,
    accelerators,
    busy,
    environment,
    usable_cores,
)
from recsys_cli.errors import ConfigError
from recsys_cli.preparation import Prepared, model_facts, prepare
from recsys_cli.progress import Progress
from recsys_cli.tracking.contract import Status, Tracker, keep_texts
from recsys_cli.training.loop import GradientTrainer

RAW_SAMPLES = "devices.json"
EMBEDDING_KEYS = ("rank", "dim")  # of a model's settings: the length of its embeddings
SPREAD_OUT = {
    "trainer.precision": "--precision fp32,bf16",
    "trainer.compile": "--compile off,on",
}


def settings(
    models: str, overrides: Sequence[str], config_dirs: Sequence[Path] = ()
) -> list[Config]:
    """The settings of each model, checked; nothing is read yet.

    Args:
        models: Names with commas between them.
        overrides: For all of them; a key that one of them does not have is an error.
        config_dirs: The user's own folders.

    Raises:
        ConfigError: As `config.load`; a model that does not learn in steps, or is named twice; a device among the
            overrides.
    """
    names = [name.strip() for name in models.split(",")]
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        if key.partition(".")[0] == "device":
            raise ConfigError(f"{text!r} chooses one device", "name all with --devices cpu:1,cpu:2")
        if key in SPREAD_OUT:
            raise ConfigError(f"{text!r} chooses one", f"name all with {SPREAD_OUT[key]}")
    configs = []
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--model names {name!r} {names.count(name)} times", "name it once")
        config = load([f"model={name}", "device=cpu", *overrides], config_dirs)
        if locate(config.tree["trainer"]["_target_"], key="trainer") is not GradientTrainer:
            raise ConfigError(
                f"model={name} is solved in one go: it has no steps to time",
                "name models like mf,deep,seq",
            )
        if config.tree["trainer"]["engine"] == "kernel":
            raise ConfigError(
                "trainer.engine=kernel: devices are compared by torch, which all of them have",
                "leave it out",
            )
        configs.append(config)
    return configs


@dataclass(frozen=True)
class Grid:
    """The setups that are asked for; a model's kernel comes beside them.

    Attributes:
        devices: Where; the others are set against the first.
        precisions: In each of them.
        compiled: Whether torch compiles the steps, or both.
    """

    devices: Sequence[Device]
    precisions: Sequence[PrecisionName] = ("fp32",)
    compiled: Sequence[bool] = (False,)

    def of(self, model: Any, trainer: GradientTrainer) -> list[Setup]:
        """The setups of a model."""
        asked = setups(self.devices, self.precisions, self.compiled)
        return [*asked, *kernel_setup(model, trainer, self.devices)]


Pages = Callable[[Report], Mapping[str, str]]


def compare(
    configs: Sequence[Config],
    asked: Grid,
    plan: Plan,
    *,
    progress: Progress,
    pages: Pages = lambda report: {},
) -> Report:
    """Measure every model in every setup and record it: a run of its own, with a run for each cell inside.

    Stopped by Ctrl-C, it gives what was finished: `interrupted` says so, and the caller stops.

    Args:
        configs: One a model, as `settings` gives them; all on the same data.
        asked: Where and how.
        plan: How much is measured.
        progress: Shows how it goes on.
        pages: Draws the report: text of files by name, which are recorded with the comparison.

    Raises:
        RecsysError: Data or a model cannot be had, or the record cannot be written. A device that fails is no error:
            its cell says why.
        KeyboardInterrupt: It was stopped before anything was finished.
    """
    subjects = [_subject(config, progress) for config in configs]
    grids = [asked.of(subject.ready.model, subject.ready.trainer) for subject in subjects]
    tracker: Tracker = build(configs[0].tree["tracking"], key="tracking")
    names = [subject.name for subject in subjects]
    data = configs[0].choices["data"]
    run_id = tracker.start(
        name=f"devices: {', '.join(names)} on {data}",
        params={
            "models": ",".join(names),
            "devices": ",".join(dict.fromkeys(s.label for grid in grids for s in grid)),
            "data": data,
            "seed": configs[0].tree["seed"],
            **asdict(plan),
        },
        tags=_tags(configs[0], subjects[0].ready, asked.devices[0]),
        warn=progress.note,
    )
    report = Report(
        run_id=run_id,
        data=data,
        plan=plan,
        models=[],
        accelerators=accelerators(),
        environment=environment(asked.devices[0]),
        logged_at=tracker.location,
        how_to_open=tracker.how_to_open,
        load=busy(),
        cores=usable_cores(),
    )
    status: Status = "FAILED"
    try:
        report = replace(report, roofs=_roofs(grids, progress))
        for subject, config, grid in zip(subjects, configs, grids, strict=True):
            found, stopped = _one_model(subject, config, grid, plan, report.roofs, progress)
            report = replace(report, models=[*report.models, found], interrupted=stopped)
            _record_cells(found, config, subject.ready, plan, run_id, progress)
            if stopped:
                break
        tracker.metrics(_overview(report.models))
        keep_texts(
            tracker, {RAW_SAMPLES: json.dumps(report.to_json(), indent=2) + "\n", **pages(report)}
        )
        status = "KILLED" if report.interrupted else "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    return replace(report, logged_at=tracker.location)


def _subject(config: Config, progress: Progress) -> Subject:
    ready = prepare(config, progress=progress)
    name, node = config.choices["model"], config.tree["model"]
    key = next((key for key in EMBEDDING_KEYS if key in node), None)
    if key is None:
        return Subject(name, ready)
    facts = model_facts(ready.interactions, ready.split)
    return Subject(name, ready, lambda dim: build({**node, key: dim}, key="model", **facts))


def _roofs(grids: Sequence[Sequence[Setup]], progress: Progress) -> dict[str, Roof]:
    """What each setup can do at best; a setup that cannot be probed says why in its cells."""
    probed = {setup.label: setup for grid in grids for setup in grid if setup.engine == "torch"}
    roofs = {}
    with progress.bar("what the machine can do", len(probed), "setups") as bar:
        for label, setup in probed.items():

            def probe(label: str = label, setup: Setup = setup) -> None:
                roofs[label] = measure_roof(setup)

            attempt(setup.device, probe)
            bar.advance()
    return roofs


def _one_model(
    subject: Subject,
    config: Config,
    grid: Sequence[Setup],
    plan: Plan,
    roofs: Mapping[str, Roof],
    progress: Progress,
) -> tuple[ModelReport, bool]:
    """The report of a model, and whether it was stopped."""
    cells = [Cell(setup) for setup in grid]
    courses = [Course(setup) for setup in grid] if plan.quality_seconds else []
    plain = [setup for setup in grid if setup.plain]
    points = crossing.grid(subject) if plan.grid_seconds and len(plain) > 1 else []
    stopped = False
    try:
        turns = len(cells) * (plan.repeats + 1)
        with progress.bar(f"compare {subject.name}", turns, "turns") as bar:
            measure(subject, cells, plan, bar)
        if courses:
            with progress.bar(f"{subject.name} to quality", len(courses), "setups") as bar:
                for course, cell in zip(courses, cells, strict=True):
                    if not cell.failure:
                        follow(subject, course, plan)
                    bar.advance()
        if points:
            with progress.bar(f"{subject.name} by size", len(points), "sizes") as bar:
                cross(subject, points, plain, plan, bar)
    except KeyboardInterrupt:
        stopped = True
        if not any(len(cell.samples) > 1 for cell in cells):
            raise
    found = ModelReport.of(
        subject.name,
        cells,
        config_hash=config.hash,
        split_hash=subject.ready.split.hash,
        primary=subject.ready.protocol.primary,
        roofs=roofs,
        courses=[course for course in courses if course.epochs or course.failure],
        points=points,
    )
    return found, stopped


def _record_cells(
    report: ModelReport,
    config: Config,
    ready: Prepared,
    plan: Plan,
    parent_id: str,
    progress: Progress,
) -> None:
    """A run for each setup that the model was sent to, failed ones included."""
    tracker: Tracker = build(config.tree["tracking"], key="tracking")
    for (cell, finding), raw in zip(report.pairs, report.to_json()["cells"], strict=True):
        tags = _tags(config, ready, cell.device)
        tracker.start(
            name=f"{report.model} on {cell.setup.label}",
            params=config.flat() | {"device": cell.setup.label, **asdict(plan)},
            tags=tags | ({"recsys.failure": cell.failure} if cell.failure else {}),
            parent_id=parent_id,
            warn=progress.note,
        )
        status: Status = "FAILED"
        try:
            if finding is not None:
                tracker.metrics(_numbers(cell, finding, report))
                status = "FINISHED"
            keep_texts(tracker, {RAW_SAMPLES: json.dumps(raw, indent=2) + "\n"})
        finally:
            tracker.finish(status)


def _overview(reports: Sequence[ModelReport]) -> dict[str, float]:
    """Each cell's speed, so that whole comparisons can be set side by side."""
    speeds = {}
    for report in reports:
        for cell, finding in report.pairs:
            if finding is not None:
                name = f"{report.model}_{_key(cell.setup.label)}"
                speeds[f"{name}_samples_per_second"] = finding.examples_per_second
    return speeds


def _key(label: str) -> str:
    return label.replace(":", "_").replace(" ", "_")


def _numbers(cell: Cell, finding: Finding, report: ModelReport) -> dict[str, float]:
    numbers = {
        "samples_per_second": finding.examples_per_second,
        "step_seconds": finding.step_seconds.median,
        "step_seconds_iqr": finding.step_seconds.iqr,
        "epoch_seconds": report.epoch_seconds(cell, finding),
        "evaluation_seconds": finding.evaluation_seconds.median,
        "evaluation_seconds_iqr": finding.evaluation_seconds.iqr,
        "request_p50_seconds": finding.request_p50_seconds,
        "request_p99_seconds": finding.request_p99_seconds,
        "peak_memory_bytes": finding.peak_memory_bytes,
        "host_peak_bytes": finding.host_peak_bytes,
        "repeats_equal": finding.repeats_equal,
    }
    numbers |= {f"{phase}_seconds": each.median for phase, each in finding.phase_seconds.items()}
    for piece, held in finding.bounds.items():
        numbers[f"{piece}_compute_share"] = held.compute_share
        numbers[f"{piece}_memory_share"] = held.memory_share
    if finding.step_joules is not None:
        numbers["step_joules"] = finding.step_joules
    if (seconds := report.quality_seconds(cell.setup.label)) is not None:
        numbers["seconds_to_quality"] = seconds
    if cell.learned is not None:
        numbers |= {"train_loss": cell.learned.loss, f"valid_{report.primary}": cell.learned.metric}
    if finding.against_first is not None:
        numbers |= {
            "speed_up": finding.against_first.speed_up,
            "evaluation_speed_up": finding.against_first.evaluation_speed_up,
            "loss_difference": finding.against_first.loss_difference,
            "metric_difference": finding.against_first.metric_difference,
        }
    return numbers


def _tags(config: Config, ready: Prepared, device: Device) -> dict[str, str]:
    return {
        "recsys.version": __version__,
        "recsys.comparison": "devices",
        "recsys.config_hash": config.hash,
        "recsys.split_hash": ready.split.hash,
        "recsys.overrides": " ".join(config.overrides),
        **{f"recsys.{name}": value for name, value in environment(device).items()},
    }

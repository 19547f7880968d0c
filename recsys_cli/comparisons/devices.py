"""The same training on every device: how fast, how much memory, and whether it is the same model afterwards.

Slide 9 asks how training on a GPU compares with training on a CPU. The answer depends on the model, its size, the
batch and the threads, so each model is measured on each device with the settings at hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsys_cli import __version__
from recsys_cli.comparisons.device_findings import Finding
from recsys_cli.comparisons.device_report import ModelReport, Report
from recsys_cli.comparisons.device_trials import Cell, Plan, Subject, measure
from recsys_cli.config import Config, build, load, locate
from recsys_cli.devices import Device, accelerators, environment
from recsys_cli.errors import ConfigError
from recsys_cli.preparation import Prepared, prepare
from recsys_cli.progress import Progress
from recsys_cli.tracking.contract import Status, Tracker
from recsys_cli.training.loop import GradientTrainer

RAW_SAMPLES = "devices.json"


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


def compare(
    configs: Sequence[Config], devices: Sequence[Device], plan: Plan, *, progress: Progress
) -> Report:
    """Measure every model on every device and record it: a run of its own, with a run for each cell inside.

    Args:
        configs: One a model, as `settings` gives them; all on the same data.
        devices: Where; the others are set against the first.
        plan: How much is measured.
        progress: Shows how it goes on.

    Raises:
        RecsysError: Data or a model cannot be had, or the record cannot be written. A device that fails is no error:
            its cell says why.
    """
    subjects = [Subject(c.choices["model"], prepare(c, progress=progress)) for c in configs]
    tracker: Tracker = build(configs[0].tree["tracking"], key="tracking")
    names = [subject.name for subject in subjects]
    data = configs[0].choices["data"]
    run_id = tracker.start(
        name=f"devices: {', '.join(names)} on {data}",
        params={
            "models": ",".join(names),
            "devices": ",".join(device.label for device in devices),
            "data": data,
            "seed": configs[0].tree["seed"],
            **_flat(plan),
        },
        tags=_tags(configs[0], subjects[0].ready, devices[0]),
        warn=progress.note,
    )
    status: Status = "FAILED"
    try:
        reports = []
        turns = len(subjects) * len(devices) * (plan.repeats + 1)
        with progress.bar("compare devices", turns, "turns") as bar:
            for subject, config in zip(subjects, configs, strict=True):
                cells = measure(subject, devices, plan, bar)
                reports.append(_report(subject, config, cells))
                _record_cells(reports[-1], config, subject.ready, plan, run_id, progress)
        report = Report(
            run_id=run_id,
            data=data,
            plan=plan,
            models=reports,
            accelerators=accelerators(),
            environment=environment(devices[0]),
            logged_at=tracker.location,
            how_to_open=tracker.how_to_open,
        )
        tracker.metrics(_overview(reports))
        _keep(tracker, report.to_json())
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    return replace(report, logged_at=tracker.location)


def _report(subject: Subject, config: Config, cells: list[Cell]) -> ModelReport:
    return ModelReport.of(
        subject.name,
        cells,
        config_hash=config.hash,
        split_hash=subject.ready.split.hash,
        primary=subject.ready.protocol.primary,
    )


def _record_cells(
    report: ModelReport,
    config: Config,
    ready: Prepared,
    plan: Plan,
    parent_id: str,
    progress: Progress,
) -> None:
    """A run for each device that the model was sent to, failed ones included."""
    tracker: Tracker = build(config.tree["tracking"], key="tracking")
    for (cell, finding), raw in zip(report.pairs, report.to_json()["cells"], strict=True):
        tags = _tags(config, ready, cell.device)
        tracker.start(
            name=f"{report.model} on {cell.device.label}",
            params=config.flat() | {"device": cell.device.label, **_flat(plan)},
            tags=tags | ({"recsys.failure": cell.failure} if cell.failure else {}),
            parent_id=parent_id,
            warn=progress.note,
        )
        status: Status = "FAILED"
        try:
            if finding is not None:
                tracker.metrics(_numbers(cell, finding, report.primary))
                status = "FINISHED"
            _keep(tracker, raw)
        finally:
            tracker.finish(status)


def _overview(reports: Sequence[ModelReport]) -> dict[str, float]:
    """Each cell's speed, so that whole comparisons can be set side by side."""
    speeds = {}
    for report in reports:
        for cell, finding in report.pairs:
            if finding is not None:
                name = f"{report.model}_{cell.device.label.replace(':', '_')}"
                speeds[f"{name}_samples_per_second"] = finding.examples_per_second
    return speeds


def _numbers(cell: Cell, finding: Finding, primary: str) -> dict[str, float]:
    numbers = {
        "samples_per_second": finding.examples_per_second,
        "step_seconds": finding.step_seconds.median,
        "step_seconds_iqr": finding.step_seconds.iqr,
        "loading_seconds": finding.loading_seconds.median,
        "epoch_seconds_derived": finding.epoch_seconds,
        "evaluation_seconds": finding.evaluation_seconds.median,
        "evaluation_seconds_iqr": finding.evaluation_seconds.iqr,
        "peak_memory_bytes": finding.peak_memory_bytes,
        "repeats_equal": finding.repeats_equal,
    }
    if cell.learned is not None:
        numbers |= {"train_loss": cell.learned.loss, f"valid_{primary}": cell.learned.metric}
    if finding.against_first is not None:
        numbers |= {
            "speed_up": finding.against_first.speed_up,
            "evaluation_speed_up": finding.against_first.evaluation_speed_up,
            "loss_difference": finding.against_first.loss_difference,
            "metric_difference": finding.against_first.metric_difference,
        }
    return numbers


def _keep(tracker: Tracker, raw: Mapping[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / RAW_SAMPLES
        path.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
        tracker.artifact(path)


def _flat(plan: Plan) -> dict[str, int]:
    return {"steps": plan.steps, "warmup": plan.warmup, "repeats": plan.repeats}


def _tags(config: Config, ready: Prepared, device: Device) -> dict[str, str]:
    return {
        "recsys.version": __version__,
        "recsys.comparison": "devices",
        "recsys.config_hash": config.hash,
        "recsys.split_hash": ready.split.hash,
        "recsys.overrides": " ".join(config.overrides),
        **{f"recsys.{name}": value for name, value in environment(device).items()},
    }

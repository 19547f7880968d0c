"""`recsys compare-devices`: the same training on every device, set side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output
from recsys_cli.errors import ResourceError

if TYPE_CHECKING:
    from recsys_cli.comparisons.device_findings import Finding
    from recsys_cli.comparisons.device_report import Report

COLUMNS = (
    "model",
    "device",
    "samples\nper s",
    "step\nms",
    "IQR\nms",
    "load\nms",
    "epoch\ns",
    "eval\ns",
    "peak\nMiB",
    "speed\nup",
    "same\nmodel",
)
WORDS = {"same bits": "equal", "within tolerance": "close", "differs": "differs"}
MIB = 1 << 20


def compare_devices(
    model: options.Model = "mf,deep,seq",
    data: options.Data = None,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Such as cpu:1,cpu:2,cuda: after cpu: the number of threads; the others are set against the first. "
            "Default: the CPU with one thread and with all, and each accelerator.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps timed in each repeat.", min=1)] = 30,
    warmup: Annotated[int, typer.Option(help="Steps before them, not timed.", min=1)] = 5,
    repeats: Annotated[
        int, typer.Option(help="Repeats on each device; medians are shown.", min=3)
    ] = 5,
    split: options.Split = None,
    trainer: options.Trainer = None,
    evaluation: options.Evaluation = None,
    tracking: options.Tracking = None,
    preset: options.Preset = None,
    seed: options.Seed = None,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
    overrides: options.Overrides = None,
) -> None:
    """Train models on every device and compare speed, memory and result.

    --model takes several names: mf,deep,seq unless said otherwise.

    Example: recsys compare-devices --model=mf,seq --devices=cpu:1,cpu:2 model.history_length=50
    """
    from recsys_cli.devices import every_device, parse_devices

    options.allow(allow_package)
    chosen = every_device() if devices is None else parse_devices(devices)
    said = options.collect(
        overrides,
        seed=seed,
        data=data,
        split=split,
        trainer=trainer,
        evaluation=evaluation,
        tracking=tracking,
        preset=preset,
    )

    from recsys_cli.comparisons.device_trials import Plan
    from recsys_cli.comparisons.devices import compare, settings
    from recsys_cli.tracking.console import Console

    report = compare(
        settings(model or "", said, config_dir or ()),
        chosen,
        Plan(steps=steps, warmup=warmup, repeats=repeats),
        progress=Console(bars=progress),
    )
    if as_json:
        output.write(json.dumps(report.to_json()))
    else:
        _show(report)
    if not report.works:
        raise ResourceError("no device could train any of the models", "each one's reason is above")


def _show(report: Report) -> None:
    """The table, what its columns mean, and at last the conclusion."""
    rows = [
        (each.model, cell.device.label, *_numbers(finding, cell.failure, is_first=place == 0))
        for each in report.models
        for place, (cell, finding) in enumerate(each.pairs)
    ]
    lines = "\n" if output.on_terminal() else " "  # heads of two lines let the table fit 80 columns
    output.table([head.replace("\n", lines) for head in COLUMNS], rows, numbers=True)
    plan = report.plan
    output.facts(
        [
            (
                "times",
                f"medians of {plan.repeats} repeats of {plan.steps} steps after {plan.warmup} that are not timed; a "
                "step makes its batch too (load), an epoch is derived from steps, eval ranks all of validation",
            ),
            ("memory", "on a CPU of the whole process, on an accelerator of its tensors"),
            ("speed up", f"of training against {report.models[0].cells[0].device.label}"),
            ("same model", f"equal: in all bits of the weights; close: {report.tolerance}"),
            *(("note", note) for note in report.notes()),
            ("logged", report.logged_at),
            ("open with", report.how_to_open),
            ("conclusion", report.conclusion),
        ]
    )


def _numbers(finding: Finding | None, failure: str, *, is_first: bool) -> tuple[str, ...]:
    """The cells after the model and the device."""
    if finding is None:
        return (*("-" for _ in COLUMNS[3:]), failure.partition(":")[0])
    against = finding.against_first
    return (
        f"{finding.examples_per_second:.0f}",
        _digits(finding.step_seconds.median * 1e3),
        _digits(finding.step_seconds.iqr * 1e3),
        _digits(finding.loading_seconds.median * 1e3),
        _digits(finding.epoch_seconds),
        _digits(finding.evaluation_seconds.median),
        f"{finding.peak_memory_bytes / MIB:.0f}",
        "-" if against is None else f"{against.speed_up:.2f}",
        "-" if against is None else "first" if is_first else WORDS[against.same],
    )


def _digits(value: float) -> str:
    """Three digits that count, at most three behind the point, and no exponent."""
    return f"{value:.0f}" if value >= 99.95 else f"{round(value, 3):.3g}"

"""`recsys compare-devices`: the same training on every device, set side by side."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from recsys_cli.cli import options, output
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys_cli.comparisons.device_findings import Finding
    from recsys_cli.comparisons.device_report import ModelReport, Report
    from recsys_cli.comparisons.device_trials import Cell

COLUMNS = (
    "model",
    "device",
    "samples\nper s",
    "step\nms",
    "IQR\nms",
    "epoch\ns",
    "eval\ns",
    "p50\nms",
    "p99\nms",
    "peak\nMiB",
    "to 95%\ns",
    "speed\nup",
    "same\nmodel",
)
PHASE_COLUMNS = (
    "model",
    "device",
    "data\nms",
    "forward\nms",
    "backward\nms",
    "update\nms",
    "joules\na step",
)
WORDS = {
    "same bits": "equal",
    "within tolerance": "close",
    "differs": "differs",
    "other steps": "other",
}
LETTERS = {"compute": "c", "memory": "m", "overhead": "o"}
Name = TypeVar("Name", bound=str)
SWITCHES = {"off": False, "on": True}
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
    precision: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="fp32, bf16 or both, with a comma. bf16 is for accelerators: on CPUs without bf16 units it was "
            "measured 100 times as slow.",
        ),
    ] = "fp32",
    compiled: Annotated[
        str,
        typer.Option(
            "--compile",
            metavar="LIST",
            help="off, on or both: whether torch compiles the steps, half a minute or more each.",
        ),
    ] = "off",
    steps: Annotated[int, typer.Option(help="Training steps timed in each repeat.", min=1)] = 15,
    warmup: Annotated[int, typer.Option(help="Steps before them, not timed.", min=1)] = 3,
    repeats: Annotated[
        int, typer.Option(help="Repeats of each, in turns; medians are shown.", min=5)
    ] = 5,
    quality_seconds: Annotated[
        float,
        typer.Option(
            help="Longest training of each model on each device for the time to quality; 0 leaves it out.",
            min=0,
        ),
    ] = 12.0,
    grid_seconds: Annotated[
        float,
        typer.Option(
            help="Longest search, a model, for the batch and embedding from which one device is faster; 0 leaves it out.",
            min=0,
        ),
    ] = 25.0,
    page: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the HTML page goes; without it a new file in the folder of runs.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
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
    """Train models on every device and compare speed, memory, energy and result, and say why and where it turns.

    --model takes several names: mf,deep,seq unless said otherwise. Ctrl-C shows and keeps what was finished.

    Example: recsys compare-devices --model=mf,seq --devices=cpu:1,cpu:2 model.history_length=50
    """
    from recsys_cli.devices import PRECISIONS, every_device, parse_devices

    options.allow(allow_package)
    precisions = _names("--precision", precision, PRECISIONS)
    switches = [SWITCHES[name] for name in _names("--compile", compiled, tuple(SWITCHES))]
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
    from recsys_cli.comparisons.devices import Grid, compare, settings
    from recsys_cli.reports.device_page import NAME, device_page
    from recsys_cli.tracking.console import Console

    configs = settings(model or "", said, config_dir or ())
    where = options.page(page) if page is not None else None
    report = compare(
        configs,
        Grid(chosen, precisions, switches),
        Plan(
            steps=steps,
            warmup=warmup,
            repeats=repeats,
            quality_seconds=quality_seconds,
            grid_seconds=grid_seconds,
        ),
        progress=Console(bars=progress),
        pages=lambda report: {NAME: device_page(report)},
    )
    where = where or _new_page(Path(configs[0].tree["root"]))
    write_whole(where, device_page(report).encode())
    if as_json:
        output.write(json.dumps(report.to_json() | {"page": str(where)}))
    else:
        _show(report, where)
    if report.interrupted:
        raise KeyboardInterrupt
    if not report.works:
        raise ResourceError("no device could train any of the models", "each one's reason is above")


def _names(option: str, said: str, known: Sequence[Name]) -> list[Name]:
    """The names of a list such as `fp32,bf16`, each once."""
    names = [name.strip() for name in said.split(",")]
    for name in names:
        if name not in known:
            raise ConfigError(f"{option} has no {name!r}", f"there are: {', '.join(known)}")
    return [name for name in known if name in names]


def _new_page(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    return root / f"devices-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}.html"


def _show(report: Report, page: Path) -> None:
    """The tables, what their columns mean, and at last the conclusion."""
    cells = [(model, cell, finding) for model in report.models for cell, finding in model.pairs]
    lines = "\n" if output.on_terminal() else " "  # heads of two lines let the table fit
    rows = [(m.model, cell.setup.label, *_numbers(m, cell, finding)) for m, cell, finding in cells]
    output.table([head.replace("\n", lines) for head in COLUMNS], rows, numbers=True)
    timed = [
        (m.model, cell.setup.label, *_phases(finding))
        for m, cell, finding in cells
        if finding is not None and finding.phase_seconds
    ]
    if timed:
        output.table([head.replace("\n", lines) for head in PHASE_COLUMNS], timed, numbers=True)
    plan = report.plan
    crossings = [("turns", line) for model in report.models for line in model.crossings()]
    output.facts(
        [
            (
                "times",
                f"medians of {plan.repeats} repeats of {plan.steps} steps after {plan.warmup} that are not timed, in "
                "turns; a step makes its batch too (data); eval ranks all of validation, p50 and p99 are of a list for "
                f"one user, to 95% is training until 95 % of the best validation value of {plan.quality_seconds:g} s",
            ),
            (
                "held up by",
                "c compute, m memory, o overhead; with the share of what this machine did at best in this run",
            ),
            ("memory", "on a CPU of the whole process, on an accelerator of its tensors"),
            ("speed up", f"of training against {report.models[0].cells[0].setup.label}"),
            (
                "same model",
                f"equal: in all bits of the weights; close: {report.tolerance}; other: the kernel steps an event at a time",
            ),
            *crossings,
            *(("note", note) for note in report.notes()),
            ("logged", report.logged_at),
            ("open with", report.how_to_open),
            ("page", str(page)),
            ("conclusion", report.conclusion),
        ],
        wrap=True,
    )


def _numbers(model: ModelReport, cell: Cell, finding: Finding | None) -> tuple[str, ...]:
    """What stands after the model and the device."""
    if finding is None:
        return (*("-" for _ in COLUMNS[3:]), cell.failure.partition(":")[0] or "cut off")
    against, reached = finding.against_first, model.quality_seconds(cell.setup.label)
    return (
        f"{finding.examples_per_second:.0f}",
        _digits(finding.step_seconds.median * 1e3),
        _digits(finding.step_seconds.iqr * 1e3),
        _digits(model.epoch_seconds(cell, finding)),
        _digits(finding.evaluation_seconds.median),
        _digits(finding.request_p50_seconds * 1e3),
        _digits(finding.request_p99_seconds * 1e3),
        f"{finding.peak_memory_bytes / MIB:.0f}",
        "-" if reached is None else _digits(reached),
        "-" if against is None else f"{against.speed_up:.2f}",
        "-" if against is None else "first" if cell is model.cells[0] else WORDS[against.same],
    )


def _phases(finding: Finding) -> tuple[str, ...]:
    """Milliseconds of each phase with what holds it up, and the energy of a step."""
    shown = []
    for name, spread in finding.phase_seconds.items():
        held = finding.bounds.get(name)
        share = "" if held is None else f"{max(held.compute_share, held.memory_share):.0%}"
        mark = "" if held is None else f" {LETTERS[held.name]} {share:>4}"
        shown.append(f"{_digits(spread.median * 1e3)}{mark}")
    joules = finding.step_joules
    return (*shown, "not reported" if joules is None else _digits(joules))


def _digits(value: float) -> str:
    """Three digits that count, at most three behind the point, and no exponent."""
    return f"{value:.0f}" if value >= 99.95 else f"{round(value, 3):.3g}"

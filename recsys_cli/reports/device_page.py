"""The page of a comparison of devices."""

from __future__ import annotations

from collections.abc import Iterator

from recsys_cli.comparisons.device_findings import Finding, promise
from recsys_cli.comparisons.device_report import PUBLISHED, ModelReport, Report
from recsys_cli.comparisons.device_training import PHASES
from recsys_cli.comparisons.device_trials import Cell
from recsys_cli.reports import device_plots as plots
from recsys_cli.reports.page import Drawing, Section, Table, page

NAME = "devices.html"
SPEED = ("model", "device", "samples per s", "step ms", "IQR ms", "epoch s", "evaluation s", "request p50 ms", "p99 ms",
         "speed-up", "same model")  # fmt: skip
REST = (
    "model",
    "device",
    "peak MiB, device",
    "peak MiB, host",
    "joules a step",
    "seconds to quality",
)
MIB = 1 << 20
WORDS = {
    "same bits": "equal",
    "within tolerance": "close",
    "differs": "differs",
    "other steps": "other steps",
}


def device_page(report: Report) -> str:
    """The whole report as one HTML file."""
    names = ", ".join(model.model for model in report.models)
    return page(
        f"Devices: {names} on {report.data}",
        report.conclusion,
        [
            Section("Speed, memory and quality", [*_overview(report), *_explained(report)]),
            Section("Where a step's time goes", _phases(report)),
            Section("Why: against what this machine can do", _why(report)),
            Section("Where it turns", _crossing(report)),
            Section("Is it the same model?", _same(report)),
            Section("How long until it is good", _quality(report)),
            Section("Beside published ratios", [_published()]),
            Section("To know before trusting it", report.notes()),
            Section("Machine", [Table(("what", "value"), list(report.environment.items()), 2)]),
        ],
    )


def _cells(report: Report) -> Iterator[tuple[ModelReport, Cell, Finding | None]]:
    for model in report.models:
        for cell, finding in model.pairs:
            yield model, cell, finding


def _overview(report: Report) -> list[Table]:
    speed, rest = [], []
    for model, cell, finding in _cells(report):
        where = [model.model, cell.setup.label]
        if finding is None:
            speed.append([*where, *("-" for _ in SPEED[3:]), cell.failure or "cut off"])
            continue
        against, reached = finding.against_first, model.quality_seconds(cell.setup.label)
        joules = finding.step_joules
        speed.append([
            *where, f"{finding.examples_per_second:,.0f}", _ms(finding.step_seconds.median),
            _ms(finding.step_seconds.iqr), _digits(model.epoch_seconds(cell, finding)),
            _digits(finding.evaluation_seconds.median), _ms(finding.request_p50_seconds),
            _ms(finding.request_p99_seconds), "-" if against is None else f"{against.speed_up:.2f}",
            "-" if against is None else "first" if cell is model.cells[0] else WORDS[against.same],
        ])  # fmt: skip
        rest.append([
            *where, f"{finding.peak_memory_bytes / MIB:,.0f}", f"{finding.host_peak_bytes / MIB:,.0f}",
            "not reported" if joules is None else _digits(joules),
            "-" if reached is None else _digits(reached),
        ])  # fmt: skip
    return [Table(SPEED, speed, 2), Table(REST, rest, 2)]


def _explained(report: Report) -> list[str]:
    plan = report.plan
    return [
        f"Medians of {plan.repeats} repeats of {plan.steps} steps, the setups in turns, after {plan.warmup} steps that "
        "are not timed; the device is waited for before the clock is read. Speed-up is of training an example, against "
        f"{report.models[0].cells[0].setup.label}. Memory is that of tensors on an accelerator and of the whole process "
        "on a CPU. A request is a list for one user."
    ]


def _phases(report: Report) -> list[str | Table | Drawing]:
    rows = [
        [model.model, cell.setup.label, *(_ms(finding.phase_seconds[phase].median) for phase in PHASES)]
        for model, cell, finding in _cells(report)
        if finding is not None and finding.phase_seconds
    ]  # fmt: skip
    if not rows:
        return []
    heads = ("model", "device", *(f"{phase} ms" for phase in PHASES))
    caption = "data: making the batch and bringing it to the device; update: the optimiser's step."
    return [Drawing(plots.phases(report), caption), Table(heads, rows, 2)]


def _why(report: Report) -> list[str | Table | Drawing]:
    if not report.roofs:
        return []
    roofs = [
        [label, f"{roof.flops_per_second / 1e9:,.1f}", f"{roof.bytes_per_second / 1e9:,.1f}",
         f"{roof.main_memory_bytes_per_second / 1e9:,.1f}", f"{roof.gathered_bytes_per_second / 1e9:,.1f}"]
        for label, roof in report.roofs.items()
    ]  # fmt: skip
    rows = [
        [model.model, cell.setup.label, piece, held.name, f"{held.compute_share:.0%}", f"{held.memory_share:.0%}",
         f"{held.flops_per_second / 1e9:,.1f}", f"{held.bytes_per_second / 1e9:,.1f}"]
        for model, cell, finding in _cells(report) if finding is not None
        for piece, held in finding.bounds.items()
    ]  # fmt: skip
    return [
        "The roof is the best of matrix products, copies and gathers measured in this run just before the models. Work "
        "is counted operation by operation: arithmetic of matrix products, and bytes as if nothing were fused. A piece "
        "that comes near to neither roof is held up by overhead: launches, Python, index arithmetic, functions like exp.",
        Table(("device", "GFLOP/s", "GB/s, fastest copy", "GB/s, main memory", "GB/s, gathered rows"), roofs),
        Drawing(plots.roofline(report), "Each piece of work under the roof of its device."),
        Table(("model", "device", "piece", "held up by", "of compute", "of memory", "GFLOP/s", "GB/s"), rows, 4),
    ]  # fmt: skip


def _crossing(report: Report) -> list[str | Table | Drawing]:
    said = [line for model in report.models for line in model.crossings()]
    if not said:
        return []
    first = report.models[0].cells[0].setup.label
    caption = f"Speed-up of a training step against {first}, by batch and embedding; above 1 the other is faster."
    return [Drawing(plots.crossing(report), caption), *(f"{line}." for line in said)]


def _same(report: Report) -> list[str | Table | Drawing]:
    rows = [
        [model.model, cell.setup.label, promise(finding), WORDS[finding.against_first.same],
         f"{finding.against_first.loss_difference:.1e}", f"{finding.against_first.metric_difference:.1e}"]
        for model, cell, finding in _cells(report)
        if finding is not None and finding.against_first is not None
    ]  # fmt: skip
    heads = ("model", "device", "promise", "against the first", "loss, relative", "metric")
    return [f"Close means: {report.tolerance}.", Table(heads, rows, 4)] if rows else []


def _quality(report: Report) -> list[str | Table | Drawing]:
    rows = []
    for model in report.models:
        for course in model.courses:
            reached = model.quality_seconds(course.setup.label)
            shown = (
                f"not in {report.plan.quality_seconds:g}" if reached is None else _digits(reached)
            )
            best = "-" if course.best is None else f"{course.best:.4f}"
            rows.append([model.model, course.setup.label, str(len(course.epochs)), best, shown])
    if not rows:
        return []
    heads = ("model", "device", "epochs", "best", "seconds to 95 %")
    caption = (
        f"Trained for at most {report.plan.quality_seconds:g} seconds each, validation included; the dashed line is "
        "95 % of the best value that any of them reached. Seconds are of training alone."
    )
    return [Drawing(plots.quality(report), caption), Table(heads, rows, 2)]


def _published() -> Table:
    rows = [[what, compared, ratio] for what, ratio, compared in PUBLISHED]
    return Table(("what others recorded", "compared", "speed-up"), rows, 2)


def _ms(seconds: float) -> str:
    return _digits(seconds * 1e3)


def _digits(value: float) -> str:
    """Three digits that count, and no exponent."""
    return f"{value:,.0f}" if value >= 99.95 else f"{round(value, 4):.3g}"

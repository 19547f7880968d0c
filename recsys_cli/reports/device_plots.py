"""Drawings of a comparison of devices."""

from __future__ import annotations

from typing import Any

from recsys_cli.comparisons.device_crossing import Point
from recsys_cli.comparisons.device_findings import Finding
from recsys_cli.comparisons.device_report import ModelReport, Report
from recsys_cli.comparisons.device_training import PHASES
from recsys_cli.reports.drawing import GRID, INK, QUIET, panels

COLOURS = ("#4c78a8", "#f2b134", "#d1495b", "#54a24b", "#7b5ea7", "#9d755d", "#72b7b2", "#bab0ac")
PHASE_COLOURS = dict(zip(PHASES, ("#bdbdbd", "#4c78a8", "#d1495b", "#f2b134"), strict=True))
PIECE_COLOURS = {piece: PHASE_COLOURS[piece] for piece in ("forward", "backward")} | {
    "evaluation": "#54a24b"
}
MARKERS = "osD^vP*X"  # of models
INCH_A_BAR = 0.34


def _figure(columns: int, height: float) -> tuple[Any, list[Any]]:
    return panels(columns, min(4.4 * max(columns, 1), 13.2), height)


def _head(panel: Any, title: str, x: str, y: str = "") -> None:
    panel.set_title(title, loc="left", fontsize=11, color=INK)
    panel.set_xlabel(x, color=INK, fontsize=9)
    panel.set_ylabel(y, color=INK, fontsize=9)


def phases(report: Report) -> Any:
    """Where the time of a step goes: a bar a setup, a panel a model."""
    shown = [m for m in report.models if any(f and f.phase_seconds for f in m.findings)]
    most = max((len(m.cells) for m in shown), default=1)
    figure, drawn = _figure(len(shown), 1.3 + INCH_A_BAR * most)
    for panel, model in zip(drawn, shown, strict=False):
        rows = [(c.setup.label, f) for c, f in model.pairs if f is not None and f.phase_seconds]
        for place, (_, finding) in enumerate(rows):
            left = 0.0
            for phase in PHASES:
                width = finding.phase_seconds[phase].median * 1e3
                panel.barh(place, width, left=left, color=PHASE_COLOURS[phase],
                           label=phase if not place else None, height=0.65)  # fmt: skip
                left += width
        panel.set_yticks(range(len(rows)), [label for label, _ in rows])
        panel.invert_yaxis()
        panel.grid(axis="x", color=GRID)
        _head(panel, model.model, "milliseconds a step")
    if shown:
        handles, labels = drawn[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=9)
    return figure


def quality(report: Report) -> Any:
    """Validation against seconds of training: a line a setup, a panel a model."""
    shown = [model for model in report.models if any(c.epochs for c in model.courses)]
    figure, drawn = _figure(len(shown), 3.2)
    for panel, model in zip(drawn, shown, strict=False):
        for course, colour in zip(model.courses, COLOURS, strict=False):
            if course.epochs:
                seconds = [epoch.trained_seconds for epoch in course.epochs]
                values = [epoch.metric for epoch in course.epochs]
                label = course.setup.label
                panel.plot(seconds, values, color=colour, label=label, linewidth=1.8, marker=".")
        if model.target is not None:
            panel.axhline(model.target, color=QUIET, linewidth=1, linestyle="--")
        panel.grid(axis="y", color=GRID)
        panel.legend(frameon=False, fontsize=8.5, loc="best")
        _head(panel, model.model, "seconds of training", f"validation {model.primary}")
    return figure


def crossing(report: Report) -> Any:
    """How many times as fast the fastest of the other devices is, by batch and embedding: a map a model."""
    shown = [model for model in report.models if any(p.example_seconds for p in model.points)]
    figure, drawn = _figure(len(shown), 3.1)
    for panel, model in zip(drawn, shown, strict=False):
        _map(panel, model)
    return figure


def _map(panel: Any, model: ModelReport) -> None:
    from matplotlib.colors import TwoSlopeNorm

    first, *others = [cell.setup.label for cell in model.cells if cell.setup.plain]
    batches = sorted({point.batch_size for point in model.points})
    dims = sorted({point.dim or 0 for point in model.points})
    ratios = [[float("nan")] * len(batches) for _ in dims]
    for point in model.points:
        label, ratio = _fastest(point, first, others)
        row, column = dims.index(point.dim or 0), batches.index(point.batch_size)
        if ratio is None:
            text = "failed" if point.failures else "-"
        else:
            ratios[row][column] = min(max(ratio, 0.25), 4.0)
            text = f"{ratio:.2f}" + (f"\n{label}" if len(others) > 1 else "")
        panel.text(column, row, text, ha="center", va="center", fontsize=9, color=INK)
    panel.imshow(
        ratios, cmap="RdBu", norm=TwoSlopeNorm(1, 0.25, 4), alpha=0.6, origin="lower", aspect="auto"
    )
    panel.set_xticks(range(len(batches)), [f"{batch:,}" for batch in batches])
    panel.set_yticks(range(len(dims)), [str(dim) if dim else "" for dim in dims])
    what = others[0] if len(others) == 1 else "the fastest other"
    _head(panel, f"{model.model}: {what} / {first}", "batch", "numbers an embedding")


def _fastest(point: Point, first: str, others: list[str]) -> tuple[str, float | None]:
    """The other setup with the greatest speed-up."""
    found = [(ratio, label) for label in others if (ratio := point.speed_up(label, first))]
    return (max(found)[1], max(found)[0]) if found else ("", None)


def roofline(report: Report) -> Any:
    """Every phase under the roof that was measured: arithmetic a byte against arithmetic a second."""
    labels = list(report.roofs)
    figure, drawn = _figure(len(labels), 4.0)
    for panel, label in zip(drawn, labels, strict=False):
        roof = report.roofs[label]
        for model, marker in zip(report.models, MARKERS, strict=False):
            for cell, finding in model.pairs:
                if finding is not None and cell.setup.label == label:
                    _under_roof(panel, finding, marker)
        xs = [10 ** (exponent / 10) for exponent in range(-20, 31)]
        panel.plot(xs, [min(roof.flops_per_second, x * roof.bytes_per_second) / 1e9 for x in xs],
                   color=INK, linewidth=1.5)  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.grid(color=GRID)
        _head(panel, label, "operations a byte", "billion operations a second")
    _key(figure, report)
    return figure


def _under_roof(panel: Any, finding: Finding, marker: str) -> None:
    for piece, held in finding.bounds.items():
        if held.flops_per_second > 0:
            intensity = held.flops_per_second / held.bytes_per_second
            panel.plot(intensity, held.flops_per_second / 1e9, marker, markersize=6,
                       color=PIECE_COLOURS[piece], label=piece)  # fmt: skip


def _key(figure: Any, report: Report) -> None:
    """What the colours and the shapes under a roof say."""
    from matplotlib.lines import Line2D

    pairs = [(piece, "o", colour) for piece, colour in PIECE_COLOURS.items()]
    pairs += [
        (model.model, marker, INK) for model, marker in zip(report.models, MARKERS, strict=False)
    ]
    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="", label=name)
        for name, marker, colour in pairs
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=8, frameon=False, fontsize=9)

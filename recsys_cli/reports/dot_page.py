"""The page of the probe of dot products: how well nets of each width learnt them."""

from __future__ import annotations

from typing import Any

from recsys_cli.comparisons.dot_probe import WELL, DotProbe
from recsys_cli.reports.drawing import GRID, INK, QUIET, panels
from recsys_cli.reports.page import Drawing, Section, Table, page

COLOURS = ("#4c78a8", "#d1495b", "#f2b134", "#54a24b", "#7b5ea7", "#9d755d")


def dot_page(found: DotProbe) -> str:
    """The whole probe as one HTML file."""
    heads = (
        *("cells", "combined by", "R, not trained on", "worst and best start"),
        *("R, trained on", "parameters"),
    )
    rows = [
        [
            fit.task.name,
            f"{fit.hidden} hidden units" if fit.hidden else "dot product",
            f"{fit.asked:.4f}",
            f"{fit.starts[0]:.4f} to {fit.starts[-1]:.4f}",
            f"{fit.trained:.4f}",
            f"{fit.parameters:,}",
        ]
        for fit in found.fits
    ]
    facts = [
        ["steps", f"{found.steps:,}"],
        ["random starts of each net", str(found.starts)],
        ["seed", str(found.seed)],
        *map(list, found.environment.items()),
    ]
    caption = (
        "Pearson correlation of what a net of one hidden layer says with the truth, on cells that it was not trained "
        f"on: the median of {found.starts} random starts, in a band from the worst to the best. Dashed: {WELL}. The dot "
        "product itself is at 1, without a hidden unit."
    )
    return page(
        "Can a feed-forward net learn a dot product?",
        f"{found.conclusion}.",
        [
            Section("By width", [Drawing(_curves(found), caption)]),
            Section("In numbers", [Table(heads, rows, 2)]),
            Section("How it was made", [Table(("what", "value"), facts, 2)]),
        ],
    )


def _curves(found: DotProbe) -> Any:
    figure, (panel,) = panels(1, 8.8, 4.2)
    for task, colour in zip(found.tasks, COLOURS, strict=False):
        nets = [fit for fit in found.of(task) if fit.hidden]
        panel.plot(
            [fit.hidden for fit in nets],
            [fit.asked for fit in nets],
            color=colour,
            label=task.name,
            linewidth=1.8,
            marker="o",
            markersize=4,
        )
        panel.fill_between(
            [fit.hidden for fit in nets],
            [fit.starts[0] for fit in nets],
            [fit.starts[-1] for fit in nets],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    panel.axhline(WELL, color=QUIET, linewidth=1, linestyle="--")
    panel.set_xscale("log")
    panel.set_xticks(list(found.hidden), [str(width) for width in found.hidden])
    panel.minorticks_off()
    panel.grid(axis="y", color=GRID)
    panel.set_xlabel("hidden units", color=INK, fontsize=9)
    panel.set_ylabel("R on cells not trained on", color=INK, fontsize=9)
    panel.legend(frameon=False, fontsize=8.5, loc="lower right")
    return figure

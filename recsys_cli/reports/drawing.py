"""What all drawings have in common: colours, and panels without a frame."""

from __future__ import annotations

from typing import Any

INK, QUIET, GRID = "#222222", "#6b6b6b", "#e4e4e4"


def panels(columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """An empty figure for a page, and its panels side by side.

    Args:
        columns: Number of panels; one at least is made.
        width: Of all together, in inches.
        height: In inches.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    made = list(figure.subplots(1, max(columns, 1), squeeze=False)[0])
    for panel in made:
        dress(panel)
    return figure, made


def dress(panel: Any) -> None:
    """No frame above and on the right, quiet axes, a grid that stays behind."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(QUIET)
    panel.tick_params(colors=QUIET, labelsize=8.5)
    panel.set_axisbelow(True)

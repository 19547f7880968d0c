"""Drawings of a comparison of tuned models."""

from __future__ import annotations

from typing import Any

from recsys_cli.comparisons.standings import Comparison
from recsys_cli.reports.drawing import GRID, INK, QUIET, panels

HOLLOW = "#9a9a9a"
COLOURS = ("#4c78a8", "#d1495b", "#f2b134", "#54a24b", "#7b5ea7", "#9d755d", "#72b7b2", "#bab0ac")
INCHES_A_ROW = 0.38


def _panel(height: float) -> tuple[Any, Any]:
    figure, (panel,) = panels(1, 8.5, height)
    return figure, panel


def _colours(found: Comparison) -> dict[str, str]:
    """The same colour for a model in every drawing; grey for those that were not tuned."""
    tuned = sorted(each.model for each in found.standings if each.kind == "tuned")
    return {
        each.model: COLOURS[tuned.index(each.model) % len(COLOURS)]
        if each.kind == "tuned"
        else HOLLOW
        for each in found.standings
    }


def means(found: Comparison) -> Any:
    """Each model's mean with its interval, and its seeds."""
    figure, panel = _panel(0.9 + INCHES_A_ROW * len(found.standings))
    colours = _colours(found)
    for place, each in enumerate(found.standings):
        row, colour = found.row(each.model), colours[each.model]
        filled = colour if each.kind == "tuned" else "white"
        panel.plot([row.interval.low, row.interval.high], [place, place], color=colour, lw=2)
        panel.plot(row.mean, place, "o", ms=8, mfc=filled, mec=colour, mew=1.5)
        if len(each.seed_values) > 1:
            dots = [place + 0.24] * len(each.seed_values)
            panel.plot(each.seed_values, dots, ".", color=colour, ms=4)
    _rows(panel, [each.model for each in found.standings])
    panel.set_xlabel(found.metric, color=INK)
    return figure


def differences(found: Comparison) -> Any:
    """Each model's mean difference to the reference, with its interval."""
    rows = [found.row(each.model) for each in found.standings]
    shown = [(row, row.difference) for row in rows if row.difference is not None]
    figure, panel = _panel(0.9 + INCHES_A_ROW * max(len(shown), 1))
    colours = _colours(found)
    panel.axvline(0, color=QUIET, lw=1)
    for place, (row, between) in enumerate(shown):
        ends, colour = [between.interval.low, between.interval.high], colours[row.name]
        panel.plot(ends, [place, place], color=colour, lw=2)
        panel.plot(between.mean, place, "o", ms=8, color=colour)
    _rows(panel, [row.name for row, _ in shown])
    panel.set_xlabel(f"difference of {found.metric} to {found.references}", color=INK)
    return figure


def curves(found: Comparison) -> Any:
    """Validation by epoch, of the models that learn in epochs."""
    figure, panel = _panel(3.4)
    colours = _colours(found)
    for each in found.standings:
        if len(each.curve) > 1:
            epochs, values = zip(*each.curve, strict=True)
            panel.plot(epochs, values, color=colours[each.model], label=each.model, lw=1.8)
    _named(panel, "epoch", f"validation {found.metric}")
    return figure


def searches(found: Comparison) -> Any:
    """The value of each trial, and the best so far."""
    figure, panel = _panel(3.4)
    colours = _colours(found)
    better = max if found.higher else min
    for each in found.standings:
        valued = [(at, value) for at, value in enumerate(each.trial_values) if value is not None]
        if not valued:
            continue
        numbers, values = zip(*valued, strict=True)
        best = [better(values[: at + 1]) for at in range(len(values))]
        panel.plot(numbers, values, ".", color=colours[each.model], ms=7)
        panel.step(numbers, best, where="post", color=colours[each.model], label=each.model)
    _named(panel, "trial", f"validation {found.metric}")
    return figure


def _rows(panel: Any, names: list[str]) -> None:
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.grid(axis="x", color=GRID)


def _named(panel: Any, x: str, y: str) -> None:
    panel.set_xlabel(x, color=INK)
    panel.set_ylabel(y, color=INK)
    panel.grid(axis="y", color=GRID)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(frameon=False, fontsize=9)

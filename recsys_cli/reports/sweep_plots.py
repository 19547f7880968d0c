"""Drawings of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from recsys_cli.reports.drawing import GRID, INK, QUIET, panels
from recsys_cli.reports.parallel import MARGIN, Ladder, ladder
from recsys_cli.sweeps.results import Result, Row

BEST, OTHER, PALE, FAILED = "#d1495b", "#4c78a8", "#bdbdbd", "#7a1f2b"
WIDTH = 8.5
INCHES_A_BAR, INCHES_AN_AXIS = 0.34, 1.25
MOST_LINES = 300
LONGEST = 34  # characters of a label


def history(found: Result) -> Any:
    """The value of each trial by its number, and the best so far."""
    figure, (panel,) = panels(1, WIDTH, 3.4)
    rows = sorted(found.trials, key=lambda row: row.number)
    finished = _points(rows, "finished")
    if finished:
        numbers, values = zip(*finished, strict=True)
        best = list(accumulate(values, max if found.better == "higher" else min))
        # The line goes on to the last trial: it says that no later one was better.
        panel.step([*numbers, rows[-1].number], [*best, best[-1]], where="post", color=BEST,
                   lw=1.5, label="best so far")  # fmt: skip
        panel.plot(numbers, values, ".", color=OTHER, ms=8, label="finished")
    if pruned := _points(rows, "pruned"):
        panel.plot(*zip(*pruned, strict=True), "o", ms=4.5, mfc="white", mec=QUIET, label="pruned")
    if failed := [row.number for row in rows if row.value is None]:
        panel.plot(failed, [0.03] * len(failed), "x", color=FAILED, ms=6, label="diverged",
                   transform=panel.get_xaxis_transform(), clip_on=False)  # fmt: skip
    if not finished and not pruned:
        panel.set_yticks([])
    _named(panel, "trial", found.metric)
    panel.set_xlim(-0.5, max(rows[-1].number, 1) + 0.5)
    panel.legend(
        frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0
    )
    return figure


def _points(rows: Sequence[Row], state: str) -> list[tuple[int, float]]:
    return [(row.number, row.value) for row in rows if row.state == state and row.value is not None]


def shares(importances: Mapping[str, float]) -> Any:
    """The importance of each setting, a bar each."""
    figure, (panel,) = panels(1, WIDTH, 0.8 + INCHES_A_BAR * len(importances))
    for place, share in enumerate(importances.values()):
        panel.barh(place, share, color=OTHER, height=0.65)
        panel.text(share, place, f" {share:.0%}", va="center", fontsize=9, color=INK)
    panel.set_yticks(range(len(importances)), [shortened(name) for name in importances])
    panel.invert_yaxis()
    panel.set_xlim(0, 1.08 * max(importances.values()))
    panel.set_xticks([])
    panel.spines["bottom"].set_visible(False)
    return figure


def parallel(found: Result) -> Any:
    """Every trial with a value as a line through its settings to its value; the best on top."""
    rows = [row for row in found.trials if row.value is not None][:MOST_LINES]
    ladders = [
        ladder(each.name, [row.params[each.name] for row in rows], each.scale, each.choices)
        for each in found.searched
    ]
    ladders.append(ladder(found.metric, [row.value for row in rows], "linear", None))
    figure, (panel,) = panels(1, max(WIDTH, INCHES_AN_AXIS * len(ladders)), 3.8)
    ranks = sum(row.state == "finished" for row in rows)
    for at, row in reversed(list(enumerate(rows))):
        panel.plot(
            range(len(ladders)), [each.heights[at] for each in ladders], **_line(at, row, ranks)
        )
    for place, each in enumerate(ladders):
        _draw_axis(panel, place, each)
    panel.set_xlim(-0.3, len(ladders) - 0.4)
    panel.set_ylim(-MARGIN, 1 + MARGIN)
    panel.set_yticks([])
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.xaxis.tick_top()
    panel.tick_params(top=False, labelsize=9, labelcolor=INK)
    panel.set_xticks(range(len(ladders)), [_stacked(each.name) for each in ladders])
    return figure


def _line(at: int, row: Row, ranks: int) -> dict[str, Any]:
    """The best stands out; the others pale by their rank, the pruned ones are grey."""
    if row.state != "finished":
        return {"color": PALE, "lw": 0.8, "alpha": 0.7, "zorder": 1}
    if at == 0:
        return {"color": BEST, "lw": 2.4, "zorder": 3}
    return {"color": OTHER, "lw": 1.1, "alpha": 0.9 - 0.75 * at / ranks, "zorder": 2}


def _draw_axis(panel: Any, place: int, each: Ladder) -> None:
    panel.axvline(place, color=QUIET, lw=1, ymin=0.03, ymax=0.97, zorder=4)
    for height, text in each.ticks:
        panel.text(
            place + 0.03, height, shortened(text, 18), fontsize=8, color=INK, va="center", zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0},
        )  # fmt: skip


def curves(found: Result) -> Any:
    """Validation after each epoch, of the best trials."""
    figure, (panel,) = panels(1, WIDTH, 3.4)
    for at, curve in reversed(list(enumerate(found.curves))):
        is_best = curve.trial == found.best.number
        panel.plot(
            curve.epochs, curve.values, color=BEST if is_best else OTHER, lw=2 if is_best else 1.2,
            alpha=1 if is_best else 0.9 - 0.7 * at / len(found.curves), label=f"trial {curve.trial}",
        )  # fmt: skip
    _named(panel, "epoch", found.metric)
    handles, labels = panel.get_legend_handles_labels()
    panel.legend(
        handles[::-1], labels[::-1], frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1)
    )  # fmt: skip
    return figure


def _named(panel: Any, x: str, y: str) -> None:
    panel.set_xlabel(x, color=INK)
    panel.set_ylabel(shortened(y), color=INK)
    panel.grid(axis="y", color=GRID)
    panel.xaxis.get_major_locator().set_params(integer=True)


def shortened(text: str, longest: int = LONGEST) -> str:
    """A long text without its middle: keys differ at their ends."""
    if len(text) <= longest:
        return text
    ending = (longest - 1) * 2 // 3
    return f"{text[: longest - 1 - ending]}…{text[-ending:]}"


def _stacked(name: str) -> str:
    """A key over two lines, so that neighbours do not run into each other."""
    group, _, key = name.rpartition(".")
    return "\n".join(shortened(part, 17) for part in (group, key) if part)

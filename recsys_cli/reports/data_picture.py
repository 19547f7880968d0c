"""A data set in three panels: how popularity falls, when events happened, and how active users are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.describe import Description
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import Split
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.reports.drawing import GRID, INK, QUIET, dress

TRAIN, VALID, TEST, LEFT_OUT = "#4c78a8", "#f2b134", "#d1495b", "#bdbdbd"
MOST_BARS = 90
DOTS_PER_INCH = 150
STEPS = (
    (3_600, "an hour"),
    (6 * 3_600, "in 6 hours"),
    (86_400, "a day"),
    (7 * 86_400, "a week"),
    (28 * 86_400, "in 4 weeks"),
    (91 * 86_400, "a quarter"),
    (365 * 86_400, "a year"),
)


def check_path(path: Path) -> None:
    """See that a picture can be written there, before any work is done.

    Raises:
        ConfigError: The name does not end in .png, or its folder is not there.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--picture {path} does not end in .png", "pictures are PNG files")
    if not path.parent.is_dir():
        raise ConfigError(f"--picture {path}: {path.parent} is no folder", "make it first")


def draw(
    interactions: Interactions,
    counted: Description,
    split: Split | None,
    title: str,
    path: Path,
) -> None:
    """Draw a data set into a PNG file, which is replaced as a whole.

    Args:
        interactions: The events.
        counted: Their counts.
        split: Colours the events over time by part; None leaves them in one colour.
        title: Name of the data set.
        path: The file.

    Raises:
        DataError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08, wspace=0.04)
    n_panels = 2 if interactions.times is None else 3
    figure = Figure(figsize=(4.6 * n_panels, 4.2), dpi=DOTS_PER_INCH, layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{title}: {counted.events:,} events, {counted.users:,} users, {counted.items:,} items",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
        color=INK,
    )
    panels = list(np.ravel(figure.subplots(1, n_panels)))
    _popularity(panels[0], interactions.item_counts, counted)
    if interactions.times is not None:
        _over_time(panels[1], interactions.times, split)
    _activity(panels[-1], np.diff(interactions.offsets), counted)
    for panel in panels:
        _plain(panel)
    _save(figure, path)


def _popularity(panel: Any, per_item: NDArray[np.int64], counted: Description) -> None:
    falling = np.sort(per_item[per_item > 0])[::-1]
    panel.loglog(np.arange(1, len(falling) + 1), falling, color=TRAIN, linewidth=2)
    for share, part in ((counted.top_1_percent, 0.01), (counted.top_10_percent, 0.1)):
        rank = round(part * counted.items)
        if 1 <= rank <= len(falling):
            panel.plot(rank, falling[rank - 1], "o", color=TEST, markersize=5)
            panel.annotate(
                f"top {part:.0%} of items:\n{share:.0%} of events",
                (rank, falling[rank - 1]),
                xytext=(6, 4),  # above a falling curve there is room
                textcoords="offset points",
                ha="left",
                va="bottom",
                fontsize=8.5,
                color=QUIET,
            )
    panel.set_ylim(falling[-1] * 0.7, falling[0] * 2)
    panel.set_title(f"Popularity (Gini {counted.gini:.2f})", loc="left")
    panel.set_xlabel("items, most popular first")
    panel.set_ylabel("events")


def bars(times: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
    """Where the bars of a histogram over time begin and end, and how long each is.

    The last one is full, so that splits by whole days or weeks before the end fall between bars.
    """
    first, last = int(times.min()), int(times.max())
    step, called = next((s for s in STEPS if (last - first) / s[0] < MOST_BARS), STEPS[-1])
    n_bars = -(-(last + 1 - first) // step)
    return last + 1 - step * np.arange(n_bars, -1, -1), called


def _over_time(panel: Any, times: NDArray[np.int64], split: Split | None) -> None:
    edges, called = bars(times)
    total = np.histogram(times, edges)[0]
    below = np.zeros_like(total)
    for label, colour, counts in _parts(edges, total, split):
        panel.bar(
            edges[:-1].astype("datetime64[s]"),
            counts,
            width=np.timedelta64(edges[1] - edges[0], "s"),
            bottom=below,
            align="edge",
            color=colour,
            label=label,
        )
        below = below + counts
    if split is not None:
        panel.legend(frameon=False, fontsize=8.5, loc="upper left", ncols=3, handlelength=1.2)
        panel.set_ylim(top=int(total.max()) * 1.2)
    panel.set_title("Events over time", loc="left")
    panel.set_ylabel(f"events {called}")
    _dates(panel)


def _parts(
    edges: NDArray[np.int64], total: NDArray[np.int64], split: Split | None
) -> list[tuple[str, str, NDArray[np.int64]]]:
    """Label, colour and events of each bar, by the part of the split that they fell in."""
    if split is None:
        return [("events", TRAIN, total)]
    parts = [
        ("training", TRAIN, split.train),
        ("validation", VALID, split.valid.targets),
        ("test", TEST, split.test.targets),
    ]
    counted = [
        (label, colour, np.histogram(part.times, edges)[0])
        for label, colour, part in parts
        if part.times is not None and len(part)
    ]
    rest = np.maximum(total - sum(counts for _, _, counts in counted), 0)
    if rest.any():
        counted.append(("no target", LEFT_OUT, rest))
    return counted


def _dates(panel: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib.dates has no types
    panel.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # as above
    panel.xaxis.set_major_formatter(formatter)
    panel.set_xlabel("UTC")


def _activity(panel: Any, per_user: NDArray[np.int64], counted: Description) -> None:
    from matplotlib.ticker import LogLocator

    most = max(int(per_user.max()), 2)
    least = max(int(per_user.min()), 1)
    edges = np.unique(np.round(np.geomspace(least, most + 1, 25)).astype(np.int64))
    panel.hist(per_user, edges, color=TRAIN, edgecolor="white", linewidth=0.5)
    panel.margins(y=0.12)
    median = counted.per_user.median
    panel.axvline(median, color=TEST, linewidth=1.5)
    panel.annotate(
        f"median {median:,.10g}",
        (median, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5, -4),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=TEST,
    )
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 1_000 * least else (1,)))
    panel.set_title("Events of a user", loc="left")
    panel.set_xlabel("events")
    panel.set_ylabel("users")


def _plain(panel: Any) -> None:
    """No frame above and on the right, a grid that stays behind, numbers written out."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    for axis in (panel.xaxis, panel.yaxis):
        if axis.get_label().get_text() != "UTC":
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
    dress(panel)
    panel.grid(axis="y", color=GRID, linewidth=0.8)
    panel.title.set_fontsize(11)
    for text in (panel.title, panel.xaxis.label, panel.yaxis.label):
        text.set_color(INK)


def _save(figure: Any, path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format="png")
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {error.strerror or error}", "name another --picture"
        ) from error
    finally:
        part.unlink(missing_ok=True)

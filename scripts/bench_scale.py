"""Time and memory against interactions, items and threads, for `scripts/bench scale`."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

WORKS = {
    "mf": "mf, an epoch",
    "ials": "ials, an iteration",
    "seq": "seq, an epoch from a sample of steps",
    "evaluation": "2,000 users ranked",
}
USUAL = {"interactions": 1_000_000, "items": 26_744, "threads": 1}
AXES = {
    "interactions": (100_000, 1_000_000, 5_000_000, 20_000_000),
    "items": (3_000, 30_000, 100_000, 300_000),
    "threads": (1, 2),
}
Measure = Callable[[str, dict[str, int], Path], dict]


def points(works: list[str], largest: int) -> list[tuple[str, dict[str, int]]]:
    """All works at all points: what is not on a point's axis is as usual. Evaluation has its users given."""
    along = [USUAL | {axis: value} for axis, values in AXES.items() for value in values]
    return [
        (work, point)
        for place, point in enumerate(along)
        for work in works
        if point not in along[:place] and point["interactions"] <= largest
        if work != "evaluation" or point["interactions"] == USUAL["interactions"]
    ]


def scale(out: Path, works: list[str], largest: int, folder: Path, measure: Measure) -> dict:
    """All points, each written when it is done; those that the file holds are kept."""
    result = json.loads(out.read_text()) if out.exists() else {"points": []}
    done = [(found["work"], {axis: found[axis] for axis in AXES}) for found in result["points"]]
    for work, point in points(works, largest):
        if (work, point) not in done:
            result["points"].append({"work": work} | point | measure(work, point, folder))
            print(result["points"][-1], file=sys.stderr)
            result["slopes"] = slopes(result["points"])
            out.write_text(json.dumps(result, indent=2) + "\n")
    return result


def line(found: list[dict], axis: str, work: str, value: str) -> tuple[list[float], list[float]]:
    """The points of a work along an axis, in order."""
    others = [(other, usual) for other, usual in USUAL.items() if other != axis]
    mine = sorted(
        (point[axis], point[value])
        for point in found
        if point["work"] == work and all(point[other] == usual for other, usual in others)
    )
    return [x for x, _ in mine], [y for _, y in mine]


def slopes(found: list[dict]) -> dict[str, dict[str, float]]:
    """By axis and work, the exponent of CPU seconds by least squares on logarithms: 1 = as the work grows.

    `mf, 20 M to 1 M` is how many times the CPU seconds of an interaction have grown.
    """
    result: dict[str, dict[str, float]] = {}
    for axis in ("interactions", "items"):
        result[axis] = {}
        for work in WORKS:
            x, y = line(found, axis, work, "cpu_seconds")
            if len(x) > 1:
                a, b = [math.log(v) for v in x], [math.log(v) for v in y]
                mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
                above = sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True))
                result[axis][work] = round(above / sum((p - mean_a) ** 2 for p in a), 3)
            each = {v: seconds / v for v, seconds in zip(x, y, strict=True)}
            if axis == "interactions" and {1_000_000, 20_000_000} <= each.keys():
                result[axis][f"{work}, 20 M to 1 M"] = round(each[20_000_000] / each[1_000_000], 3)
    return result


def draw_plot(result: dict, path: Path) -> None:
    """CPU seconds above, peak memory below, a column for each axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = figure.subplots(2, len(AXES))
    rows = (("cpu_seconds", "CPU seconds", 1.0), ("peak_bytes", "peak memory, GB", 2.0**30))
    for row, (value, label, unit) in zip(panels, rows, strict=True):
        for panel, axis in zip(row, AXES, strict=True):
            for work, title in WORKS.items():
                x, y = line(result["points"], axis, work, value)
                if len(x) < 2:
                    continue
                exponent = result["slopes"].get(axis, {}).get(work)
                slope = f" (slope {exponent:.2f})" if exponent is not None and unit == 1 else ""
                panel.plot(x, [number / unit for number in y], marker="o", label=title + slope)
            panel.set(xlabel=axis, ylabel=label)
            if panel.lines and axis != "threads":
                panel.set_xscale("log")
            if panel.lines and unit == 1:
                panel.set_yscale("log")
                panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
            else:
                panel.set_ylim(bottom=0)
            if axis == "threads":
                panel.set_xticks(AXES["threads"])
            panel.grid(visible=True, which="both", alpha=0.2)
    usual = ", ".join(f"{axis} {value:,}" for axis, value in USUAL.items())
    figure.suptitle(f"Cost against size; what is not on an axis: {usual}")
    figure.savefig(path, dpi=120)

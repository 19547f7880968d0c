"""What `recsys data describe` prints: the counts of a data set, its split, and the best that can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_cli.cli import output

if TYPE_CHECKING:
    from recsys_cli.data.describe import Description, Spread, Times, Values
    from recsys_cli.data.split import Split

KNOWS = {
    "none": "popularity alone",
    "taste": "and each user's taste",
    "sequence": "and the order of events",
    "time": "and the moment: everything",
}


def show(name: str, counted: Description, picture: Path | None) -> None:
    """Print the counts of a data set."""
    unused = counted.items_without_event
    output.facts(
        [
            ("data", name),
            ("users", f"{counted.users:,}"),
            ("items", f"{counted.items:,}" + (f", {unused:,} without an event" if unused else "")),
            ("events", f"{counted.events:,}, {_repeats(counted)}"),
            ("density", f"{counted.density:.3%} of all pairs of user and item"),
            ("values", _values(counted.values)),
            *_clock(counted.times),
            *((f"context {name}", f"{n:,} values") for name, n in counted.context.items()),
            (
                "popularity",
                f"the top 1 % of the items have {counted.top_1_percent:.1%} of the events, "
                f"the top 10 % {counted.top_10_percent:.1%}; Gini {counted.gini:.3f}",
            ),
            ("digest", counted.digest),
            ("picture", str(picture or "")),
        ]
    )
    rows = [("events a user", *_spread(counted.per_user))]
    rows.append(("events an item", *_spread(counted.per_item)))
    if counted.times is not None:
        rows.append(("sittings a user", *_spread(counted.times.sittings_per_user)))
    columns = ("count", "least", "25 %", "median", "75 %", "greatest", "mean")
    output.table(columns, rows, numbers=True)


def show_split(split: Split | None, why: str, problem: str) -> None:
    """Print the parts that a run would learn from and be judged by, or why there are none."""
    if split is None:
        output.facts([("split", f"none: {problem}")])
        return
    counts = split.counts()
    output.facts(
        [
            ("split", split.name),
            ("hash", split.hash),
            ("why", why),
            ("leaks", split.leaks or "nothing of the future"),
            ("caution", split.caution()),
            (
                "left out",
                ", ".join(f"{n:,} events: {why}" for why, n in split.dropped.items() if n),
            ),
        ]
    )
    rows: list[tuple[str, ...]] = [
        ("training", f"{counts['train_events']:,}", f"{counts['train_users']:,}", "", "")
    ]
    for label, part in (("validation", "valid"), ("test", "test")):
        shown = ("events", "users", "cold_users", "cold_item_events")
        rows.append((label, *(f"{counts[f'{part}_{key}']:,}" for key in shown)))
    columns = ("part", "events", "users", "users not in training", "events of items not in it")
    output.table(columns, rows, numbers=True)


def show_ladder(best: Mapping[str, Mapping[str, float]], problem: str) -> None:
    """Print the best that can be reached on the test part, a line for each level of knowledge."""
    if problem:
        output.facts([("best reachable", f"not told: {problem}")])
    if not best:
        return
    keys = list(next(iter(best.values())))
    rows = [
        (KNOWS[knows], *(f"{metrics[key]:.4f}" for key in keys)) for knows, metrics in best.items()
    ]
    output.table(("best reachable, knowing", *keys), rows, numbers=True)


def _repeats(counted: Description) -> str:
    if not counted.repeats:
        return "no user with an item twice"
    return f"{counted.repeats:,} with an item that the user had before"


def _values(values: Values) -> str:
    if values.least == values.greatest:
        return f"all {values.least:g}"
    mean = f"mean {values.mean:.4g}"
    if not values.counts:
        return f"{values.least:g} to {values.greatest:g}, {mean}"
    total = sum(values.counts.values())
    shares = ", ".join(f"{value:g}: {n / total:.1%}" for value, n in values.counts.items())
    return f"{shares}; {mean}"


def _clock(times: Times | None) -> list[tuple[str, str]]:
    if times is None:
        return [("times", "none in this data")]
    clock = "; the clock tells days only, so that a sitting is a day" if times.whole_days else ""
    return [
        ("times", f"{times.first} to {times.last}, {times.days:,.1f} days{clock}"),
        (
            "sittings",
            f"{times.sittings:,} (a gap of more than an hour ends one); "
            f"{times.users_with_one_sitting:.0%} of the users have a single one",
        ),
        (
            "gaps",
            f"{times.gaps_within_sittings:.0%} of a user's successive events are within an hour, "
            f"{times.gaps_of_nothing:.0%} at the same second",
        ),
    ]


def _spread(spread: Spread) -> list[str]:
    quartiles = (spread.least, spread.lower, spread.median, spread.upper, spread.greatest)
    return [*(f"{value:,.10g}" for value in quartiles), f"{spread.mean:,.1f}"]

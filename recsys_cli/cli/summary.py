"""The end of a run: its metrics, and what one must know to trust them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recsys_cli.cli import output

if TYPE_CHECKING:
    from recsys_cli.outcome import Outcome

HASH_SHOWN = 12  # of 64 digits: enough to tell splits apart by eye


def show(outcome: Outcome) -> None:
    """Print the metrics of a run and the facts about it."""
    metrics(outcome.metrics)
    choices, counts, epochs = outcome.choices, outcome.counts, outcome.counts["epochs"]
    output.facts(
        [
            ("run", f"{choices['model']} on {choices['data']}, {outcome.device['device']}"),
            ("epochs", f"{epochs}, the best was {counts['best_epoch']}" if epochs else ""),
            ("data", _sizes(counts)),
            ("validation", _asked(counts, "valid")),
            ("test", _asked(counts, "test")),
            ("split", f"{outcome.split}, hash {outcome.split_hash[:HASH_SHOWN]}"),
            ("why", outcome.why_split),
            ("leaks", outcome.leaks or "nothing of the future"),
            ("seconds", _spent(outcome.timings)),
            ("repeats", f"{outcome.promise['class']}, {outcome.promise['why']}"),
            ("files", str(outcome.run_dir)),
            ("logged at", outcome.logged_at),
            ("open with", outcome.how_to_open),
        ]
    )


def metrics(by_part: Mapping[str, Mapping[str, float]]) -> None:
    """Print all metrics, by part of the data.

    In a pipe a row for each key. On a terminal a row for each metric with its cut-offs side by side, and below
    them those without a cut-off.
    """
    keys = list(dict.fromkeys(key for values in by_part.values() for key in values))
    if not output.on_terminal():
        _rows(by_part, keys, digits=6)
        return
    cut = [key.rpartition("_at_") for key in keys if "_at_" in key]
    cutoffs = list(dict.fromkeys(k for _, _, k in cut))
    columns = [(part, k) for part in by_part for k in cutoffs]
    rows = [
        (name, *(_number(by_part[part].get(f"{name}_at_{k}"), 4) for part, k in columns))
        for name in dict.fromkeys(name for name, _, _ in cut)
    ]
    output.table(("metric", *(f"{part} @{k}" for part, k in columns)), rows, numbers=True)
    if whole := [key for key in keys if "_at_" not in key]:
        _rows(by_part, whole, digits=4)


def _rows(by_part: Mapping[str, Mapping[str, float]], keys: Sequence[str], *, digits: int) -> None:
    rows = [
        (key, *(_number(values.get(key), digits) for values in by_part.values())) for key in keys
    ]
    output.table(("metric", *by_part), rows, numbers=True)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _spent(timings: Mapping[str, float]) -> str:
    """What took how long, in the order in which it was done."""
    suffix = "_seconds"
    return ", ".join(
        f"{name.removesuffix(suffix)} {spent:.1f}"
        for name, spent in timings.items()
        if name.endswith(suffix)
    )


def _sizes(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['users']:,} users, {counts['items']:,} items; {counts['train_events']:,} events for training, "
        f"of {counts['train_users']:,} users with {counts['train_items']:,} items"
    )


def _asked(counts: Mapping[str, int], part: str) -> str:
    """Who is asked, and how much of it no training event tells of; empty for a part that is not there."""
    if not counts[f"{part}_users"]:
        return ""
    return (
        f"{counts[f'{part}_users']:,} users ({counts[f'{part}_cold_users']:,} not in training), "
        f"{counts[f'{part}_events']:,} events ({counts[f'{part}_cold_item_events']:,} with items not in training)"
    )

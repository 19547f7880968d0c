"""The page of a sweep."""

from __future__ import annotations

from recsys_cli.reports import sweep_plots as plots
from recsys_cli.reports.page import Block, Command, Drawing, Section, Table, page
from recsys_cli.sweeps.results import Result, Row

OPTIMISTIC = (
    "The best of many values is a little too good by chance, the more so the more trials there are and the fewer users "
    "validate: what the setting is worth the test part of its run says."
)


def sweep_page(found: Result) -> str:
    """The whole sweep as one HTML file."""
    return page(
        f"Sweep {found.study}: {found.metric}",
        _lead(found),
        [
            Section("To train the best setting again", _command(found)),
            Section("How the search went", _history(found)),
            Section("Which settings matter", _importances(found)),
            Section("Settings and values", _parallel(found)),
            Section("How the best learnt", _curves(found)),
            Section("Trials", [_trials(found)]),
            Section("Searched", [_searched(found)]),
            Section("Protocol", [Table(("what", "value"), list(found.protocol.items()), 2)]),
            Section("Machine of the best trial", _machine(found)),
        ],
    )


def _lead(found: Result) -> str:
    counts = _counts(found)
    if not found.has_best:
        return f"No trial came to its end with a value: {counts}."
    setting = " ".join(f"{name}={found.best.shown(name)}" for name in found.best.params)
    return f"Best: {found.metric} {found.best.value:.4f} with {setting}, trial {found.best.number}; {counts}."


def _counts(found: Result) -> str:
    states = [row.state for row in found.trials]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _command(found: Result) -> list[Block]:
    return [Command(found.command)] if found.has_best else []


def _history(found: Result) -> list[Block]:
    caption = f"Validation value of each trial, {found.better} is better, and the best so far."
    return [Drawing(plots.history(found), caption), *([OPTIMISTIC] if found.has_best else [])]


def _importances(found: Result) -> list[Block]:
    shares, note = found.importances.shares, found.importances.note
    if not shares:
        return [f"Not told: {note}."]
    caption = (
        f"{note}: the share of each setting in the variance that settings explain one by one, over the whole of what "
        "was searched and not near the best alone; effects that only two of them together have are left out."
    )
    return [Drawing(plots.shares(shares), caption)]


def _parallel(found: Result) -> list[Block]:
    n_valued = sum(row.value is not None for row in found.trials)
    if not n_valued:
        return []
    shown = min(n_valued, plots.MOST_LINES)
    which = "each trial" if shown == n_valued else f"each of the best {shown} trials"
    caption = f"A line is {which}: red the best, the paler the worse, grey those that were pruned."
    return [Drawing(plots.parallel(found), caption)]


def _curves(found: Result) -> list[Block]:
    if not found.curves:
        return []
    return [Drawing(plots.curves(found), f"{found.metric} after each epoch of the best trials.")]


def _trials(found: Result) -> Table:
    keys = [searched.name for searched in found.searched]
    rows = [_cells(row, keys) for row in found.trials]
    return Table(("trial", "state", found.metric, *keys, "seconds"), rows, 2)


def _cells(row: Row, keys: list[str]) -> list[str]:
    value = "" if row.value is None else f"{row.value:.6f}"
    return [str(row.number), row.state, value, *map(row.shown, keys), f"{row.seconds:.1f}"]


def _searched(found: Result) -> Table:
    rows = [[each.name, each.typed, each.scale] for each in found.searched]
    return Table(("setting", "values", "scale"), rows, 3)


def _machine(found: Result) -> list[Block]:
    return (
        [Table(("what", "value"), list(found.environment.items()), 2)] if found.environment else []
    )

"""Printed from the catalogue: the names of a group, and the settings of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recsys_cli import catalogue
from recsys_cli.cli import output


def names(group: str, columns: Sequence[str], config_dirs: Sequence[Path]) -> None:
    """Print a line a name: the name, its title, and as many of its notes as there are columns for."""
    n_notes = len(columns) - 2
    rows = [
        (entry.name, entry.title, *(*entry.notes, *("",) * n_notes)[:n_notes])
        for entry in catalogue.entries(group, config_dirs)
    ]
    output.table(columns, rows)


def settings(group: str, name: str, config_dirs: Sequence[Path]) -> None:
    """Print every setting of one, and of what it picks in other groups, as they are overridden.

    Raises:
        ConfigError: There is none of this name.
    """
    entry = catalogue.find(group, name, config_dirs)
    picks = {pick.group: pick for pick in catalogue.picks(entry.path)}
    if group == "model":
        trainer = catalogue.chosen({group: name}, config_dirs)["trainer"]
        picks.setdefault("trainer", catalogue.Pick("trainer", trainer, ""))
    output.facts(
        [
            (name, " | ".join(filter(None, (entry.title, *entry.notes)))),
            *(
                (pick.group, ": ".join(filter(None, (pick.name, pick.reason))))
                for pick in picks.values()
            ),
        ]
    )
    known = catalogue.override_keys({group: name}, config_dirs)
    rows = [
        (key, setting.default.replace("???", "to be given"), setting.allowed, setting.meaning)
        for shown in (group, *picks)
        for key, setting in known.items()
        if key.startswith(f"{shown}.")
    ]
    output.table(("setting", "default", "range", "meaning"), rows)

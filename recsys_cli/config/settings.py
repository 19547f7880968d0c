"""The settings of one experiment, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys_cli.redact import redact_all

MEASURED_GROUPS = ("data", "filter", "split", "model", "trainer", "evaluation")
REQUIRED_GROUPS = (*MEASURED_GROUPS, "device", "tracking")
# Settings that runs of earlier versions do not have, each with the value that says what those did.
CAME_LATER = {
    "trainer.precision": "fp32",
    "trainer.compile": False,
    "split.ask": "every_user",
    "model.shuffled": False,
    "model.last_item": False,
    "model.returns": False,
    "model.shift": False,
    "model.context": [],
    "model.lanes": None,
}
# Where others had a setting of this name from the first, and their hashes hold it: those that it came later to.
CAME_LATER_TO = {"model.context": frozenset({"SASRec", "ESASRec"})}


@dataclass(frozen=True)
class Config:
    """One experiment's settings, complete and checked.

    Attributes:
        tree: The settings as plain dictionaries, lists and values.
        choices: The name chosen in each group.
        overrides: What was said on the command line.
        folders: The user's own configuration folders.
    """

    tree: dict[str, Any]
    choices: dict[str, str]
    overrides: list[str] = field(default_factory=list)
    folders: tuple[Path, ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 of `measured`."""
        return hashlib.sha256(json.dumps(self.measured, sort_keys=True).encode()).hexdigest()

    @property
    def measured(self) -> dict[str, Any]:
        """All settings that can move a metric, by dotted key: not the device, the tracking, or when to save.

        What came later is left out where it changes nothing, so that runs of earlier versions keep their hash.
        """
        groups = {*MEASURED_GROUPS, "seed"}
        return {
            key: value
            for key, value in self.flat().items()
            if key.split(".")[0] in groups
            and not key.startswith("trainer.checkpoint_")
            and not ((key, value) in CAME_LATER.items() and self._came_later(key))
        }

    def _came_later(self, key: str) -> bool:
        """Whether what is named in the settings had a first version without this one of `CAME_LATER`."""
        if key not in CAME_LATER_TO:
            return True
        target = str(self.tree[key.split(".")[0]].get("_target_", ""))
        return target.rpartition(".")[2] in CAME_LATER_TO[key]

    @property
    def shown(self) -> dict[str, Any]:
        """The tree as it may be shown and written down: without the credentials of its addresses."""
        return dict(redact_all(self.tree))

    def yaml(self) -> str:
        """`shown` as YAML."""
        from omegaconf import OmegaConf

        return OmegaConf.to_yaml(OmegaConf.create(self.shown))

    def flat(self) -> dict[str, Any]:
        """Dotted key -> value."""
        return dict(flatten(self.tree))


def flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything in nested mappings; a list is one value."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def walk(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything, containers and what is in lists included, from the outside in."""
    yield prefix, tree
    inside = dict(enumerate(tree)) if isinstance(tree, list) else tree
    for key, value in inside.items() if isinstance(inside, Mapping) else ():
        yield from walk(value, f"{prefix}.{key}" if prefix else str(key))

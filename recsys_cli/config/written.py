"""Settings that a run wrote down, read back: they meet the same checks as those of the command line."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_cli import catalogue, plain_yaml
from recsys_cli.config.binding import check, locate
from recsys_cli.config.reserved import TARGET
from recsys_cli.config.settings import CAME_LATER, Config, walk
from recsys_cli.errors import ConfigError


def from_file(path: Path, choices: Mapping[str, str]) -> Config:
    """The settings that a run wrote down.

    Args:
        path: What `Config.yaml` gave: no defaults list, nothing left to resolve.
        choices: The name that was chosen in each group.

    Raises:
        ConfigError: It cannot be read, or holds what the command line would refuse.
    """
    tree = plain_yaml.load(path)
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigError(f"{path}: expected settings by name", "train again")
    for key, value in walk(tree):
        if isinstance(value, str) and "${" in value:
            raise ConfigError(f"{path}: {key}: {value!r} is left to resolve", "write the value")
    _complete(tree)
    config = Config(tree, dict(choices))
    check(config)
    return config


def _complete(tree: dict[str, Any]) -> None:
    """Add the settings that came later, where what is named takes them: they say what the run did without them."""
    for key, value in CAME_LATER.items():
        group, _, name = key.partition(".")
        node = tree.get(group)
        if not isinstance(node, dict) or str(node.get(TARGET)) not in catalogue.targets(group):
            continue
        if name in inspect.signature(locate(node[TARGET], key=group)).parameters:
            node.setdefault(name, value)

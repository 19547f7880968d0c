"""Settings that a run wrote down, read back: they meet the same checks as those of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recsys_cli import plain_yaml
from recsys_cli.config.binding import check
from recsys_cli.config.settings import Config, walk
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
    config = Config(tree, dict(choices))
    check(config)
    return config

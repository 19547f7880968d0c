"""Ready search spaces: `sweep/NAME.yaml` in a configuration folder holds that of the model NAME."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recsys_cli import catalogue, plain_yaml
from recsys_cli.errors import ConfigError


def ready_space(model: str, config_dirs: Sequence[Path] = ()) -> list[str]:
    """What is searched for a model where nothing else is said, as overrides.

    Raises:
        ConfigError: There is no such file, or it is not a list of overrides.
    """
    path = catalogue.find("sweep", model, config_dirs).path
    told = plain_yaml.load(path)
    space = told.get("space")
    if (
        not isinstance(space, list)
        or not all(isinstance(text, str) for text in space)
        or len(told) > 1
    ):
        raise ConfigError(f"{path}: expected one key 'space', a list of overrides")
    return space

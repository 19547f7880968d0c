"""Ready search spaces: `configs/sweep/NAME.yaml`, in the built-in folder or the user's own.

A file maps settings to what stands right of `=` on the command line: `model.rank: 16,32,64`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recsys_cli import catalogue, config, plain_yaml
from recsys_cli.errors import ConfigError


def with_ready(overrides: Sequence[str], name: str, config_dirs: Sequence[Path] = ()) -> list[str]:
    """The overrides and what a ready space searches; a setting that the overrides give is left to them.

    Raises:
        ConfigError: There is no such space, or its file is none.
    """
    said = {given.key_or_group for given in config.parse(overrides, config_dirs)}
    return [
        *overrides,
        *(text for key, text in _read(name, config_dirs).items() if key not in said),
    ]


def _read(name: str, config_dirs: Sequence[Path]) -> dict[str, str]:
    """Setting -> the whole override."""
    path = catalogue.find(catalogue.SPACES, name, config_dirs).path
    table = plain_yaml.load(path)
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{path}: it searches nothing", "write lines like model.rank: 16,32,64")
    for key, values in table.items():
        if not isinstance(values, str):
            raise ConfigError(
                f"{path}: {key}: expected the values to try, as on the command line, not {values!r}",
                "write it like 16,32,64 or interval(0.1, 0.9)",
            )
    return {str(key): f"{key}={values}" for key, values in table.items()}

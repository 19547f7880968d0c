"""Composing: overrides and YAML files become one tree of settings, by Hydra, with its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from recsys_cli import catalogue
from recsys_cli.config.binding import check
from recsys_cli.config.folders import look_into
from recsys_cli.config.reserved import TARGET, refuse_resolvers
from recsys_cli.config.settings import Config
from recsys_cli.errors import ConfigError, nearest

LONGEST = 200  # characters of what was typed that a message repeats


def load(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> Config:
    """Compose the settings of one experiment and check them all.

    Args:
        overrides: Hydra overrides: `model=mf`, `trainer.lr=0.01`, `+tag=x`.
        config_dirs: The user's own folders, looked into before the built-in ones.

    Raises:
        ConfigError: A syntax error, an unknown name or key, a value of the wrong type or out of range.
    """
    parsed = parse(overrides, config_dirs)
    for override in parsed:
        if override.is_sweep_override():
            key = override.key_or_group
            raise ConfigError(
                f"{override.input_line!r} holds several values and this command takes one",
                f"try them all with 'recsys sweep', or give one list: {key}=[1,2]",
            )
    config = compose_checked(overrides, config_dirs)
    check(config)
    return config


def parse(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> list[Override]:
    """Read overrides without composing them; refuse those that reach outside our own settings.

    Raises:
        ConfigError: A syntax error, or a key or group that is not to be set.
    """
    seen: dict[str, str] = {}
    parsed = []
    for text in overrides:
        override = _parsed(text)
        name, shown = override.key_or_group, _short(text)
        refuse_resolvers({name: text})
        if re.split("[./]", name)[0] == "hydra":
            raise ConfigError(f"{shown}: Hydra's own settings are not ours to take", "leave it out")
        if override.package is not None or "/" in name:
            raise ConfigError(
                f"{shown}: a group has one place and no subgroups", "give it as GROUP=NAME"
            )
        if any(part.startswith("_") for part in name.split(".")):
            raise ConfigError(
                f"{shown}: keys with a leading underscore stand in files only", "leave it out"
            )
        if name in seen:
            raise ConfigError(f"{name} is given twice: {seen[name]} and {shown}", "give it once")
        seen[name] = shown
        _refuse_paths(override, config_dirs)
        parsed.append(override)
    return parsed


def _parsed(text: str) -> Override:
    if "=" not in text and not text.startswith("~"):
        raise ConfigError(
            f"{_short(text)} is neither an option nor key=value", "see recsys train --help"
        )
    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, RecursionError) as error:
        reason = _first_line(error).replace(text, "it")
        raise ConfigError(
            f"cannot read {_short(text)}: {reason[:LONGEST]}", "quote it: 'key=value'"
        ) from error


def _short(text: str) -> str:
    """What was typed, quoted, and only its beginning where it is very long."""
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "...")


def _refuse_paths(override: Override, config_dirs: Sequence[Path]) -> None:
    """A group's value must be one of the listed names: never a path."""
    group = override.key_or_group
    if group not in catalogue.groups(config_dirs) or override.is_sweep_override():
        return
    value = override.value()
    if not isinstance(value, dict) and not override.is_delete():
        known = catalogue.names(group, config_dirs)
        if str(value) not in known:
            raise ConfigError(f"no {group} called {str(value)!r}", nearest(str(value), known))


def compose_checked(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> Config:
    """Compose, with Hydra's errors in our words; nothing is checked against signatures yet.

    Raises:
        ConfigError: What Hydra or OmegaConf refused.
    """
    look_into(tuple(folder.resolve() for folder in catalogue.user_directories(config_dirs)))
    try:
        with initialize_config_dir(
            str(catalogue.builtin_directory()), job_name="recsys", version_base="1.3"
        ):
            composed = compose(catalogue.ROOT, overrides=list(overrides), return_hydra_config=True)
        chosen = composed.hydra.runtime.choices
        choices = {key: str(chosen[key]) for key in chosen if not str(key).startswith("hydra/")}
        tree = _plain(composed)
    except RecursionError as error:
        raise ConfigError("the settings are nested too deeply", "write plain values") from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        _explain(error, overrides, config_dirs)
    return Config(tree, choices, list(overrides), tuple(config_dirs))


def _plain(composed: DictConfig) -> dict[str, Any]:
    """Resolve what refers to our own keys, refuse resolvers and missing values."""
    own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    refuse_resolvers(OmegaConf.to_container(own, resolve=False))
    missing = sorted(OmegaConf.missing_keys(own))
    if missing:
        raise ConfigError(f"no value for {', '.join(missing)}", f"give it: {missing[0]}=...")
    resolved = OmegaConf.to_container(own, resolve=True)
    if not isinstance(resolved, dict):  # pragma: no cover - the root file is a mapping
        raise ConfigError("the composed settings are not a mapping")
    return {str(key): value for key, value in resolved.items()}


def _explain(error: Exception, overrides: Sequence[str], config_dirs: Sequence[Path]) -> NoReturn:
    """Raise the same error in one line, with the nearest name that exists."""
    text = _first_line(error).rstrip(".")
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        raise ConfigError(
            f"no {group} called {name!r}", nearest(name, list(error.options))
        ) from error
    if isinstance(error, InterpolationResolutionError):
        raise ConfigError(f"{error.full_key}: {text}", "write the value itself") from error
    unknown = re.search(r"Could not (?:override|delete from config\.) '([^'@]+)", text)
    if unknown:
        _unknown_key(unknown.group(1), overrides, config_dirs, error)
    raise ConfigError(text, "see recsys train --dry-run") from error


def _unknown_key(
    key: str, overrides: Sequence[str], config_dirs: Sequence[Path], error: Exception
) -> NoReturn:
    groups = catalogue.groups(config_dirs)
    choices = [text for text in overrides if text.lstrip("~").partition("=")[0] in groups]
    known: list[str] = []
    if choices != list(overrides):  # else it is the choices that cannot be composed
        with suppress(ConfigError):
            known = list(compose_checked(choices, config_dirs).flat())
    known = [name for name in known if TARGET not in name]
    last = key.rpartition(".")[2]
    ending = [name for name in known if name.rpartition(".")[2] == last]
    if ending:
        hint = f"did you mean '{ending[0]}'? (+{key}=... adds a note of your own)"
    else:
        section = key.partition(".")[0]
        inside = [name for name in known if name.startswith(section + ".")]
        hint = nearest(key, inside or [*groups, *(name for name in known if "." not in name)])
    raise ConfigError(f"no setting called {key!r} here", hint) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

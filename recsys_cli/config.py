"""Settings: composed by Hydra from the YAML files, checked against what reads them, and built.

This is the only file that knows Hydra and OmegaConf. Hydra's Compose API is used and nothing else of it: no
`instantiate`, no plugins, no resolvers. A node with a `_target_` is checked against the signature of the thing
that it names (names, types and ranges) before any data is read.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import yaml
from annotated_types import Ge, Le
from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from recsys_cli import catalogue
from recsys_cli.errors import ConfigError, nearest

ROOT = "experiment"
SEED = Annotated[int, Ge(0), Le(2**63 - 1)]
MEASURED_GROUPS = ("data", "filter", "split", "model", "trainer", "evaluation")
REQUIRED_GROUPS = (*MEASURED_GROUPS, "device", "tracking")
RUNTIME = frozenset({"n_users", "n_items", "interactions", "seed", "device", "progress"})
_own_packages: list[str] = []


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
        """All settings that can move a metric, by dotted key: not the device, the tracking, or when to save."""
        groups = {*MEASURED_GROUPS, "seed"}
        return {
            key: value
            for key, value in self.flat().items()
            if key.split(".")[0] in groups and not key.startswith("trainer.checkpoint_")
        }

    def yaml(self) -> str:
        """The settings as YAML."""
        return OmegaConf.to_yaml(OmegaConf.create(self.tree))

    def flat(self) -> dict[str, Any]:
        """Dotted key -> value."""
        return dict(_flatten(self.tree))


def allow(packages: Sequence[str]) -> None:
    """Let `_target_` name things in these packages of the user's own too.

    Raises:
        ConfigError: A name is not that of a package.
    """
    for name in packages:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
            raise ConfigError(f"{name!r} is not the name of a Python package", "like my_models")
    _own_packages[:] = packages


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


def from_file(path: Path, choices: Mapping[str, str]) -> Config:
    """The settings that a run wrote down, checked like those of the command line.

    Args:
        path: What `Config.yaml` gave: no defaults list, nothing left to resolve.
        choices: The name that was chosen in each group.

    Raises:
        ConfigError: It cannot be read, or holds what the command line would refuse.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigError(f"{path}: has an alias (*name)", "write the value itself")
        tree = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"{path}: cannot be read: {reason}", "train again") from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigError(f"{path}: expected settings by name", "train again")
    for key, value in _flatten(tree):
        if isinstance(value, str) and "${" in value:
            raise ConfigError(f"{path}: {key}: {value!r} is left to resolve", "write the value")
    config = Config(tree, dict(choices))
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
        if "=" not in text and not text.startswith("~"):
            raise ConfigError(
                f"{text!r} is neither an option nor key=value", "see recsys train --help"
            )
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException as error:
            raise ConfigError(
                f"cannot read {text!r}: {_first_line(error)}", "quote it: 'key=value'"
            ) from error
        key = override.get_key_element()
        name = key.lstrip("+~").split("@")[0]
        if name.split(".")[0] == "hydra" or name.startswith("hydra/"):
            raise ConfigError(
                f"{text!r}: Hydra's own settings are not ours to take", "leave it out"
            )
        if any(part.startswith("_") for part in re.split(r"[./@]", name)):
            raise ConfigError(
                f"{text!r}: keys with a leading underscore stand in files only", "leave it out"
            )
        if name in seen:
            raise ConfigError(f"{name} is given twice: {seen[name]!r} and {text!r}", "give it once")
        seen[name] = text
        _refuse_paths(override, config_dirs)
        parsed.append(override)
    return parsed


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


class _UserFolders(SearchPathPlugin):
    """Puts the user's folders before ours on Hydra's search path."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra when it composes."""
        for folder in reversed(self.folders):
            search_path.prepend(provider="recsys-user", path=f"file://{folder}", anchor="main")


def compose_checked(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> Config:
    """Compose, with Hydra's errors in our words; nothing is checked against signatures yet.

    Raises:
        ConfigError: What Hydra or OmegaConf refused.
    """
    _UserFolders.folders = tuple(
        folder.resolve() for folder in catalogue.user_directories(config_dirs)
    )
    Plugins.instance().register(_UserFolders)
    try:
        with initialize_config_dir(
            str(catalogue.builtin_directory()), job_name="recsys", version_base="1.3"
        ):
            composed = compose(ROOT, overrides=list(overrides), return_hydra_config=True)
        chosen = composed.hydra.runtime.choices
        choices = {key: str(chosen[key]) for key in chosen if not str(key).startswith("hydra/")}
        tree = _plain(composed)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        _explain(error, overrides, config_dirs)
    return Config(tree, choices, list(overrides), tuple(config_dirs))


def _plain(composed: DictConfig) -> dict[str, Any]:
    """Resolve what refers to our own keys, refuse resolvers and missing values."""
    own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    for key, value in _flatten(OmegaConf.to_container(own, resolve=False)):
        if isinstance(value, str) and re.search(r"\$\{[^}]*:", value):
            raise ConfigError(f"{key}: {value!r} calls a resolver", "write the value itself")
    missing = sorted(OmegaConf.missing_keys(own))
    if missing:
        raise ConfigError(f"no value for {', '.join(missing)}", f"give it: {missing[0]}=...")
    resolved = OmegaConf.to_container(own, resolve=True)
    if not isinstance(resolved, dict):  # pragma: no cover - the root file is a mapping
        raise ConfigError("the composed settings are not a mapping")
    return {str(key): value for key, value in resolved.items()}


def _explain(error: Exception, overrides: Sequence[str], config_dirs: Sequence[Path]) -> NoReturn:
    """Raise the same error in one line, with the nearest name that exists."""
    text = _first_line(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        raise ConfigError(
            f"no {group} called {name!r}", nearest(name, list(error.options))
        ) from error
    full = re.search(r"full_key: (\S+)", str(error))
    if isinstance(error, InterpolationResolutionError) and full:
        raise ConfigError(f"{full.group(1)}: {text}", "write the value itself") from error
    unknown = full or re.search(r"(?:Could not override|Key) '([^']+)'", text)
    if unknown:
        _unknown_key(unknown.group(1), overrides, config_dirs, error)
    raise ConfigError(text, "see recsys train --dry-run") from error


def _unknown_key(
    key: str, overrides: Sequence[str], config_dirs: Sequence[Path], error: Exception
) -> NoReturn:
    groups = catalogue.groups(config_dirs)
    same_groups = [text for text in overrides if text.split("=")[0] in groups]
    try:
        known = (
            list(compose_checked(same_groups, config_dirs).flat())
            if same_groups != list(overrides)
            else []
        )
    except ConfigError:
        known = []
    known = [name for name in known if "_target_" not in name]
    ending = [name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    if ending and ending[0] != key:
        hint = f"did you mean '{ending[0]}'? (+{key}=... adds a note of your own)"
    else:
        section = key.split(".")[0]
        inside = [name for name in known if name.startswith(section + ".")]
        hint = nearest(key, inside or [*groups, *(name for name in known if "." not in name)])
    raise ConfigError(f"no setting called {key!r} here", hint) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


# ---------------------------------------------------------------------------------------------------------
# From a node to the thing that it names


def check(config: Config) -> None:
    """Check every node against what it names, and the root's own keys, without building anything.

    Raises:
        ConfigError: Naming the key, the value, what was expected and the nearest right name.
    """
    for group in REQUIRED_GROUPS:
        node = config.tree.get(group)
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise ConfigError(
                f"no {group} is chosen",
                f"give {group}=NAME: {', '.join(catalogue.names(group, config.folders))}",
            )
        bind(node, key=group)
    own = {"seed": (SEED, ...), "root": (str, ...)}
    _validate(own, {name: config.tree.get(name) for name in own}, where="", owner="recsys")
    for key, value in _flatten({k: v for k, v in config.tree.items() if isinstance(v, Mapping)}):
        if key.endswith("._target_") and key.count(".") > 1:
            raise ConfigError(
                f"{key}: {value!r} stands inside a group", "a _target_ stands at a file's root"
            )


def locate(name: str, *, key: str) -> Callable[..., Any]:
    """The class or function that a `_target_` names; only ours and those of allowed packages.

    Raises:
        ConfigError: It is elsewhere, or not there.
    """
    packages = ["recsys_cli", *_own_packages, *os.environ.get("RECSYS_ALLOW", "").split()]
    if not _inside(name, packages):
        raise ConfigError(
            f"{key}._target_: {name!r} is in none of the packages {', '.join(packages)}",
            "name your own package with --allow-package",
        )
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{key}._target_: cannot import {name!r}: {error}", "check the name"
        ) from error
    if not callable(found) or not _inside(getattr(found, "__module__", ""), packages):
        raise ConfigError(f"{key}._target_: {name!r} is not a class or function of these packages")
    return found  # type: ignore[no-any-return]


def _inside(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def bind(
    node: Mapping[str, Any], *, key: str, runtime: Mapping[str, Any] | None = None
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """What a node names and the arguments it gives, checked.

    Args:
        node: `_target_` and settings.
        key: The node's name, for messages.
        runtime: Arguments that the program supplies; None = not known yet: any of `RUNTIME`.

    Raises:
        ConfigError: An unknown, missing or ill-typed setting, or a value out of range.
    """
    target = locate(str(node["_target_"]), key=key)
    name = getattr(target, "__name__", str(target))
    try:
        parameters = inspect.signature(target, eval_str=True).parameters
    except NameError as error:
        raise ConfigError(
            f"{key}._target_: the types of {name} cannot be read: {error}",
            "import them at run time",
        ) from error
    settings = {str(k): v for k, v in node.items() if k != "_target_"}
    for setting in settings:
        if setting not in parameters:
            raise ConfigError(
                f"{key}.{setting} is not a setting of {name}",
                nearest(setting, [p for p in settings if p in parameters]),
            )
    supplied = {*settings, *(RUNTIME if runtime is None else runtime)}
    for parameter in parameters.values():
        if parameter.name not in supplied and parameter.default is parameter.empty:
            missing = f"{key}.{parameter.name}"
            raise ConfigError(f"no value for {missing}", f"give it: {missing}=...")
    fields = {setting: (parameters[setting].annotation, ...) for setting in settings}
    values = _validate(fields, settings, where=f"{key}.", owner=name)
    offered = {k: v for k, v in (runtime or {}).items() if k in parameters and k not in settings}
    return target, values | offered


def build(node: Mapping[str, Any], *, key: str, **runtime: Any) -> Any:
    """Make what a node names from its settings and the runtime arguments that it takes.

    Raises:
        ConfigError: As `bind`.
    """
    target, arguments = bind(node, key=key, runtime=runtime)
    return target(**arguments)


def _validate(
    fields: dict[str, Any], values: Mapping[str, Any], *, where: str, owner: str
) -> dict[str, Any]:
    """Types and ranges by pydantic; no number is read from text, none rounded, none infinite."""
    schema: type[BaseModel] = create_model(
        owner,
        __config__=ConfigDict(
            extra="forbid",
            arbitrary_types_allowed=True,
            allow_inf_nan=False,
            strict=False,
            protected_namespaces=(),
        ),
        **fields,
    )
    for name, value in values.items():
        annotation = str(fields[name][0])
        if isinstance(value, bool) and "bool" not in annotation:
            raise ConfigError(f"{where}{name}={value!r}: true and false are not values of it")
        if isinstance(value, str) and "str" not in annotation and "Literal" not in annotation:
            raise ConfigError(
                f"{where}{name}={value!r}: text is not a value of it", "give a number"
            )
    try:
        checked = schema(**values)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        given = values.get(str(first["loc"][0])) if first["loc"] else None
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ConfigError(
            f"{where}{at}={given!r}: {message}",
            "its range is in the comment behind it: recsys models NAME, recsys data settings NAME",
        ) from None
    return {name: getattr(checked, name) for name in fields}

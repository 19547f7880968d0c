"""From a node with a `_target_` to the thing that it names: looked up in a closed list, checked, and built.

A node is checked against the signature of what it names (names, types and ranges) before any data is read. Of this
package only what a built-in file of the same group names can be named: a function that writes files is no model.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from recsys_cli import catalogue
from recsys_cli.config.expected import in_words
from recsys_cli.config.reserved import TARGET, refuse_reserved
from recsys_cli.config.settings import REQUIRED_GROUPS, Config, walk
from recsys_cli.errors import ConfigError, nearest

SEED = Annotated[int, Ge(0), Le(2**63 - 1)]
RUNTIME = frozenset(
    {"n_users", "n_items", "context_facts", "interactions", "seed", "device", "progress"}
)
OWN = "recsys_cli"
ALLOWED = "RECSYS_ALLOW"  # names of packages, separated by spaces
_own_packages: list[str] = []


def allow(packages: Sequence[str]) -> None:
    """Let `_target_` name things in these packages of the user's own too.

    Raises:
        ConfigError: A name is not that of a package, or of one that comes with Python.
    """
    _own_packages[:] = [_checked(name, "--allow-package") for name in packages]


def _checked(name: str, origin: str) -> str:
    """The name of a package of the user's own."""
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
        raise ConfigError(
            f"{origin}: {name!r} is not the name of a Python package", "like my_models"
        )
    if name.split(".")[0] in sys.stdlib_module_names:
        raise ConfigError(f"{origin}: {name!r} is a part of Python", "name a package of your own")
    return name


def check(config: Config) -> None:
    """Check every node against what it names, and the root's own keys, without building anything.

    Raises:
        ConfigError: Naming the key, the value, what was expected and the nearest right name.
    """
    for group in REQUIRED_GROUPS:
        node = config.tree.get(group)
        if not isinstance(node, Mapping) or TARGET not in node:
            raise ConfigError(
                f"no {group} is chosen",
                f"give {group}=NAME: {', '.join(catalogue.names(group, config.folders))}",
            )
        bind(node, key=group)
    own = {"seed": (SEED, ...), "root": (str, ...)}
    _validate(own, {name: config.tree.get(name) for name in own}, where="", owner="recsys")
    refuse_reserved(config.tree, targets=REQUIRED_GROUPS)


def locate(name: str, *, key: str) -> Callable[..., Any]:
    """The class or function that a `_target_` names.

    Args:
        name: Its dotted name.
        key: The group: of this package, only what a built-in file of the same group names can be meant.

    Raises:
        ConfigError: It is elsewhere, or not there.
    """
    named = os.environ.get(ALLOWED, "").split()
    packages = [*_own_packages, *(_checked(package, ALLOWED) for package in named)]
    if not (_inside(name, packages) or name in catalogue.targets(key)):
        raise ConfigError(
            f"{key}._target_: {name!r} is none of ours for a {key}, and in none of the packages "
            f"that you allow ({', '.join(packages) or 'none'})",
            "name your own package with --allow-package",
        )
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{key}._target_: cannot import {name!r}: {error}", "check the name"
        ) from error
    if not callable(found) or not _inside(getattr(found, "__module__", ""), [OWN, *packages]):
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
    target = locate(str(node[TARGET]), key=key)
    name = getattr(target, "__name__", str(target))
    try:
        parameters = inspect.signature(target, eval_str=True).parameters
    except NameError as error:
        raise ConfigError(
            f"{key}._target_: the types of {name} cannot be read: {error}",
            "import them at run time",
        ) from error
    settings = {str(k): v for k, v in node.items() if k != TARGET}
    for setting in settings:
        if setting not in parameters:
            raise ConfigError(
                f"{key}.{setting} is not a setting of {name}",
                nearest(setting, [p for p in parameters if p in settings or p not in RUNTIME]),
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
        kinds = {type(inner) for _, inner in walk(value)}
        annotation, refused = str(fields[name][0]), ""
        if bool in kinds and "bool" not in annotation:
            refused = "true and false are not values of it"
        if str in kinds and "str" not in annotation and "Literal" not in annotation:
            refused = "text is not a value of it"
        if refused:
            expected = f"it takes {in_words(fields[name][0])}"
            raise ConfigError(f"{where}{name}={value!r}: {refused}", expected)
    try:
        checked = schema(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ConfigError(
            f"{where}{name}={values[name]!r}: {message}",
            f"it takes {in_words(fields[name][0])}",
        ) from None
    return {name: getattr(checked, name) for name in fields}

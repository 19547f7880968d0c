"""What no setting may be, wherever it comes from: a call, a reserved key, or a secret."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from recsys_cli.config.settings import walk
from recsys_cli.errors import ConfigError
from recsys_cli.redact import is_secret

RESOLVER = re.compile(r"\$\{[^}]*:")
TARGET = "_target_"


def refuse_resolvers(tree: Any, *, where: str = "") -> None:
    """Refuse `${oc.env:NAME}` and its like, in lists too: a reference may only name a setting.

    Raises:
        ConfigError: Naming the key.
    """
    for key, value in walk(tree):
        if isinstance(value, str) and RESOLVER.search(value):
            raise ConfigError(f"{where}{key}: {value!r} calls a resolver", "write the value itself")


def refuse_reserved(tree: Any, *, targets: Collection[str]) -> None:
    """Refuse keys with a leading underscore, NUL characters, and text under a name that says it is a secret.

    Args:
        tree: All settings.
        targets: The groups that have a `_target_` at their root.

    Raises:
        ConfigError: Naming the key.
    """
    allowed = {f"{group}.{TARGET}" for group in targets}
    for key, value in walk(tree):
        name = key.rpartition(".")[2]
        if name.startswith("_") and key not in allowed:
            raise ConfigError(
                f"{key}: {name} is not a setting",
                f"{TARGET} stands at the root of a file, and no other key begins with an underscore",
            )
        if isinstance(value, str) and "\0" in value:
            raise ConfigError(f"{key}={value!r}: a NUL character is part of no value of ours")
        if isinstance(value, str) and value and is_secret(name):
            raise ConfigError(
                f"{key}: settings are written down with the run, and this looks like a secret",
                "leave it out; programs read secrets from the environment",
            )

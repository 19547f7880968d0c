"""`recsys models`: what models there are, and what can be set on one."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys_cli.cli import listing
from recsys_cli.cli.completion import of_group
from recsys_cli.cli.options import ConfigDir


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Show every setting of this one.",
            autocompletion=of_group("model"),
            show_default=False,
        ),
    ] = None,
    config_dir: ConfigDir = None,
) -> None:
    """List the models, or every setting of one.

    With its meaning, unit, range and default, and the trainer that it picks.
    """
    if name is None:
        listing.names("model", ("model", "what", "slides", "paper"), config_dir or ())
    else:
        listing.settings("model", name, config_dir or ())

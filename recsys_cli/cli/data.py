"""`recsys data`: what data sets there are, what is in one, and bringing one here."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys_cli.cli import data_audit, data_describe, data_get, data_import, listing
from recsys_cli.cli.completion import of_group
from recsys_cli.cli.options import HELP_NAMES, Command, ConfigDir

app = typer.Typer(rich_markup_mode=None, context_settings=HELP_NAMES)


@app.callback()
def data() -> None:
    """List, describe, fetch and import data sets."""


@app.command("list", cls=Command, context_settings=HELP_NAMES)
def list_(config_dir: ConfigDir = None) -> None:
    """List the data sets."""
    listing.names("data", ("data", "what", "source"), config_dir or ())


@app.command(cls=Command, context_settings=HELP_NAMES)
def settings(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="The data set.",
            autocompletion=of_group("data"),
            show_default=False,
        ),
    ],
    config_dir: ConfigDir = None,
) -> None:
    """Show every setting of a data set, and the split that it names."""
    listing.settings("data", name, config_dir or ())


for name, command in (
    ("audit", data_audit.audit),
    ("describe", data_describe.describe),
    ("get", data_get.get),
    ("import", data_import.import_),
):
    app.command(name, cls=Command, context_settings=HELP_NAMES)(command)

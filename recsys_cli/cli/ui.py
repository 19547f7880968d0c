"""`recsys ui`: the recorded runs in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys_cli.cli import output


def ui(
    root: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of the runs, as `recsys train` named it.")
    ] = "runs",
    uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where MLflow keeps the runs, where that is not the root's database.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(metavar="N", help="Port on this machine.", min=1, max=65535)
    ] = 5000,
) -> None:
    """Show the recorded runs in a browser, until Ctrl-C.

    They are served to this machine alone.
    """
    from recsys_cli.tracking.ui import serve_ui

    serve_ui(
        uri=uri,
        root=root,
        port=port,
        ready=lambda address: output.write(f"open {address} in a browser; Ctrl-C ends this"),
    )

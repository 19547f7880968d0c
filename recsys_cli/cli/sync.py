"""`recsys sync`: what the tracking stores have not been told, told now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output
from recsys_cli.errors import DataError, TrackingError

if TYPE_CHECKING:
    from recsys_cli.tracking.sync import Synced, Told


def sync(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, a sweep or several of them, or its name in the root; none for all that is pending.",
            show_default=False,
        ),
    ] = None,
    root: options.Root = Path("runs"),
    uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where to, if not to the store that the runs were begun with.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Deliver runs that a tracking store has not been told of, and close those whose process died.

    May be repeated: nothing is there twice. Example: recsys sync
    """
    from recsys_cli.tracking.console import Console
    from recsys_cli.tracking.sync import sync as deliver

    found = deliver(runs or [], root=root, uri=uri, progress=Console(bars=progress))
    if as_json:
        output.write(json.dumps(found.to_json()))
    else:
        _show(found, root)
    _judge(found.runs)


def _show(found: Synced, root: Path) -> None:
    if found.runs:
        rows = [(told.run, told.state, told.run_id, told.why) for told in found.runs]
        output.table(("run", "state", "id", "why"), rows)
    else:
        output.write(f"nothing is pending in {root}")
    if found.closed:
        output.facts([("closed as killed", ", ".join(found.closed))])


def _judge(runs: list[Told]) -> None:
    """End with an error where not all could be delivered.

    Raises:
        TrackingError: A store does not take it.
        DataError: Events are damaged.
    """
    pending = [told for told in runs if told.state == "pending"]
    if pending:
        raise TrackingError(
            f"{len(pending)} of {len(runs)} runs are still pending: {pending[0].why}",
            "see that the store is there, then say recsys sync again",
        )
    if damaged := [told for told in runs if told.state == "damaged"]:
        raise DataError(damaged[0].why)

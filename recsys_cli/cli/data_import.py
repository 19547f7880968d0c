"""`recsys data import`: a delimited file of the user's own, checked and kept as columns."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_cli.cli import options, output

if TYPE_CHECKING:
    from recsys_cli.data.imported import Import

NONE = "null"


def _column(help_: str) -> Any:
    return typer.Option(metavar="COLUMN", help=help_, show_default=False)


def _choice(help_: str, metavar: str) -> Any:
    return typer.Option(metavar=metavar, help=help_, show_default=False)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A line an event, plain or gzipped, in UTF-8; the first line names the columns.",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call it.", show_default=False)],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where its folder NAME is made.")] = Path(
        "data"
    ),
    delimiter: Annotated[
        str | None, _choice("What stands between two fields: one character, or tab.", "TEXT")
    ] = None,
    user_column: Annotated[str | None, _column("Column of user ids.")] = None,
    item_column: Annotated[str | None, _column("Column of item ids.")] = None,
    time_column: Annotated[
        str | None, _column("Column of times; null where there is none.")
    ] = None,
    time_unit: Annotated[
        str | None, _choice("What times count since 1970.", "auto|s|ms|us|ns|iso")
    ] = None,
    value_column: Annotated[
        str | None, _column("Column of ratings or counts; null where there is none.")
    ] = None,
    value_low: Annotated[float | None, _choice("Values below are an error.", "NUMBER")] = None,
    value_high: Annotated[float | None, _choice("Values above are an error.", "NUMBER")] = None,
    id_type: Annotated[
        str | None, _choice("Whether ids are whole numbers from 0, or text.", "auto|int|text")
    ] = None,
    duplicates: Annotated[
        str | None,
        _choice("What becomes of a user's later events with the same item.", "keep|last|error"),
    ] = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Check a file of events and keep it as columns, which load at once.

    What is not said is as `recsys data settings csv` lists it. A fault is named by line and field,
    and then nothing is written.

    Example: recsys data import events.csv --name mine --user-column user_id
    """
    from recsys_cli import config
    from recsys_cli.data.imported import import_csv
    from recsys_cli.tracking.console import Console

    said = {
        "delimiter": delimiter,
        "user_column": user_column,
        "item_column": item_column,
        "time_column": time_column,
        "time_unit": time_unit,
        "value_column": value_column,
        "value_low": value_low,
        "value_high": value_high,
        "id_type": id_type,
        "duplicates": duplicates,
    }
    usual = config.compose_checked(["data=csv", "data.path=to be given"]).tree["data"]
    given = {
        key: None if value == NONE else value for key, value in said.items() if value is not None
    }
    node = usual | given | {"path": str(file)}
    console = Console(bars=progress)
    settings = config.bind(node, key="data", runtime={"progress": console})[1]
    settings.pop("progress")
    done = import_csv(name=name, to=to, settings=settings, progress=console)
    if as_json:
        output.write(json.dumps(done.manifest | {"folder": str(done.folder)}))
    else:
        _show(done)


def _show(done: Import) -> None:
    manifest = done.manifest
    size = sum(file["bytes"] for file in manifest["files"].values())
    output.facts(
        [
            ("data", done.folder.name),
            ("events", f"{len(done.events):,}"),
            ("users", f"{done.events.n_users:,}"),
            ("items", f"{done.events.n_items:,}"),
            ("folder", f"{done.folder} ({size:,} bytes, with the SHA-256 of every file)"),
            ("digest", manifest["digest"]),
            ("describe with", _command("recsys data describe imported", done.folder)),
            ("train with", _command("recsys train --data=imported", done.folder)),
        ]
    )


def _command(start: str, folder: Path) -> str:
    """A command that reads the folder, as it can be pasted into a shell."""
    path = str(folder)
    if not re.fullmatch(r"[A-Za-z0-9_./-]+", path):
        escaped = re.sub(r"(\\*)'", r"\1\1\'", path)
        path = f"'{escaped}'"
    return f"{start} {shlex.quote(f'data.path={path}')}"

"""`recsys reproduce`: published tables, printed number by printed number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.catalogue import PUBLISHED
from recsys_cli.cli import listing, options, output
from recsys_cli.cli.completion import of_group
from recsys_cli.cli.summary import HASH_SHOWN
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from recsys_cli.comparisons.published_checks import Check, Reproduction

MISSED = 1


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE",
            help="The table to run again; without it they are listed.",
            autocompletion=of_group(PUBLISHED),
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL", help="Run the row of this model; may be repeated.", show_default=False
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder that holds the data set in a folder of its name.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    finished: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Train nothing: compare this finished run of a row; may be repeated.",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep numbers, command, seeds and versions in this JSON file; its other rows stay.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    config_dir: options.ConfigDir = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
    overrides: options.Overrides = None,
) -> None:
    """Run published tables again and compare with the printed numbers.

    Ends with exit code 1 where a number is missed by more than its tolerance.

    Example: recsys reproduce surprise-ml100k --only=svd
    """
    if name is None:
        if finished or record:
            raise ConfigError("--from and --record are for one table", "name it")
        listing.names(PUBLISHED, ("table", "what", "data", "source"), config_dir or ())
        return
    if finished and (only or source):
        raise ConfigError(
            "--from says which runs: it goes without --only and --source", "leave them out"
        )
    from recsys_cli.comparisons import published
    from recsys_cli.tracking.console import Console

    if finished:
        found = published.compare_finished(
            name,
            finished,
            record=record,
            overrides=overrides or (),
            config_dirs=config_dir or (),
        )
    else:
        found = published.reproduce(
            name,
            progress=Console(bars=progress),
            only=only or (),
            source=source,
            record=record,
            overrides=overrides or (),
            config_dirs=config_dir or (),
        )
    if as_json:
        output.write(json.dumps(found.to_json()))
    else:
        _show(found)
    if not found.passed:
        raise typer.Exit(MISSED)


def _show(found: Reproduction) -> None:
    output.table(
        ("model", "metric", "published", "ours", "difference", "tolerance", "verdict"),
        [_cells(check) for check in found.checks],
    )
    reached = sum(check.passed for check in found.checks)
    output.facts(
        [
            ("table", found.title),
            ("source", found.source),
            *(
                ("split", f"{name}, hash {digest[:HASH_SHOWN]}")
                for name, digest in found.splits.items()
            ),
            *((model, note) for model, note in found.notes.items()),
            ("logged at", found.logged_at),
            ("open with", found.how_to_open),
            ("verdict", f"{reached} of {len(found.checks)} numbers reached"),
        ]
    )


def _cells(check: Check) -> tuple[str, ...]:
    """Ours with one digit more than is printed, so that rounding shows."""
    digits = check.digits + 1 if check.digits else 0
    return (
        check.model,
        check.metric,
        f"{check.published:,.{check.digits}f}",
        f"{check.ours:,.{digits}f}",
        f"{round(check.difference, digits) + 0.0:+,.{digits}f}",  # + 0.0: no minus before a zero
        f"{check.tolerance:.9f}".rstrip("0").rstrip(".") if check.tolerance else "exact",
        "pass" if check.passed else "FAIL",
    )

"""`recsys verify`: is a finished run whole, and do its numbers come out again?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output
from recsys_cli.errors import CheckpointError

if TYPE_CHECKING:
    from recsys_cli.verification import Verification

NOT_REPRODUCED = 1


def verify(
    run: options.Run,
    rerun: Annotated[
        bool,
        typer.Option(
            "--rerun/--no-rerun", help="Train again too, as long as it took the first time."
        ),
    ] = True,
    root: options.Root = Path("runs"),
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Hold a finished run to its record: files by their SHA-256, numbers by measuring and training again.

    Ends with exit code 5 where a file is damaged, and 1 where a number comes out otherwise and must not. Nothing is
    written into the run's folder.

    Example: recsys verify runs/A --no-rerun
    """
    options.allow(allow_package)
    from recsys_cli import verification
    from recsys_cli.tracking.console import Console

    found = verification.verify(
        run, root, rerun=rerun, folders=config_dir or (), progress=Console(bars=progress)
    )
    if as_json:
        output.write(json.dumps(found.to_json()))
    else:
        _show(found)
    if found.damaged:
        first = found.damaged[0]
        more = f" (and {len(found.damaged) - 1} more)" if len(found.damaged) > 1 else ""
        raise CheckpointError(
            f"{found.folder / first.what}: {first.detail}{more}", "restore the file, or train again"
        )
    if found.differing:
        raise typer.Exit(NOT_REPRODUCED)


def _show(found: Verification) -> None:
    output.table(
        ("check", "of", "verdict", "detail"),
        [(check.kind, check.what, check.verdict, check.detail) for check in found.checks],
    )
    promised = f"{found.promise['class']}: {found.promise['why']}" if found.promise else ""
    output.facts(
        [
            ("run", str(found.folder)),
            ("promise", promised),
            ("elsewhere", found.elsewhere),
            ("verdict", _verdict(found)),
        ]
    )


def _verdict(found: Verification) -> str:
    """The whole in a sentence."""
    if found.damaged:
        return "damaged: its numbers are not to be trusted"
    if found.differing:
        return "its files are whole, and its numbers do not come out again"
    again = " and trained" if any(check.kind == "trained again" for check in found.checks) else ""
    if any(check.verdict == "close" for check in found.checks):
        return f"whole, and measured{again} again close to what it says; bits are not promised here"
    return f"whole, and measured{again} again the same, bit for bit"

"""`recsys doctor`: is all well with what a run depends on, and what is to be done where it is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output
from recsys_cli.redact import printable, redact_all

if TYPE_CHECKING:
    from recsys_cli.doctor.finding import Finding

TO_MEND = 2


def doctor(
    root: options.Root = Path("runs"),
    uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where runs are tracked, where that is not the root's database.",
            show_default=False,
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Check large files to their end: hashes, the database.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Look at versions, devices, disks, memory, the store, runs and the cache; change nothing.

    Exit code 0: all is well, or there are only notes. 2: something is to be mended; its line says how.
    """
    from recsys_cli.doctor.examination import examine

    found = examine(root=root, uri=uri, deep=deep)
    broken = [finding for finding in found if finding.state == "mend"]
    if as_json:
        told = {"ok": not broken, "findings": [finding.to_json() for finding in found]}
        output.write(json.dumps(redact_all(told)))
    else:
        output.write("\n".join(_page(found, len(broken))))
    if broken:
        raise typer.Exit(TO_MEND)


def _page(found: Sequence[Finding], n_broken: int) -> list[str]:
    """The report, a line a finding, with what is to be done below it."""
    width = max(len(finding.what) for finding in found)
    lines, section = [], ""
    for finding in found:
        if finding.section != section:
            section = finding.section
            lines.append(section)
        text = printable(redact_all(finding.text)).replace("\n", "\\n")
        lines.append(f"  {finding.state:5}{finding.what:{width}}  {text}")
        if finding.command:
            command = printable(redact_all(finding.command)).replace("\n", "\\n")
            lines.append(f"  {'':5}{'':{width}}  -> {command}")
    things = "1 thing is" if n_broken == 1 else f"{n_broken} things are"
    return [*lines, f"{things} to be mended" if n_broken else "all is well"]

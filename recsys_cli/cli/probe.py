"""`recsys probe`: small experiments that explain what the large ones find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output
from recsys_cli.cli.options import HELP_NAMES, Command
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from recsys_cli.comparisons.dot_probe import DotProbe

app = typer.Typer(rich_markup_mode=None, context_settings=HELP_NAMES)
WIDEST = 4096


@app.callback()
def probe() -> None:
    """Small experiments on generated numbers, which explain what the large ones find."""


@app.command(cls=Command, context_settings=HELP_NAMES)
def dot(
    hidden: Annotated[
        str, typer.Option(metavar="N,N", help="Widths of the hidden layer to try.")
    ] = "1,2,5,10,20,30,50",
    steps: Annotated[
        int, typer.Option(help="Steps of training of each net.", min=1, max=1_000_000)
    ] = 1_500,
    starts: Annotated[
        int,
        typer.Option(
            help="Random starts of each net; the median counts, since one may fail by chance.",
            min=1,
            max=1_000,
        ),
    ] = 3,
    page: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the HTML page here too; MLflow keeps one in any case.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    tracking: options.Tracking = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Can a feed-forward net learn the dot product of its embeddings? Slide 10, measured in some minutes.

    Example: recsys probe dot --page dot.html
    """
    widths = _widths(hidden)
    if page is not None:
        options.page(page)
    from recsys_cli import config
    from recsys_cli.comparisons.dot_probe import probe_dot
    from recsys_cli.reports.dot_page import dot_page
    from recsys_cli.tracking.console import Console

    found = probe_dot(
        config.load(options.collect(None, seed=seed, tracking=tracking)),
        hidden=widths,
        steps=steps,
        starts=starts,
        progress=Console(bars=progress),
        page=dot_page,
    )
    if page is not None:
        write_whole(page, dot_page(found).encode())
    if as_json:
        output.write(json.dumps(found.to_json()))
    else:
        _show(found, page)


def _widths(said: str) -> list[int]:
    """The widths of a list such as `1,2,5`, each once, in order."""
    names = [name.strip() for name in said.split(",")]
    for name in names:
        if not (name.isascii() and name.isdecimal() and 1 <= int(name) <= WIDEST):
            raise ConfigError(
                f"--hidden: {name!r} is no whole number from 1 to {WIDEST}",
                "such as --hidden=1,5,50",
            )
    return sorted({int(name) for name in names})


def _of(found: DotProbe) -> str:
    return "" if found.starts == 1 else f"; the median of {found.starts} random starts"


def _show(found: DotProbe, page: Path | None) -> None:
    """R on cells that were not trained on: a row a width, a column a function."""
    columns = [
        "hidden",
        *(task.name.replace(", ", "\n" if output.on_terminal() else " ") for task in found.tasks),
    ]
    fits = {(fit.hidden, fit.task): fit for fit in found.fits}
    rows = [
        [str(width or "dot product"), *(f"{fits[width, task].asked:.4f}" for task in found.tasks)]
        for width in (0, *found.hidden)
    ]
    output.table(columns, rows, numbers=True)
    output.facts(
        [
            (
                "numbers",
                f"Pearson's R with the truth, on cells that were not trained on{_of(found)}",
            ),
            ("logged at", found.logged_at),
            ("open with", found.how_to_open),
            ("page", "" if page is None else str(page)),
            ("conclusion", f"{found.conclusion}."),
        ],
        wrap=True,
    )

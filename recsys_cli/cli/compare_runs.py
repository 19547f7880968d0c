"""`recsys compare-runs`: finished runs side by side, and what their difference is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys_cli.comparisons.runs import Row

COLUMNS = ("metric", "mean", "95 % interval", "difference", "95 % interval", "d_z", "p (Holm)")
CAUTION = "one training of each: what another seed would give is not in these intervals, which are over users"

Metrics = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        help="What is compared, like ndcg_at_10; may be repeated. Else evaluation.primary of the "
        "run that the others are set against.",
        show_default=False,
    ),
]


def compare_runs(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Two or more: folders of runs, or their names or ids in --root.",
            show_default=False,
        ),
    ],
    metric: Metrics = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="One of them, that the others are set against; else the first.",
            show_default=False,
        ),
    ] = None,
    root: options.Root = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """Say whether one run is better than another, or chance alone may have set them apart.

    Example: recsys compare-runs runs/A runs/B --metric recall_at_20
    """
    from recsys_cli.comparisons import runs as comparisons
    from recsys_cli.tracking.run_folder import open_run

    folders = [open_run(named, root) for named in runs]
    if len(folders) < 2:
        raise ConfigError("a comparison needs two runs or more, here is one", "name another")
    at = 0
    if reference is not None:
        paths = [folder.path.resolve() for folder in folders]
        wanted = open_run(reference, root).path.resolve()
        if wanted not in paths:
            raise ConfigError(f"--reference {reference} is not among the runs", "name one of them")
        at = paths.index(wanted)
    keys = metric or [str(folders[at].evaluation.get("primary"))]
    rows = comparisons.compare(comparisons.entries(folders), keys, reference=at)
    if as_json:
        split = folders[0].recorded["split_hash"]
        told = {"split_hash": split, "reference": rows[0].name, "rows": comparisons.to_json(rows)}
        output.write(json.dumps(told))
        return
    show(rows)
    output.facts([("note", CAUTION)])


def show(rows: Sequence[Row]) -> None:
    """Print a table, and a sentence for each difference."""
    output.table(("run", *COLUMNS), [_cells(row) for row in rows], numbers=True)
    output.facts([(row.name, row.sentence) for row in rows if row.difference is not None])


def _cells(row: Row) -> tuple[str, ...]:
    return (row.name, row.metric, *row.cells(), *row.difference_cells())

"""`recsys evaluate`: measure a finished run again, or lists that another program made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import compare_runs, options, output, summary
from recsys_cli.cli.compare_runs import Metrics
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from recsys_cli.comparisons.lists import ListsReport
    from recsys_cli.progress import Progress
    from recsys_cli.runs import Agreement
    from recsys_cli.tracking.run_folder import RunFolder


def evaluate(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, or its name or id in --root.",
            show_default=False,
        ),
    ] = None,
    recommendations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Lists of another program: .csv, .tsv or .parquet with the columns user, item, and "
            "rank (1 = best) or score.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="The run whose data, split and rules the lists are measured with, and that they "
            "are set against.",
            show_default=False,
        ),
    ] = None,
    metric: Metrics = None,
    lists: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the run's lists of the test users to this .csv or .parquet.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = None,
    root: options.Root = Path("runs"),
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Measure a finished run again from its weights, or lists of another program against a run.

    Example: recsys evaluate --recommendations lists.csv --against runs/A
    """
    named = _the_run(run, recommendations, against, metric, lists, device)
    options.allow(allow_package)
    from recsys_cli.tracking.console import Console
    from recsys_cli.tracking.run_folder import open_run

    folder, console = open_run(named, root), Console(bars=progress)
    if recommendations is None:
        _again(folder, lists, device, console, as_json)
        return
    from recsys_cli.comparisons.lists import evaluate_file
    from recsys_cli.comparisons.runs import to_json

    report = evaluate_file(recommendations, folder, metric or (), progress=console)
    if as_json:
        output.write(json.dumps(report.to_json() | {"rows": to_json(report.rows)}))
    else:
        _show(report)


def _the_run(
    run: str | None,
    recommendations: Path | None,
    against: str | None,
    metric: list[str] | None,
    lists: Path | None,
    device: str | None,
) -> str:
    """The one run that is meant; what would be ignored is refused."""
    if run is None and recommendations is None:
        raise ConfigError("nothing to evaluate", "name a RUN, or --recommendations FILE")
    if recommendations is None:
        if against is not None or metric:
            said = "--against" if against is not None else "--metric"
            raise ConfigError(f"{said} goes with --recommendations", "see recsys compare-runs")
        assert run is not None
        return run
    if run is not None or lists is not None or device is not None:
        raise ConfigError(
            "with --recommendations no model is run: RUN, --lists and --device have no place",
            "name the run with --against",
        )
    if against is None:
        raise ConfigError(
            "--recommendations needs the run whose data and split it is measured with",
            "give --against RUN",
        )
    return against


def _again(
    folder: RunFolder, lists: Path | None, device: str | None, console: Progress, as_json: bool
) -> None:
    from recsys_cli import runs
    from recsys_cli.tracking.run_folder import save_lists

    if lists is not None and not folder.tested:
        raise ConfigError(
            f"the run {folder.name} was not measured on its test part, and lists are of that",
            "train its settings with recsys train",
        )
    ready = runs.reopen(runs.read_settings(folder, device=device), folder, progress=console)
    results = runs.remeasure(ready, progress=console)
    metrics = {part: result.metrics for part, result in results.items()}
    agreement = runs.agreement(metrics, folder)
    if lists is not None:
        targets, test = ready.split.test.targets, results["test"]
        if not test.ranked.shape[1]:
            raise ConfigError(
                f"the run {folder.name} is measured by the values it predicts: it has no lists",
                "leave --lists out",
            )
        save_lists(lists, targets.user_ids.decode(test.users), test.ranked, targets.item_ids)
    if as_json:
        told = {
            "run_dir": str(folder.path),
            "split_hash": ready.split.hash,
            "weights_sha256": folder.recorded["weights_sha256"],
            "metrics": metrics,
            "equal": agreement.largest == 0,
            "largest_difference": agreement.largest,
        }
        output.write(json.dumps(told))
        return
    summary.metrics(metrics)
    output.facts(
        [
            ("run", str(folder.path)),
            ("recorded", _in_words(agreement)),
            ("lists", "" if lists is None else str(lists)),
        ]
    )


def _in_words(agreement: Agreement) -> str:
    if agreement.largest == 0:
        return "the same metrics, bit for bit"
    return f"differs by up to {agreement.largest:.2g} (in {agreement.at})"


def _show(report: ListsReport) -> None:
    rows = []
    for key, value in report.metrics.items():
        interval = report.intervals.get(key)
        between = "" if interval is None else f"[{interval.low:.4f}, {interval.high:.4f}]"
        own = report.against.get(key)
        rows.append((key, f"{value:.4f}", between, "" if own is None else f"{own:.4f}"))
    output.table(("metric", "lists", "95 % interval", "run"), rows, numbers=True)
    compare_runs.show(report.rows)
    output.facts([("note", note) for note in report.notes])

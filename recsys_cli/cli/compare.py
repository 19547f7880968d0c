"""`recsys compare`: tune each model on its own, measure the best settings, and say what the differences are worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.catalogue import COMPARISON
from recsys_cli.cli import completion, listing, options, output
from recsys_cli.cli.compare_runs import Metrics
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from recsys_cli.comparisons.contest import Preset
    from recsys_cli.comparisons.standings import Comparison, Standing

COLUMNS = (
    "model",
    "mean",
    "95 % interval",
    "seeds",
    "to",
    "difference",
    "95 % interval",
    "d_z",
    "p (Holm)",
)
COSTS = ("model", "valid", "trials", "search s", "train s", "parameters", "beware")


def compare(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|OVERRIDE",
            help="Two or more models, and settings that all of them get, such as split.test_days=30.",
            autocompletion=completion.of_override,
            show_default=False,
        ),
    ] = None,
    data: options.Data = None,
    split: options.Split = None,
    device: options.Device = None,
    evaluation: options.Evaluation = None,
    tracking: options.Tracking = None,
    comparison: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="A comparison that is kept as a file; 'list' shows them.",
            autocompletion=completion.of_group(COMPARISON),
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Trials of each model's search. Default: 10.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Training time of each model's search, like 10m, instead of a number of trials.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="With how many seeds each best setting is trained. Default: 5.",
            show_default=False,
        ),
    ] = None,
    seed: options.Seed = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The one that the others are set against; else the first.",
            show_default=False,
        ),
    ] = None,
    metric: Metrics = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the comparison; the same command with the same name goes on where it stopped.",
            show_default=False,
        ),
    ] = None,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Tune each model by a search of its own with the same budget, and compare what they reach.

    Example: recsys compare mf deep --data=ml-100k --trials=20 --seeds=5
    """
    if comparison == "list":
        listing.names(COMPARISON, ("comparison", "what", "slides"), config_dir or ())
        return
    options.allow(allow_package)
    from recsys_cli.comparisons.contest import make_contest

    typed = models or []
    said = options.collect(
        [text for text in typed if "=" in text],
        seed=seed,
        data=data,
        split=split,
        device=device,
        evaluation=evaluation,
        tracking=tracking,
    )
    contest = make_contest(
        _preset(
            comparison,
            [text for text in typed if "=" not in text],
            trials,
            budget,
            seeds,
            config_dir or (),
        ),
        said,
        reference=reference,
        metrics=metric or (),
        name=name,
        config_dirs=config_dir or (),
    )
    from recsys_cli.comparisons import models as comparisons
    from recsys_cli.reports.comparison_page import comparison_page
    from recsys_cli.reports.sweep_page import sweep_page
    from recsys_cli.tracking.console import Console

    found = comparisons.compare(
        contest,
        progress=Console(bars=progress),
        draw=comparison_page,
        draw_search=sweep_page,
    )
    if as_json:
        output.write(json.dumps(found.to_json()))
    else:
        _show(found)


def _preset(
    name: str | None,
    models: list[str],
    trials: int | None,
    budget: str | None,
    seeds: int | None,
    config_dirs: Sequence[Path],
) -> Preset:
    """The file's comparison with what was typed over it."""
    from recsys_cli.comparisons.contest import Preset, read_preset

    if name is None and len(models) < 2:
        raise ConfigError(
            "a comparison needs two models or more",
            "such as: recsys compare mf deep --data=ml-100k, or give a --preset",
        )
    kept = Preset(models=models) if name is None else read_preset(name, config_dirs)
    if budget is not None and trials is None:  # instead of the number that the file has
        kept = kept.model_copy(update={"trials": None})
    typed = {"models": models or None, "trials": trials, "budget": budget, "seeds": seeds}
    return kept.model_copy(update={key: value for key, value in typed.items() if value is not None})


def _show(found: Comparison) -> None:
    """The table, what each cost, and the verdicts."""
    from recsys_cli.comparisons.models import PAGE

    output.facts([("metric", f"{found.metric} of the test users, each the mean over seeds")])
    output.table(COLUMNS, [_cells(found, each) for each in found.standings], numbers=True)
    output.table(COSTS, [_costs(each) for each in found.standings], numbers=True)
    output.facts(
        [
            *(("verdict", sentence) for sentence in found.verdicts),
            *((f"not {model}", why) for model, why in found.left_out.items()),
            *((each.model, each.command) for each in found.standings if each.kind == "tuned"),
            ("files", found.folder),
            ("page", str(Path(found.folder) / PAGE)),
            ("logged at", found.logged_at),
            ("open with", found.how_to_open),
        ]
    )


def _cells(found: Comparison, each: Standing) -> tuple[str, ...]:
    row = found.row(each.model)
    spread = "" if each.spread is None else f"±{each.spread:.4f}"
    return (each.model, *row.cells(), spread, row.against, *row.difference_cells())


def _costs(each: Standing) -> tuple[str, ...]:
    searched = (str(each.trials), f"{each.search_seconds:.1f}") if each.trials else ("", "")
    return (
        each.model,
        f"{each.valid:.4f}",
        *searched,
        f"{each.train_seconds:.2f}",
        f"{each.parameters:,}",
        each.mark,
    )

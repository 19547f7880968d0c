"""`recsys sweep`: search settings, and end with the best ones as a command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recsys_cli.catalogue import SPACES
from recsys_cli.cli import completion, options, output
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    from recsys_cli.sweeps.cluster import Cluster
    from recsys_cli.sweeps.results import Result, Row


def sweep(
    model: options.Model = None,
    data: options.Data = None,
    split: options.Split = None,
    device: options.Device = None,
    trainer: options.Trainer = None,
    evaluation: options.Evaluation = None,
    tracking: options.Tracking = None,
    preset: options.Preset = None,
    seed: options.Seed = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A ready search space, named after the model that it is for: what is given below is left to you.",
            autocompletion=completion.of_group(SPACES),
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="How many trials; with an interval this, --budget or --timeout is needed. "
            "Without any all points of the grid.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Begin no trial later than this after the start of the command, like 10m or 1h30m.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Begin no trial once all together have taken so long, those before an interruption too.",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[
        Literal["grid", "random", "tpe", "gp"] | None,
        typer.Option(
            help="What chooses the points. Without it grid, or tpe where --trials is given.",
            show_default=False,
        ),
    ] = None,
    pruner: Annotated[
        Literal["none", "median", "hyperband"],
        typer.Option(help="What gives trials up early, by validation after each epoch."),
    ] = "none",
    study: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the search; the same command with the same name goes on where it stopped.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Trials at once, each in a process of its own."),
    ] = 1,
    launcher: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="Where those processes run: here, of a thread each, or as tasks of a Ray cluster."
        ),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A Ray cluster that this machine is a part of, or auto to find it. Without it one that begins and ends "
            "with the command, on 127.0.0.1.",
            show_default=False,
        ),
    ] = None,
    trial_cpus: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Processors of a trial on a Ray cluster; without it 1.",
            show_default=False,
        ),
    ] = None,
    trial_gpus: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0,
            help="GPUs of a trial on a Ray cluster, such as 0.5 for two trials on each; without it none.",
            show_default=False,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="RECSYS_STORAGE",
            help="Where the study is kept, for other commands to share: postgresql://HOST/DATABASE, or "
            "sqlite:////FOLDER/FILE.db on one machine. Without it a file of the sweep's own.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the HTML page goes too; it is always kept in the sweep's folder.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="OVERRIDE",
            help="Any setting, and what to try: model.rank=16,32, 'model.rank=range(8,64,8)', "
            "'trainer.lr=tag(log, interval(1e-4, 1e-1))', 'model.rank=int(interval(8,512))'.",
            autocompletion=completion.of_override,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Search settings for the best validation metric, a run for each trial.

    Example: recsys sweep --model=mf model.rank=16,32,64

    Example: recsys sweep --model=mf --space=mf --trials=30 --pruner=median

    Example: recsys sweep --model=deep --space=deep --trials=40 --workers=4 --launcher=ray --trial-gpus=1
    """
    from recsys_cli.sweeps.limits import Limits, seconds
    from recsys_cli.sweeps.plan import make_plan

    limits = Limits(
        timeout=None if timeout is None else seconds(timeout, "--timeout"),
        budget=None if budget is None else seconds(budget, "--budget"),
    )
    options.allow(allow_package)
    plan = make_plan(
        options.collect(
            overrides,
            seed=seed,
            model=model,
            data=data,
            split=split,
            device=device,
            trainer=trainer,
            evaluation=evaluation,
            tracking=tracking,
            preset=preset,
        ),
        config_dirs=config_dir or (),
        ready=space,
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        limits=limits,
        name=study,
        workers=workers,
        storage=storage,
        cluster=_cluster(launcher, ray_address, trial_cpus, trial_gpus),
        options=_repeated(config_dir or (), allow_package or ()),
    )

    from recsys_cli.reports.sweep_page import sweep_page
    from recsys_cli.sweeps.sweep import PAGE, run
    from recsys_cli.tracking.console import Console

    asked = None if page is None else options.page(page)
    found = run(plan, progress=Console(bars=progress), draw=sweep_page)
    where = asked or plan.folder / PAGE
    if asked is not None or not where.exists():
        # One that joined the sweep from another machine, or an earlier version's sweep, has none yet.
        write_whole(where, sweep_page(found).encode())
    if as_json:
        output.write(json.dumps(found.to_json() | {"page": str(where)}))
    else:
        _show(found, where)


def _cluster(
    launcher: Literal["local", "ray"],
    address: str | None,
    cpus: int | None,
    gpus: float | None,
) -> Cluster | None:
    from recsys_cli.sweeps.cluster import Cluster

    if launcher == "ray":
        return Cluster(address, 1 if cpus is None else cpus, 0.0 if gpus is None else gpus)
    said = {"--ray-address": address, "--trial-cpus": cpus, "--trial-gpus": gpus}
    for option, value in said.items():
        if value is not None:
            raise ConfigError(f"{option}: only a Ray cluster has that", "add --launcher=ray")
    return None


def _repeated(config_dirs: Sequence[Path], packages: Sequence[str]) -> list[str]:
    """Options that `recsys train` must be given too."""
    return [
        *(f"--config-dir={folder}" for folder in config_dirs),
        *(f"--allow-package={package}" for package in packages),
    ]


def _show(found: Result, page: Path) -> None:
    keys = list(found.best.params)
    output.table(
        ("trial", found.metric, *keys, "seconds"),
        [_cells(row, keys) for row in found.trials],
        numbers=True,
    )
    output.facts(
        [
            ("best", found.command),
            ("importance", _importance(found)),
            ("study", f"{found.study}, {len(found.trials)} trials by {found.sampler}"),
            ("files", found.study_dir),
            ("page", str(page)),
            ("logged at", found.logged_at),
            ("open with", found.how_to_open),
        ]
    )


def _importance(found: Result) -> str:
    told = found.importances
    if not told.shares:
        return f"not told: {told.note}"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in told.shares.items())
    return f"{shares} ({told.note})"


def _cells(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    digits = 4 if output.on_terminal() else 6
    value = row.state if row.value is None else f"{row.value:.{digits}f}"
    value += " pruned" if row.state == "pruned" else ""
    return (str(row.number), value, *map(row.shown, keys), f"{row.seconds:.1f}")

"""`recsys train`: one experiment, from its settings to its table of metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_cli.cli import options, output, summary
from recsys_cli.errors import ConfigError
from recsys_cli.redact import HIDDEN

if TYPE_CHECKING:
    from recsys_cli.config import Config


def train(
    model: options.Model = None,
    data: options.Data = None,
    split: options.Split = None,
    device: options.Device = None,
    trainer: options.Trainer = None,
    evaluation: options.Evaluation = None,
    tracking: options.Tracking = None,
    preset: options.Preset = None,
    seed: options.Seed = None,
    run_dir: options.RunDir = None,
    resume: Annotated[
        str,
        typer.Option(
            "--resume",
            metavar="auto|never|RUN",
            help="auto: go on with the run in --run-dir, or begin it. RUN: go on with the run of this folder or "
            "name, with the settings that it has unless others are given.",
        ),
    ] = "never",
    allow_mismatch: Annotated[
        bool,
        typer.Option(
            "--allow-mismatch",
            help="Go on also with other versions, threads or hardware than those that it began with; "
            "the run is then marked as not exact.",
        ),
    ] = False,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the composed settings as YAML and stop.")
    ] = False,
    as_json: options.Json = False,
    progress: options.Bars = None,
    overrides: options.Overrides = None,
) -> None:
    """Train a model on a data set and measure it.

    Example: recsys train --model=mf --data=ml-100k trainer.lr=0.01
    """
    from recsys_cli import config

    options.allow(allow_package)
    said = options.collect(
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
    )
    settings = config.load(said, config_dir or ())
    if allow_mismatch and resume == "never":
        raise ConfigError("--allow-mismatch goes with --resume", "name what is to go on")
    if resume not in ("auto", "never"):
        run_dir, settings = _named(resume, run_dir, settings)
    if dry_run:
        output.write(json.dumps(settings.shown) if as_json else settings.yaml())
        return

    from recsys_cli import experiment
    from recsys_cli.tracking.console import Console

    console = Console(bars=progress)
    outcome = experiment.run(
        settings,
        run_dir=run_dir,
        progress=console,
        resume=resume != "never",
        allow_mismatch=allow_mismatch,
    )
    if as_json:
        output.write(json.dumps(outcome.to_json()))
    else:
        summary.show(outcome)


def _named(resume: str, run_dir: Path | None, given: Config) -> tuple[Path, Config]:
    """The folder of the run that is to go on, and its settings: its own where none are given."""
    from recsys_cli import unfinished

    if run_dir is not None:
        raise ConfigError("--resume=RUN names a folder, and so does --run-dir", "give one of them")
    begun = unfinished.named(resume, Path(given.tree["root"]))
    if given.overrides:
        return begun.folder, given
    if HIDDEN in str(begun.config.tree["tracking"].get("uri")):
        raise ConfigError(
            f"the run {begun.folder} wrote its tracking.uri down without the credentials",
            f"repeat the command that began it, with --run-dir={begun.folder} --resume=auto",
        )
    return begun.folder, replace(begun.config, folders=given.folders)

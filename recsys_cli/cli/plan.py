"""`recsys plan`: what a training will take, without it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from recsys_cli.cli import options, output
from recsys_cli.errors import ResourceError
from recsys_cli.resources import in_words

if TYPE_CHECKING:
    from recsys_cli.planning.plan import Phase, Plan

MINUTE, HOUR = 60, 3600


def plan(
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
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
    overrides: options.Overrides = None,
) -> None:
    """Tell the time, memory and disk that a training will take, from a few seconds of it; exit code 4: it does not fit.

    Example: recsys plan --model=seq --data=ml-1m trainer.batch_size=8192
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

    from recsys_cli.planning import plan as planning
    from recsys_cli.tracking.console import Console

    made = planning.plan(settings, folder=run_dir, progress=Console(bars=progress))
    if as_json:
        output.write(json.dumps(made.to_json()))
    else:
        _show(made)
    if not made.fits:
        raise typer.Exit(ResourceError.exit_code)


def _show(made: Plan) -> None:
    heads = ("phase", "once", "times", "in all", "memory", "disk")
    output.table(heads, [_row(phase) for phase in made.phases], numbers=True)
    output.facts(
        [
            ("time", "not known" if made.seconds is None else _range(*made.seconds)),
            ("memory", _of(made.memory, made.room, made.bound)),
            ("disk", _of(made.disk, made.free_disk, "the disk")),
            *(("assumed", text) for text in made.assumed),
            ("verdict", verdict(made)),
        ],
        wrap=True,
    )


def _row(phase: Phase) -> tuple[str, ...]:
    once, counted = phase.seconds, (phase.least, phase.most)
    return (
        phase.name,
        "?" if once is None else in_time(once),
        "" if counted == (1, 1) else f"{phase.least}-{phase.most}",
        "?" if once is None else _range(once * phase.least, once * phase.most),
        in_words(phase.memory) if phase.memory else "",
        in_words(phase.disk) if phase.disk else "",
    )


def verdict(made: Plan) -> str:
    """`fits`, or what is too little and what would help."""
    if made.fits:
        return "fits"
    if made.free_disk is not None and made.disk > made.free_disk:
        return f"does not fit: {in_words(made.disk)} of {in_words(made.free_disk)} on the disk; make room"
    short = f"does not fit: {in_words(made.memory)} of {in_words(made.room or 0)} in {made.bound}"
    if made.advice:
        return f"{short}; try {', or '.join(advice.override for advice in made.advice)}"
    return f"{short}; no single setting makes it fit: take less data, another model, or more memory"


def _of(needed: int, there: int | None, where: str) -> str:
    return (
        in_words(needed) if there is None else f"{in_words(needed)} of {in_words(there)} in {where}"
    )


def _range(least: float, most: float) -> str:
    low, high = in_time(least), in_time(most)
    return low if low == high else f"{low} to {high}"


def in_time(seconds: float) -> str:
    """Seconds as people say them: 0.02 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if round(seconds, 1) < MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    minutes = round(seconds / MINUTE)
    return f"{minutes // MINUTE} h {minutes % MINUTE} min"

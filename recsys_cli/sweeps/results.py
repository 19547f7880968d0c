"""What a sweep found: its trials, best first, what they tell of the settings, and the command that repeats the best."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from optuna.distributions import CategoricalDistribution

from recsys_cli.errors import DivergedError
from recsys_cli.redact import redact, redact_all
from recsys_cli.sweeps.importances import Importances, importances
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.space import Axis, Scale
from recsys_cli.sweeps.study import Study, Trial
from recsys_cli.tracking.run_folder import HISTORY, METRICS, read_record
from recsys_cli.tracking.under_way import epochs

MOST_CURVES = 8  # of the best trials


@dataclass(frozen=True)
class Row:
    """One trial as it is reported.

    Attributes:
        number: Counted from 0; its files are in `trial-NNN`.
        state: `finished`, `pruned` (given up before its last epoch) or `diverged`.
        value: The validation metric, of a pruned trial that of its last epoch; None where it diverged.
        seconds: Wall time of the run, or of what was left of it where it was cut off.
        params: Searched key -> value.
        overrides: What `recsys train` repeats it with.
        run_id: Its tracked run.
        run_dir: Its files.
    """

    number: int
    state: str
    value: float | None
    seconds: float
    params: dict[str, Any]
    overrides: list[str]
    run_id: str
    run_dir: str

    def shown(self, key: str) -> str:
        """Enough of a setting's value to compare trials by eye; the overrides have all of it."""
        value = self.params[key]
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Searched:
    """A setting that was searched.

    Attributes:
        name: Its key.
        typed: What stood right of `=`.
        scale: How its values are laid out.
        choices: All values to choose from, in order; None where the scale is of numbers.
    """

    name: str
    typed: str
    scale: Scale
    choices: list[Any] | None


@dataclass(frozen=True)
class Curve:
    """What validation said of a trial after each epoch."""

    trial: int
    epochs: list[int]
    values: list[float]


@dataclass(frozen=True)
class Result:
    """What a sweep ends with; `sweep.json` and `--json` hold the same.

    Attributes:
        study: Its name.
        study_dir: Where its files are.
        sampler: What proposed the points.
        pruner: What gave trials up.
        metric: What was searched by, of the validation part.
        better: Which direction of it is an improvement.
        run_id: The tracked run of the sweep.
        best: The first of the trials.
        command: Trains the best setting again.
        trials: All that came to an end, best first.
        importances: Which settings the value hangs on.
        searched: The settings.
        curves: Of the best trials, where they validate after epochs and their files or reports are at hand.
        protocol: How it was searched and measured, in words.
        environment: Versions and hardware of the best trial.
        logged_at: Where the runs are recorded.
        how_to_open: The command that shows them.
    """

    study: str
    study_dir: str
    sampler: str
    pruner: str
    metric: str
    better: Literal["higher", "lower"]
    run_id: str
    best: Row
    command: str
    trials: list[Row]
    importances: Importances
    searched: list[Searched]
    curves: list[Curve]
    protocol: dict[str, str]
    environment: dict[str, str]
    logged_at: str
    how_to_open: str

    @property
    def has_best(self) -> bool:
        """Whether a trial came to its end with a value."""
        return self.best.state == "finished"

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields, without secrets."""
        return dict(redact_all(asdict(self)))


def result(plan: Plan, study: Study) -> Result:
    """All trials that came to an end, best first, and what they tell."""
    ended = {trial.number: trial for trial in study.trials() if trial.state != "running"}
    rows = [_row(plan, trial) for trial in ended.values()]
    rows.sort(
        key=lambda row: (
            row.state == "finished",
            -math.inf if row.value is None else study.goodness(row.value),
            -row.number,
        ),
        reverse=True,
    )
    best, notes = rows[0], study.notes
    recorded = _record_of(plan, best)
    curves = [_curve(plan, ended[row.number]) for row in rows[:MOST_CURVES]]
    return Result(
        study=plan.name,
        study_dir=str(plan.folder),
        sampler=plan.sampler,
        pruner=plan.pruner,
        metric=f"valid_{plan.metric}",
        better=plan.better,
        run_id=notes["run_id"],
        best=best,
        command=redact(shlex.join(["recsys", "train", *plan.options, *best.overrides])),
        trials=rows,
        importances=importances(study),
        searched=[_searched(axis) for axis in plan.space.axes],
        curves=[curve for curve in curves if len(curve.epochs) > 1],
        protocol=_protocol(plan, recorded),
        environment={str(key): str(told) for key, told in recorded.get("device", {}).items()},
        logged_at=notes["logged_at"],
        how_to_open=notes["how_to_open"],
    )


def refuse_without_best(found: Result) -> None:
    """See that there is a setting to go on with.

    Raises:
        DivergedError: No trial came to its end with a value.
    """
    if found.has_best:
        return
    pruned = any(row.state == "pruned" for row in found.trials)
    how = "diverged or were pruned" if pruned else "diverged"
    raise DivergedError(
        f"all {len(found.trials)} trials {how}, see {found.study_dir}", "search smaller steps"
    )


def _row(plan: Plan, trial: Trial) -> Row:
    return Row(
        number=trial.number,
        state=trial.state,
        value=trial.value,
        seconds=trial.facts["seconds"],
        params={axis.name: _plain(axis.text(trial.point[axis.key])) for axis in plan.space.axes},
        overrides=plan.space.overrides(trial.point),
        run_id=trial.facts["run_id"],
        run_dir=str(plan.trial_folder(trial.number)),
    )


def _plain(text: str) -> Any:
    """The value of an override's text where it is a number or the like, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _searched(axis: Axis) -> Searched:
    choices: Sequence[str] | None = None
    if isinstance(axis.distribution, CategoricalDistribution):
        choices = axis.values
    return Searched(
        name=axis.name,
        typed=axis.typed.partition("=")[2],
        scale=axis.scale,
        choices=None if choices is None else [_plain(text) for text in choices],
    )


def _record_of(plan: Plan, row: Row) -> dict[str, Any]:
    """What the run of a trial recorded; nothing where it did not finish or its files are on another machine."""
    path = plan.trial_folder(row.number) / METRICS
    return read_record(path) if row.state == "finished" and path.exists() else {}


def _curve(plan: Plan, trial: Trial) -> Curve:
    """From the trial's own journal, or from what the study was told where its files are on another machine."""
    key = f"valid_{plan.metric}"
    journal = epochs(plan.trial_folder(trial.number) / HISTORY)
    told = {entry["epoch"]: entry[key] for entry in journal if key in entry} or trial.reports
    return Curve(trial.number, list(told), list(told.values()))


def _protocol(plan: Plan, recorded: dict[str, Any]) -> dict[str, str]:
    limits = {"timeout": plan.limits.timeout, "budget": plan.limits.budget}
    searched = {axis.name for axis in plan.space.axes}
    settings = {
        group: name
        for group, name in plan.settings.choices.items()
        if name != "None" and group not in searched  # Hydra's word for none
    }
    told = {
        "chosen by": f"{plan.metric} of the validation part, {plan.better} is better; the test part is not looked at",
        "sampler": plan.sampler,
        "pruner": plan.pruner,
        "trials asked for": "as many as time allows" if plan.total is None else str(plan.total),
        **{name: f"{seconds:g} s" for name, seconds in limits.items() if seconds is not None},
        "processes": str(plan.workers),
        "seed": str(plan.settings.tree["seed"]),
        **settings,
        "split hash": str(recorded.get("split_hash", "")),
        "leaks": str(recorded["leaks"] or "none known") if recorded else "",
    }
    return {what: words for what, words in told.items() if words}

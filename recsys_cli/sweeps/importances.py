"""How much each searched setting matters: functional ANOVA over the finished trials (Hutter et al. 2014).

Optuna's default, PED-ANOVA, looks at the best tenth of the trials alone, which are two or three of most searches. Its
fANOVA takes settings as they are, and a learning rate searched by its logarithm then counts for almost nothing: here
each setting goes in on the scale on which it is searched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from recsys_cli.sweeps.space import Axis
from recsys_cli.sweeps.study import Study, Trial

LEAST_TRIALS, TRIALS_A_SETTING = 10, 4  # below them a setting without any effect may come first
TREES = 16  # 64, Optuna's number, take four times as long and say the same
MOST_TRIALS = 300  # the time grows with the square of them
SEED = 0


@dataclass(frozen=True)
class Importances:
    """Shares of the variance of the trials' values.

    Attributes:
        shares: Setting -> its share of what the settings explain one by one, the greatest first; they add up to 1.
            Empty where they would mean nothing.
        note: How they were found, or why there are none.
    """

    shares: dict[str, float]
    note: str


def importances(study: Study) -> Importances:
    """Which settings the value hangs on, as far as the finished trials tell."""
    valued = [
        trial for trial in study.trials() if trial.state == "finished" and trial.value is not None
    ]
    axes = [axis for axis in study.space.axes if len(_seen(axis, valued)) > 1]
    if why := _why_none(axes, valued):
        return Importances({}, why)
    every = -(-len(valued) // MOST_TRIALS)
    used = valued[::every]
    shares = _fanova(axes, used)
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return Importances(dict(ranked), f"fANOVA over {len(used)} finished trials")


def _seen(axis: Axis, trials: list[Trial]) -> set[str]:
    return {axis.text(trial.point[axis.key]) for trial in trials}


def _why_none(axes: list[Axis], valued: list[Trial]) -> str:
    """Why shares would mean nothing; empty where they mean something."""
    needed = max(LEAST_TRIALS, TRIALS_A_SETTING * len(axes))
    if len(axes) < 2:
        return "fewer than two settings differ between the finished trials: there is nothing to share out"
    if len(valued) < needed:
        return f"too few trials: {len(valued)} finished, and {len(axes)} settings need {needed}"
    if len({trial.value for trial in valued}) == 1:
        return "all finished trials have the same value"
    return ""


def _fanova(axes: list[Axis], trials: list[Trial]) -> dict[str, float]:
    scales = {axis.name: _scale(axis) for axis in axes}
    keys = {axis.name: axis.key for axis in axes}
    record = optuna.create_study()
    record.add_trials(
        [
            optuna.trial.create_trial(
                value=trial.value,
                params={name: on(trial.point[keys[name]]) for name, (_, on) in scales.items()},
                distributions={name: distribution for name, (distribution, _) in scales.items()},
            )
            for trial in trials
        ]
    )
    found = get_param_importances(
        record, evaluator=FanovaImportanceEvaluator(n_trees=TREES, seed=SEED)
    )
    return {name: float(share) for name, share in found.items()}


def _scale(axis: Axis) -> tuple[Any, Callable[[Any], Any]]:
    """The distribution of a setting on its own scale, and what brings a value to it; numbers to choose from are in order."""
    if axis.scale == "log":
        low, high = axis.distribution.low, axis.distribution.high  # type: ignore[attr-defined]
        return FloatDistribution(math.log(low), math.log(high)), math.log
    if axis.scale == "choices" and axis.values is not None and all(map(_is_number, axis.values)):
        order = sorted(axis.values, key=float)
        return IntDistribution(0, len(order) - 1), order.index
    return axis.distribution, lambda value: value


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

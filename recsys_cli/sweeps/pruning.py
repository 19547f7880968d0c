"""Which trials are given up before their last epoch.

A verdict depends on the epochs that trials have reported, which the study keeps, and on nothing that a pruner
remembers: a search that was cut off and continued gives up the same trials as one that was not.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Literal
from zlib import crc32

from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

PrunerName = Literal["none", "median", "hyperband"]
ETA = 3  # of so many trials that reach a rung one goes on


def make_pruner(name: PrunerName, epochs: int) -> BasePruner:
    """A pruner for trials of at most so many epochs."""
    if name == "hyperband":
        return Hyperband(epochs)
    return MedianPruner() if name == "median" else NopPruner()


class Hyperband(BasePruner):
    """Successive halving in brackets that begin to choose at different epochs (Li et al. 2018), without waiting.

    Optuna's own keeps in the study how far each trial has come, before it gives its verdict: killed between the two,
    a trial would be judged otherwise when it is run again. Here that is read from the reported epochs.

    Args:
        epochs: Most epochs of a trial.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self.brackets = 1
        while ETA**self.brackets <= epochs:
            self.brackets += 1
        # A bracket that chooses early tries more settings for the same work.
        shares = [math.ceil(self.brackets * ETA**s / (s + 1)) for s in range(self.brackets)]
        self._until = list(accumulate(reversed(shares)))

    def bracket(self, number: int) -> int:
        """The bracket of a trial; its first rung is at epoch 3 to this power."""
        place = crc32(str(number).encode()) % self._until[-1]
        return next(b for b, until in enumerate(self._until) if place < until)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the epoch reported last is a rung at which the trial is not among the best third."""
        epoch, rung = trial.last_step, self._rung(trial)
        if epoch is None or rung is None:
            return False
        bracket = self.bracket(trial.number)
        sign = -1 if study.direction is StudyDirection.MINIMIZE else 1
        others = (
            _reached(other, rung)
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and self.bracket(other.number) == bracket
        )
        mine = sign * trial.intermediate_values[epoch]
        values = sorted([mine, *(sign * value for value in others if value is not None)])
        return mine < values[-max(1, len(values) // ETA)]

    def _rung(self, trial: FrozenTrial) -> int | None:
        """The highest rung that the last report is the first one to reach."""
        *before, last = [0, *sorted(trial.intermediate_values)]
        rungs = (ETA**power for power in range(self.bracket(trial.number), self.brackets))
        at_last = min(last, self._epochs - 1)  # after its last epoch there is nothing to give up
        new = [rung for rung in rungs if max(before, default=0) < rung <= at_last]
        return max(new, default=None)


def _reached(trial: FrozenTrial, rung: int) -> float | None:
    """The value of the first report at or after a rung."""
    epochs = [epoch for epoch in trial.intermediate_values if epoch >= rung]
    return trial.intermediate_values[min(epochs)] if epochs else None

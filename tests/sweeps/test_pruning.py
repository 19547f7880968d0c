"""Which trials are given up, held against Optuna's pruners where those remember nothing that a kill could falsify."""

from __future__ import annotations

import random
from collections import Counter

import optuna
import pytest
from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState, create_trial

from recsys_cli.sweeps.pruning import Hyperband, make_pruner

EPOCHS = 27


def curves(n_trials: int, seed: int) -> list[list[float]]:
    chance = random.Random(seed)
    tops = [chance.random() for _ in range(n_trials)]
    return [
        [top * (1 - 0.8**epoch) + 0.05 * chance.random() for epoch in range(1, EPOCHS)]
        for top in tops
    ]


def pruned_at(pruner, values: list[list[float]], direction: str = "maximize") -> list[int | None]:
    """The epoch at which each trial is given up, one trial after another."""
    study, found = optuna.create_study(direction=direction, pruner=pruner), []
    for curve in values:
        trial, at = study.ask(), None
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
            if trial.should_prune():
                at = epoch
                break
        found.append(at)
        if at is None:
            study.tell(trial, curve[-1])
        else:
            study.tell(trial, state=TrialState.PRUNED)
    return found


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("seed", range(5))
def test_in_one_bracket_it_is_successive_halving(monkeypatch, seed, direction):
    monkeypatch.setattr(Hyperband, "bracket", lambda *_: 1)
    values = curves(30, seed)
    twin = SuccessiveHalvingPruner(min_resource=1, reduction_factor=3, min_early_stopping_rate=1)

    found = pruned_at(Hyperband(EPOCHS), values, direction)

    assert found == pruned_at(twin, values, direction)
    assert {at for at in found if at is not None} == {3, 9}


def test_brackets_that_choose_early_get_more_trials():
    pruner = Hyperband(EPOCHS)
    counts = Counter(pruner.bracket(number) for number in range(3000))

    assert pruner.brackets == 4
    assert sorted(counts, key=counts.__getitem__, reverse=True) == [0, 1, 2, 3]
    assert 0.4 < counts[0] / 3000 < 0.6


def test_trials_are_measured_against_those_of_their_bracket_only():
    pruner = Hyperband(EPOCHS)
    study = optuna.create_study(direction="maximize")
    # One beside it in its bracket, with 0.1 after the first epoch; all others are better, in other brackets.
    last = next(number for number in range(9, 99) if pruner.bracket(number) == 0)
    beside = next(number for number in range(last) if pruner.bracket(number) == 0)
    for number in range(last):
        same = number == beside or pruner.bracket(number) > 0
        reports = {} if not same else {1: 0.1 if number == beside else 1.0}
        study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=reports))

    verdicts = []
    for value in (0.2, 0.05):
        trial = create_trial(state=TrialState.RUNNING, intermediate_values={1: value})
        trial.number = last
        verdicts.append(pruner.prune(study, trial))
    assert verdicts == [False, True]


def test_nothing_is_given_up_after_its_last_epoch_or_before_its_first():
    study = optuna.create_study(direction="maximize")
    for _ in range(9):
        study.add_trial(
            create_trial(state=TrialState.COMPLETE, value=1.0, intermediate_values={1: 1.0, 2: 1.0})
        )
    pruner = Hyperband(2)
    for reports, verdict in (({}, False), ({1: 0.1}, True), ({1: 0.1, 2: 0.1}, False)):
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=reports)
        trial.number = 9
        assert pruner.prune(study, trial) is verdict


def test_the_others_are_optunas():
    assert isinstance(make_pruner("median", 10), MedianPruner)
    assert isinstance(make_pruner("none", 10), NopPruner)
    assert make_pruner("hyperband", 100).brackets == 5

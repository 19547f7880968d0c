"""Importances: known functions of settings, and when nothing is told."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from recsys_cli.sweeps import space
from recsys_cli.sweeps.importances import MOST_TRIALS, importances
from recsys_cli.sweeps.study import Trial


@dataclass
class Tried:
    """What `importances` looks at of a study."""

    space: space.Space
    points: list[Trial] = field(default_factory=list)

    def trials(self):
        return self.points


def tried(overrides, value, n, states=("finished",), seed=0):
    made, draw = Tried(space.read(overrides)), random.Random(seed)
    for number in range(n):
        point = {}
        for axis in made.space.axes:
            if axis.values is not None:
                point[axis.key] = axis.drawn(draw.choice(axis.values))
            else:
                low, high = axis.distribution.low, axis.distribution.high
                at = draw.random()
                point[axis.key] = (
                    low * (high / low) ** at if axis.scale == "log" else low + (high - low) * at
                )
        made.points.append(Trial(number, point, states[number % len(states)], value(point)))
    return importances(made)


LR = "trainer.lr=tag(log, interval(1e-5, 1.0))"
L2 = "model.l2=interval(0.0, 0.1)"


def test_the_setting_on_which_all_hangs_comes_first_and_shares_add_up():
    found = tried([L2, "model.rank=8,16,32,64", LR], lambda p: float(p["model.rank"]), 40)

    assert next(iter(found.shares)) == "model.rank"
    assert found.shares["model.rank"] > 0.9
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.note == "fANOVA over 40 finished trials"


def test_a_learning_rate_counts_by_its_logarithm():
    def value(
        point,
    ):  # whether it is below 0.001: half of the decades, a thousandth of the interval
        return (point["trainer.lr"] < 10**-2.5) + 2 * point["model.l2"]

    assert tried([LR, L2], value, 40).shares["trainer.lr"] > 0.8


def test_a_setting_that_is_added_is_called_by_its_name():
    found = tried(["+model.extra=interval(0.0,1.0)", L2], lambda p: p["+model.extra"], 20)
    assert list(found.shares) == ["model.extra", "model.l2"]


def test_of_very_many_trials_some_are_looked_at():
    found = tried([L2, LR], lambda p: p["model.l2"], 2 * MOST_TRIALS - 1)
    assert found.note == f"fANOVA over {MOST_TRIALS} finished trials"


@pytest.mark.parametrize(
    ("overrides", "value", "n", "states", "why"),
    [
        ([L2, LR], 0, 9, ["finished"], "too few trials: 9 finished, and 2 settings need 10"),
        ([L2, LR], 0, 20, ["finished", "pruned", "diverged"], "too few trials: 7 finished"),
        ([L2], 0, 40, ["finished"], "nothing to share out"),
        ([L2, "model.rank=choice(8)"], 0, 40, ["finished"], "nothing to share out"),
        ([L2, LR], None, 40, ["finished"], "all finished trials have the same value"),
        ([L2, LR], 0, 40, ["diverged"], "nothing to share out"),
    ],
)
def test_where_it_would_mean_nothing_nothing_is_told(overrides, value, n, states, why):
    found = tried(overrides, lambda p: 0.5 if value is None else p["model.l2"], n, states=states)

    assert found.shares == {}
    assert why in found.note

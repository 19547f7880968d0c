"""What is decided and refused before a sweep begins."""

from __future__ import annotations

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.sweeps.limits import Limits
from recsys_cli.sweeps.plan import make_plan

BASE = ["model=mf", "data=demo"]
FINITE = [*BASE, "model.rank=16,32,64"]
ENDLESS = [*BASE, "model.rank=16,32", "trainer.lr=tag(log, interval(1e-4, 1e-1))"]


@pytest.mark.parametrize(
    ("overrides", "options", "sampler", "total"),
    [
        (FINITE, {}, "grid", 3),
        (FINITE, {"sampler": "grid"}, "grid", 3),
        (FINITE, {"trials": 2}, "tpe", 2),
        (FINITE, {"trials": 3, "sampler": "random"}, "random", 3),
        (ENDLESS, {"trials": 20}, "tpe", 20),
        (ENDLESS, {"trials": 20, "sampler": "random"}, "random", 20),
        (ENDLESS, {"trials": 20, "sampler": "gp", "limits": Limits(budget=9)}, "gp", 20),
        (ENDLESS, {"limits": Limits(budget=9)}, "tpe", None),
        (FINITE, {"limits": Limits(timeout=9)}, "grid", 3),
    ],
)
def test_sampler_and_number_of_trials(overrides, options, sampler, total):
    plan = make_plan(overrides, **options)

    assert (plan.sampler, plan.total) == (sampler, total)


@pytest.mark.parametrize(
    ("overrides", "options", "words"),
    [
        (BASE, {}, "nothing to search"),
        (
            ["model=ease", "data=demo", "model.l2=1.0,2.0"],
            {"pruner": "median"},
            "--pruner median: ease learns in one go, without epochs to compare",
        ),
        (
            [*BASE, "trainer.epochs=2,4"],
            {"pruner": "hyperband"},
            "--pruner hyperband shares out trainer.epochs, and that is searched",
        ),
        (
            ENDLESS,
            {},
            "trainer.lr=tag(log, interval(1e-4, 1e-1)): how many trials?; give --trials N, or --budget or --timeout",
        ),
        (ENDLESS, {"sampler": "grid", "trials": 5}, "an interval has no grid"),
        (FINITE, {"sampler": "random"}, "--sampler random: how many trials?"),
        (FINITE, {"sampler": "grid", "trials": 2}, "a grid runs all its 3 points"),
        (FINITE, {"trials": 4}, "has only 3 points"),
        (FINITE, {"name": "../up"}, "'../up' is not a name"),
        (FINITE, {"name": ".."}, "'..' is not a name"),
        (FINITE, {"name": ""}, "'' is not a name"),
        ([*BASE, "model.rnk=1,2"], {}, "did you mean 'model.rank'"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(tmp_path, monkeypatch, overrides, options, words):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError) as caught:
        make_plan(overrides, **options)

    assert words in caught.value.line
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_named_study_has_its_folder_under_root():
    plan = make_plan([*FINITE, "root=elsewhere"], name="mine")

    assert plan.folder.as_posix() == "elsewhere/sweeps/mine"
    assert plan.trial_folder(7).name == "trial-007"


def test_studies_without_a_name_never_meet():
    names = {make_plan(FINITE).name for _ in range(2)}

    assert len(names) == 2
    assert all(name.startswith("mf-demo-") for name in names)

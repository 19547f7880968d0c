"""Every model has a ready search space, whose every value and end its settings take."""

from __future__ import annotations

import pytest

from recsys_cli import catalogue
from recsys_cli.sweeps.plan import make_plan

MODELS = [entry.name for entry in catalogue.entries("model") if catalogue.keys(entry.path)]
RATINGS = {"baseline", "knn_baseline", "svd", "nmf"}


def test_every_model_that_has_settings_has_a_space_and_no_space_is_without_a_model():
    assert catalogue.names(catalogue.SPACES) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_a_ready_space_composes_and_is_worth_a_search(name):
    judged = ["evaluation=ratings", "evaluation.primary=rmse"] if name in RATINGS else []
    plan = make_plan([f"model={name}", "data=demo", *judged], ready=name, trials=5)

    assert plan.settings.choices["model"] == name
    assert plan.space.size is None or plan.space.size >= 20
    assert all(axis.name.split(".")[0] in ("model", "trainer") for axis in plan.space.axes)


@pytest.mark.parametrize("name", MODELS)
def test_a_ready_space_has_the_default_in_it(name):
    plan = make_plan([f"model={name}", "data=demo"], ready=name, trials=5)
    for axis in plan.space.axes:
        group, _, key = axis.name.partition(".")
        chosen = catalogue.chosen({"model": name})[group]
        file = catalogue.find(group, chosen).path
        default = next(found.default for found in catalogue.keys(file) if found.name == key)
        text = default.replace(" ", "")
        assert text in axis.ends or axis.distribution._contains(
            axis.distribution.to_internal_repr(axis.drawn(text))
        ), axis.typed

"""A comparison before it begins: what is refused, and what each model is told."""

from dataclasses import replace

import pytest

from recsys_cli import catalogue
from recsys_cli.comparisons.contest import Preset, digest, make_contest, read_preset
from recsys_cli.errors import ConfigError

BASE = ["data=demo", "tracking=none"]
SPACES = {"mf": ["model.rank=8,16"], "deep": ["model.dim=8,16"], "ease": ["model.l2=10,100"]}


def contest(models=("mf", "deep"), overrides=BASE, **more):
    preset = {"trials": 2, "spaces": SPACES}
    preset |= {name: more.pop(name) for name in ("trials", "seeds", "spaces") if name in more}
    return make_contest(Preset(models=list(models), **preset), overrides, name="c", **more)


def test_each_model_is_searched_in_its_ready_space_with_the_same_budget():
    made = contest(trials=7, spaces={})

    assert list(made.searches) == ["mf", "deep"]
    assert {plan.total for plan in made.searches.values()} == {7}
    keys = [axis.name for axis in made.searches["deep"].space.axes]
    assert "model.widths" in keys
    assert "trainer.lr" in keys


def test_a_space_with_fewer_points_than_trials_is_searched_to_its_end():
    plan = contest(trials=7).searches["mf"]
    assert (plan.sampler, plan.total) == ("grid", 2)


def test_a_budget_stands_instead_of_a_number_of_trials():
    kept = Preset(models=["mf", "deep"], budget="90s")
    plans = make_contest(kept, BASE, name="c").searches.values()
    assert [(plan.total, plan.limits.budget) for plan in plans] == [(None, 90.0), (None, 90.0)]


def test_simple_models_stand_beside_the_tuned_ones_unless_they_are_tuned_themselves():
    assert list(contest().yardsticks) == ["popularity", "recent_popularity", "ease"]
    assert list(contest(["mf", "ease"]).yardsticks) == ["popularity", "recent_popularity"]


def test_settings_of_models_and_trainers_go_to_the_tuned_models_only():
    made = contest(overrides=[*BASE, "trainer.epochs=3", "data.events=2000"])

    assert "trainer.epochs=3" in made.searches["mf"].space.fixed
    assert "trainer.epochs=3" not in made.overrides
    assert "data.events=2000" in made.overrides


VARIANTS = {
    "plain": ["model=seq", "model.context=[]"],
    "timed": ["model=seq", "model.context=[hour]"],
}


def test_a_variant_is_a_model_with_settings_and_searched_in_the_same_space_as_its_model():
    kept = Preset(models=["plain", "timed"], variants=VARIANTS, trials=2)
    made = make_contest(kept, [*BASE, "model.context=[gap]", "model.dim=8"], name="c")

    plain, timed = made.searches.values()
    assert [p.settings.tree["model"]["context"] for p in (plain, timed)] == [[], ["hour"]]
    assert [p.settings.tree["model"]["dim"] for p in (plain, timed)] == [8, 8]
    assert plain.space.axes == timed.space.axes
    assert (made.reference, plain.settings.choices["model"]) == ("plain", "seq")
    assert (made.run_folder("timed", 0).name, plain.name) == ("timed-seed-0", "c-plain")


def test_a_variant_may_be_another_on_another_data_set_and_stand_there_to_be_beaten():
    kept = Preset(
        models=["plain", "timed"],
        variants=VARIANTS | {"slow": ["model=recent_popularity", "model.window_days=99"]},
        yardsticks=["slow"],
        per_data={"demo": {"timed": ["model.context=[weekday]"], "slow": ["model.window_days=9"]}},
        trials=2,
    )
    made = make_contest(kept, BASE, name="c")
    assert made.searches["timed"].settings.tree["model"]["context"] == ["weekday"]
    assert made.yardsticks["slow"][:2] == ("model=recent_popularity", "model.window_days=9")
    elsewhere = make_contest(kept, ["tracking=none"], name="c")
    assert elsewhere.searches["timed"].settings.tree["model"]["context"] == ["hour"]


def test_a_variant_may_be_set_against_another_than_the_reference():
    kept = Preset(models=["mf", "plain", "timed"], variants=VARIANTS, against={"timed": "plain"})
    made = make_contest(kept, BASE, name="c")
    assert (made.reference, made.against) == ("mf", {"timed": "plain"})
    assert (
        make_contest(kept, BASE, name="c", reference="plain").against == {}
    )  # said by whom it is typed
    fewer = kept.model_copy(update={"models": ["mf", "timed"]})
    assert make_contest(fewer, BASE, name="c").against == {}
    wrong = kept.model_copy(update={"against": {"timed": "plian"}})
    with pytest.raises(ConfigError, match="against: there is no plian"):
        make_contest(wrong, BASE, name="c")


def test_seeds_are_counted_from_the_one_that_was_said():
    assert contest(overrides=[*BASE, "seed=7"], seeds=3).seeds == (7, 8, 9)


def test_the_metric_that_is_tuned_for_comes_first():
    assert contest(metrics=["recall_at_20", "ndcg_at_10"]).metrics == ("ndcg_at_10", "recall_at_20")


def test_what_is_typed_goes_over_the_file():
    kept = Preset(
        models=["mf", "deep"], overrides=["data=ml-20m", "filter=positives"], spaces=SPACES
    )
    made = make_contest(kept, ["tracking=none", "data=demo"], name="c")

    assert made.overrides == ("filter=positives", "tracking=none", "data=demo")
    assert made.settings.choices["data"] == "demo"


def test_what_changes_the_numbers_changes_the_definition():
    made = contest()
    others = [
        contest(),
        replace(made, seeds=(0, 1)),
        replace(made, reference="deep"),
        replace(made, against={"deep": "mf"}),
        replace(made, yardsticks={}),
        contest(trials=1),
        contest(overrides=[*BASE, "data.events=2000"]),
        contest(spaces=SPACES | {"mf": ["model.rank=8,32"]}),
    ]
    same = [digest(other.definition) == digest(made.definition) for other in others]
    assert same == [True, *[False] * 7]


@pytest.mark.parametrize(
    ("models", "more", "says"),
    [
        (["mf", "mf"], {}, "mf is named twice"),
        (["mf", "depe"], {}, "deep"),
        (["mf", "deep"], {"reference": "def"}, "--reference def"),
        (["mf", "deep"], {"overrides": [*BASE, "model.rank=8"]}, "model.rank"),
        (["mf", "deep"], {"overrides": ["data=nope"]}, "nope"),
        (["mf", "deep"], {"spaces": SPACES | {"mf": ["model.rang=8,16"]}}, "rang"),
    ],
)
def test_what_cannot_be_compared_is_one_line(models, more, says):
    with pytest.raises(ConfigError) as refused:
        contest(models, **more)
    assert says in refused.value.line
    assert "\n" not in refused.value.line


@pytest.mark.parametrize("name", catalogue.names(catalogue.COMPARISON))
def test_every_comparison_of_ours_can_be_begun(name):
    preset = read_preset(name)
    assert make_contest(preset, ["tracking=none"], name="c").reference in preset.models


def test_a_broken_comparison_file_is_named_with_its_key(tmp_path):
    (tmp_path / "comparison").mkdir()
    (tmp_path / "comparison" / "mine.yaml").write_text("# Mine\nmodels: [mf]\ntrails: 3\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: trails"):
        read_preset("mine", [tmp_path])

"""The table of a comparison in words: verdicts, cautions, marks."""

from dataclasses import replace

import pytest

from recsys_cli.comparisons.standings import Comparison, Standing, marked
from tests.comparisons.made_up import comparison


def test_a_difference_that_chance_makes_too_is_no_difference():
    (said,) = comparison(0.0, noise=0.3).verdicts
    assert said.startswith("deep and mf cannot be told apart: ")
    assert said.endswith("] ndcg_at_10")


@pytest.mark.parametrize(("shift", "word"), [(0.05, "better"), (-0.05, "worse")])
def test_a_difference_that_is_one_is_called_so(shift, word):
    (said,) = comparison(shift, noise=0.01).verdicts
    assert said.startswith(f"deep is {word} than mf: ")
    assert "seeds" not in said


def test_where_seeds_differ_as_much_the_verdict_says_so():
    (said,) = comparison(0.05, noise=0.01, spread=0.2).verdicts
    assert said.endswith("; seeds alone differ as much")


def test_a_verdict_and_its_caution_are_about_the_one_that_a_model_is_set_against():
    found = comparison(0.05, noise=0.01)
    mf, deep = found.rows
    third = replace(deep, name="third", against="deep", sentence="better than deep: +")
    wide = replace(found.standings[1], model="third")
    far = replace(
        found.standings[0], seed_values=(0.1, 0.9)
    )  # of mf, which third is not set against
    both = replace(found, rows=[mf, deep, third], standings=[far, found.standings[1], wide])
    assert both.references == "mf or deep"
    told = dict(zip(["deep", "third"], both.verdicts, strict=True))
    assert told["deep"].endswith("; seeds alone differ as much")
    assert told["third"].startswith("third is better than deep: ")
    assert told["third"].endswith("] ndcg_at_10")


def test_a_single_seed_has_no_spread():
    single = comparison(0).standings[0]
    assert single.spread == pytest.approx(0.001)
    assert Standing(**(vars(single) | {"seed_values": (0.3,)})).spread is None


@pytest.mark.parametrize(
    ("mean", "higher", "above"),
    [(0.3, True, "ease"), (0.05, True, "popularity, ease"), (0.5, True, ""), (0.05, False, "")],
)
def test_a_tuned_model_below_one_without_tuning_is_marked(mean, higher, above):
    mark = marked(mean, {"popularity": 0.1, "ease": 0.4}, higher=higher)
    assert mark == (f"probably underfit: below {above}" if above else "")


def test_the_json_holds_the_verdicts_and_no_secret():
    found = comparison(0.05)
    told = Comparison(**(vars(found) | {"logged_at": "postgresql://me:hunter22@db/x"})).to_json()
    assert told["verdicts"] == found.verdicts
    assert told["standings"][0]["spread"] == pytest.approx(0.001)
    assert "hunter22" not in str(told)

"""`recsys compare` as it is typed: what it refuses, and what it prints."""

import json

import pytest

from recsys_cli.cli.compare import _costs, _preset
from recsys_cli.comparisons import models
from recsys_cli.comparisons.standings import Standing
from recsys_cli.errors import ConfigError
from tests.comparisons.made_up import comparison


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["mf"], "two models or more"),
        ([], "two models or more"),
        (["mf", "deep", "--trials=0"], "--trials"),
        (["mf", "deep", "--preset=tlak"], "talk"),
        (["mf", "deep", "--reference=ease"], "not among the models"),
        (["mf", "depe"], "deep"),
        (["mf", "deep", "--data=demo", "--budget=soon"], "is not a duration"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(recsys, tmp_path, monkeypatch, typed, says):
    monkeypatch.chdir(tmp_path)
    done = recsys("compare", *typed)
    assert done.code == 2
    assert says in done.err
    assert not list(tmp_path.iterdir())


def test_the_kept_comparisons_are_listed(recsys):
    assert "talk\tA tuned matrix factorisation" in recsys("compare", "--preset=list").out


def test_what_is_typed_goes_over_the_file():
    made = _preset("talk", ["mf", "seq"], 3, None, None, ())
    assert (made.models, made.trials, made.seeds) == (["mf", "seq"], 3, 5)
    assert "data=ml-20m" in made.overrides
    by_time = _preset("talk", [], None, "10m", None, ())
    assert (by_time.trials, by_time.budget) == (None, "10m")
    with pytest.raises(ConfigError, match="two models"):
        _preset(None, ["mf"], None, None, None, ())


def test_a_model_without_a_search_has_no_cost_of_one():
    base = Standing("ease", "yardstick", (0.3,), 0.31, 0, 0.0, 0.5, 1234, "", ())
    assert _costs(base) == ("ease", "0.3100", "", "", "0.50", "1,234", "")


def test_the_table_the_verdict_and_the_commands_are_printed(recsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "compare", lambda *_, **__: comparison(0.05, noise=0.01))
    typed = ["compare", "mf", "deep", "--data=demo", "--tracking=none"]

    lines = [line.split("\t") for line in recsys(*typed).out.splitlines()]
    assert [line[0] for line in lines if line[0] in ("mf", "deep")] == ["mf", "deep"] * 3
    (verdict,) = [line[1] for line in lines if line[0] == "verdict"]
    assert verdict.startswith("deep is better than mf: +0.0493 [")

    told = json.loads(recsys(*typed, "--json").out)
    assert told["verdicts"] == [verdict]

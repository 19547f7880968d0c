"""`recsys metrics` against the real catalogue."""

from typer.testing import CliRunner

from recsys_cli.cli.program import app
from recsys_cli.evaluation.catalogue import METRICS


def test_every_metric_has_a_line_with_its_formula() -> None:
    lines = CliRunner().invoke(app, ["metrics"]).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == list(METRICS)
    assert all(
        metric.formula in line for metric, line in zip(METRICS.values(), lines[1:], strict=True)
    )


def test_one_is_shown_whole_by_its_name_or_its_key() -> None:
    shown = CliRunner().invoke(app, ["metrics", "ndcg_at_10"]).stdout
    assert METRICS["ndcg"].formula in shown
    assert "[0, 1], higher is better" in shown
    assert "ndcg_graded_linear in ranx, ir_measures" in shown


def test_a_dialect_shows_our_names_and_what_the_library_computes() -> None:
    lines = CliRunner().invoke(app, ["metrics", "--dialect", "rectools"]).stdout.splitlines()
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    assert rows["ndcg"] == ["ndcg_over_k", METRICS["ndcg_over_k"].formula]
    assert rows["recall"] == ["recall", METRICS["recall"].formula]
    assert rows["library"] == ["RecTools 0.19.0"]
    assert "not reproduced" in rows


def test_one_in_a_dialect_has_the_formula_of_its_variant() -> None:
    shown = CliRunner().invoke(app, ["metrics", "ndcg_at_10", "--dialect", "lenskit"]).stdout
    assert METRICS["ndcg_first_two_equal"].formula in shown
    assert "ndcg_first_two_equal (LensKit" in shown


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    result = CliRunner().invoke(app, ["metrics", "--dialect", "rectool"])
    assert result.exit_code == 2
    assert "rectools" in result.stderr


def test_neither_end_of_novelty_is_better() -> None:
    assert "neither end is better" in CliRunner().invoke(app, ["metrics", "novelty"]).stdout


def test_an_unknown_one_is_one_line() -> None:
    result = CliRunner().invoke(app, ["metrics", "ndgc"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "did you mean 'ndcg'" in result.stderr

"""A file of recommendations against a run: the run's own lists tie with it, worse ones lose, and all is told."""

import numpy as np
import pytest

from recsys_cli import config, experiment
from recsys_cli.comparisons.lists import evaluate_file
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.progress import Silent
from recsys_cli.tracking.run_folder import open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists") / "ease"
    settings = config.load(
        ["data=demo", "data.events=3000", "model=ease", "tracking=none", "device=cpu"]
    )
    experiment.run(settings, run_dir=folder, progress=Silent())
    return open_run(str(folder), folder.parent)


def evaluate(path, run, *metrics):
    return evaluate_file(path, run, metrics, progress=Silent())


def test_the_runs_own_lists_have_its_numbers_and_cannot_be_told_apart(run):
    report = evaluate(run.path / "recommendations.parquet", run)
    assert report.metrics == report.against
    assert report.metrics["ndcg_at_10"] == run.metrics["test"]["ndcg_at_10"]
    (row,) = (row for row in report.rows if row.difference)
    assert row.metric == "ndcg_at_10"
    assert row.difference.mean == 0
    assert row.sentence == "cannot be told apart from ease: +0.0000 [+0.0000, +0.0000]"
    low, high = report.to_json()["intervals"]["ndcg_at_10"]
    assert low < report.metrics["ndcg_at_10"] < high


def test_worse_lists_lose_and_the_notes_tell_what_was_done(run, tmp_path):
    saved = run.per_user("test")
    users = saved.users.tolist()
    rows = [f"{user},{item},{item}" for user in users[1:] for item in range(1, 4)]
    (tmp_path / "mine.csv").write_text("user,item,score\n" + "\n".join(rows) + "\n")
    report = evaluate(tmp_path / "mine.csv", run, "recall_at_20", "hit_at_5")
    told = [row for row in report.rows if row.difference]
    assert [(row.name, row.metric) for row in told] == [("mine.csv", "recall_at_20"), ("mine.csv", "hit_at_5")]  # fmt: skip
    assert told[0].sentence.startswith("worse than ease: -")
    notes = "\n".join(report.notes)
    assert f"{len(users):,} users are asked; the lists are ordered by score" in notes
    assert "1 of them have no list" in notes
    assert "no list has more than" in notes
    assert "all items: tied" in notes


def test_unknown_metrics_and_other_evaluations_are_refused(run, tmp_path):
    lists = run.path / "recommendations.parquet"
    with pytest.raises(DataError, match="tied_at_10 cannot be computed"):
        evaluate(lists, run, "tied_at_10")
    with pytest.raises(DataError, match="ndcg_at_7 cannot be computed"):
        evaluate(lists, run, "ndcg_at_7")
    with pytest.raises(DataError, match="no value per user of 'coverage_at_10'"):
        evaluate(lists, run, "ndcg_at_10", "coverage_at_10")


def test_a_run_that_predicts_values_has_no_lists_to_compare_with(tmp_path):
    generator = np.random.default_rng(0)
    rows = [f"{u},{i},{1 + (u + i) % 5},{t}" for t, (u, i) in enumerate(generator.integers(12, size=(400, 2)))]  # fmt: skip
    (tmp_path / "events.csv").write_text("user,item,rating,time\n" + "\n".join(rows) + "\n")
    settings = config.load([
        "data=csv", f"data.path={tmp_path / 'events.csv'}", "data.value_column=rating", "data.time_unit=s",
        "split=leave_last_out", "model=baseline", "evaluation=ratings", "tracking=none", "device=cpu",
    ])  # fmt: skip
    experiment.run(settings, run_dir=tmp_path / "run", progress=Silent())
    run = open_run("run", tmp_path)
    with pytest.raises(ConfigError, match="not by lists"):
        evaluate(run.path / "recommendations.parquet", run)

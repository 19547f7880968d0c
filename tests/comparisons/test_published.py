"""Published tables: read, run and compared; and the printed numbers of the built-in ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from recsys_cli import catalogue, config, experiment
from recsys_cli.comparisons import published
from recsys_cli.comparisons.published import compare_finished, reproduce
from recsys_cli.comparisons.published_checks import Check, Reproduction
from recsys_cli.comparisons.published_record import read as read_record
from recsys_cli.comparisons.published_table import read
from recsys_cli.errors import ConfigError
from recsys_cli.progress import Silent
from recsys_cli.tracking.contract import NoTracker

TABLE = {
    "data": "demo",
    "overrides": ["data.events=2000", "split=k_fold", "split.valid_ratio=0", "evaluation=ratings"],
    "repeats": [["split.fold=0"], ["split.fold=3", "seed=3"]],
    "counts": {"users": 40},
    "metrics": ["rmse", "mae"],
    "digits": 2,
    "rows": [
        {"model": "baseline", "published": [0.0, None], "tolerance": 0.1},
        {"model": "svd", "overrides": ["model.factors=2"], "published": [9, 9], "tolerance": 0, "note": "far"},
    ],
}  # fmt: skip
QUICK = ["tracking=none", "device=cpu", "device.threads=1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder with a table of its own."""
    write(tmp_path)
    return tmp_path


def write(folder: Path, **changed) -> None:
    path = folder / "published" / "mine.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# My table | demo | my paper\n{yaml.safe_dump(TABLE | changed)}")


def run(name: str, root: Path, *overrides: str, **how) -> Reproduction:
    return reproduce(
        name, progress=Silent(), overrides=[*QUICK, f"root={root / 'runs'}", *overrides], **how
    )


def checks(found: Reproduction) -> dict[tuple[str, str], Check]:
    return {(check.model, check.metric): check for check in found.checks}


def test_every_row_is_run_and_is_the_mean_over_the_repeats(folder, tmp_path, monkeypatch):
    outcomes = []

    def kept(settings, **how):
        outcomes.append(experiment.run(settings, **how))
        return outcomes[-1]

    monkeypatch.setattr(published, "run", kept)
    found = run("mine", tmp_path, config_dirs=[folder])
    assert [o.choices["model"] for o in outcomes] == ["baseline", "baseline", "svd", "svd"]
    assert outcomes[0].split_hash != outcomes[1].split_hash
    assert found.splits == {outcome.split: outcome.split_hash for outcome in outcomes[:2]}
    by = checks(found)
    assert list(by) == [("split", "users"), ("baseline", "rmse"), ("svd", "rmse"), ("svd", "mae")]
    for at, model in ((0, "baseline"), (2, "svd")):
        rmse = [outcome.metrics["test"]["rmse"] for outcome in outcomes[at : at + 2]]
        assert by[model, "rmse"].ours == pytest.approx(sum(rmse) / 2)
    assert by["baseline", "rmse"].passed  # the generated values are all 1
    assert not by["svd", "mae"].passed
    assert not found.passed
    assert (found.title, found.source) == ("My table", "my paper")
    assert found.notes == {"svd": "far"}


def test_each_metric_may_have_a_tolerance_of_its_own(folder, tmp_path):
    row = {"model": "baseline", "published": [0.0, 0.0], "tolerance": [0.2, 0]}
    write(folder, rows=[row], counts={}, repeats=[])
    found = run("mine", tmp_path, config_dirs=[folder])
    assert [check.tolerance for check in found.checks] == [0.2, 0]


def test_one_row_of_it(folder, tmp_path):
    write(folder, counts={})
    found = run("mine", tmp_path, config_dirs=[folder], only=["baseline"])
    assert {check.model for check in found.checks} == {"baseline"}
    assert found.passed
    with pytest.raises(ConfigError, match="--only svdd: the table mine has no such row"):
        run("mine", tmp_path, config_dirs=[folder], only=["svdd"])


def test_a_wrong_split_is_no_reproduction(folder, tmp_path):
    write(folder, counts={"users": 41})
    found = run("mine", tmp_path, config_dirs=[folder], only=["baseline"])
    assert not checks(found)["split", "users"].passed
    assert not found.passed


class Recorder(NoTracker):
    """Remembers what each run is told."""

    runs: list[Recorder] = []  # noqa: RUF012  # one list for all, emptied by the fixture

    def start(self, **told) -> str:
        self.runs.append(self)
        self.told, self.values, self.files, self.status = told, {}, {}, ""
        return f"run-{len(self.runs)}"

    def metrics(self, values, step=0, **when) -> None:
        self.values |= values

    def artifact(self, path) -> None:
        self.files[path.name] = path.read_bytes()

    def finish(self, status="FINISHED") -> None:
        self.status = status


@pytest.fixture
def recorded(monkeypatch) -> list[Recorder]:
    Recorder.runs.clear()
    monkeypatch.setattr("recsys_cli.tracking.contract.NoTracker", Recorder)
    monkeypatch.setattr(Recorder, "__module__", "recsys_cli.tracking.contract")
    return Recorder.runs


def test_each_run_is_recorded_below_that_of_the_table(folder, tmp_path, recorded):
    found = run("mine", tmp_path, config_dirs=[folder], only=["baseline"])
    parent, *children = recorded
    assert parent.told["name"] == "reproduce mine"
    assert parent.told.get("parent_id") is None
    assert [child.told["parent_id"] for child in children] == ["run-1", "run-1"]
    assert (found.run_id, found.run_ids) == ("run-1", {"baseline": ["run-2", "run-3"]})
    assert parent.values["baseline_rmse"] == checks(found)["baseline", "rmse"].ours
    assert (parent.values["numbers"], parent.values["numbers_reached"]) == (2, 2)
    assert json.loads(parent.files["reproduce.json"]) == found.to_json()
    assert {each.status for each in recorded} == {"FINISHED"}


def test_a_run_that_breaks_off_closes_the_table_too(folder, tmp_path, recorded, monkeypatch):
    def break_off(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(published, "run", break_off)
    with pytest.raises(KeyboardInterrupt):
        run("mine", tmp_path, config_dirs=[folder])
    assert [each.status for each in recorded] == ["KILLED"]


def test_a_setting_that_is_wrong_is_refused_before_the_first_run(folder, tmp_path):
    rows = [*TABLE["rows"][:1], TABLE["rows"][1] | {"overrides": ["model.rank=3"]}]
    write(folder, rows=rows)
    with pytest.raises(ConfigError, match="rank"):
        run("mine", tmp_path, config_dirs=[folder])
    assert not (tmp_path / "runs").exists()


def test_the_data_is_looked_for_in_the_folder_that_is_named(tmp_path, monkeypatch):
    seen = []

    def load(overrides, folders):
        seen.append(overrides)
        raise ConfigError("enough")

    monkeypatch.setattr(published, "load", load)
    for name in ("beauty-gts", "recbole-ml1m"):
        with pytest.raises(ConfigError, match="enough"):
            run(name, tmp_path, source=Path("/my data/it's"))
    assert r"data.source='/my data/it\'s/amazon-beauty-gts'" in seen[0]
    assert r"data.source='/my data/it\'s/ml-1m'" in seen[1]
    value = config.parse([seen[1][-1]])[0].value()
    assert str(value) == "/my data/it's/ml-1m"


def runs_of(root: Path) -> list[str]:
    return [str(path.parent) for path in sorted((root / "runs").glob("*/metrics.json"))]


def test_a_row_is_kept_with_all_that_runs_it_again(folder, tmp_path):
    found = run("mine", tmp_path, config_dirs=[folder], only=["svd"], record=tmp_path / "mine.json")
    record = read_record(tmp_path / "mine.json")
    assert (record.table, list(record.rows)) == ("mine", ["svd"])
    row = record.rows["svd"]
    assert row == found.rows["svd"]
    assert row.command == "recsys reproduce mine --only=svd"
    assert [each.seed for each in row.runs] == [0, 3]
    assert len({each.split_hash for each in row.runs}) == 2
    rmse = [each.metrics["rmse"] for each in row.runs]
    assert sum(rmse) / 2 == pytest.approx(checks(found)["svd", "rmse"].ours)
    assert {"version", "torch", "numpy", "threads"} <= row.runs[0].environment.keys()


def test_finished_runs_are_compared_and_kept_as_if_just_trained(folder, tmp_path):
    trained = run("mine", tmp_path, config_dirs=[folder], only=["svd"], record=tmp_path / "a.json")
    named = runs_of(tmp_path)
    found = compare_finished("mine", named[::-1], record=tmp_path / "b.json", config_dirs=[folder])
    assert (found.checks, found.rows, found.splits) == (
        trained.checks,
        trained.rows,
        trained.splits,
    )
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(ConfigError, match="svd is the mean of 2 runs and 1 of them are named"):
        compare_finished("mine", named[:1], config_dirs=[folder])


def test_a_run_that_is_none_of_the_rows_is_refused(folder, tmp_path):
    run("mine", tmp_path, "model.epochs=3", config_dirs=[folder], only=["svd"])
    with pytest.raises(ConfigError, match=r"no run of svd in mine: model\.epochs=3, not 20"):
        compare_finished("mine", runs_of(tmp_path), config_dirs=[folder])
    write(folder, rows=TABLE["rows"][:1])
    with pytest.raises(ConfigError, match="the table mine has no row for svd"):
        compare_finished("mine", runs_of(tmp_path), config_dirs=[folder])


def test_no_record_is_kept_of_other_settings_than_the_tables(folder, tmp_path):
    record = tmp_path / "mine.json"
    with pytest.raises(ConfigError, match=r"svd has model\.epochs=3, not 20"):
        run("mine", tmp_path, "model.epochs=3", config_dirs=[folder], only=["svd"], record=record)
    assert not record.exists()
    assert not (tmp_path / "runs").exists()


TABLES = catalogue.names(catalogue.PUBLISHED)


SLOW = {
    ("recbole-ml1m", "item_knn"),
    ("recbole-ml1m", "ease"),
    ("recbole-ml1m", "slim"),
    ("mcrec-ml100k", "slim"),
    ("surprise-ml100k", "knn_baseline"),
    ("surprise-ml100k", "nmf"),
    ("surprise-ml100k", "svd"),
}
ROWS = [
    pytest.param(name, row.model, marks=[pytest.mark.slow] if (name, row.model) in SLOW else [])
    for name in TABLES
    if not read(name).long
    for row in read(name).rows
]
# Their rows take an hour each: here they learn for a moment, on the very split.
LONG = [name for name in TABLES if read(name).long]
SHORT = [
    *("trainer.epochs=1", "model.dim=4", "model.blocks=1", "model.heads=1"),
    *("model.loss=bce", "model.history_length=10"),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "model"), ROWS)
def test_the_printed_numbers_are_reached(real_data, tmp_path, name, model):
    table = read(name)
    source = real_data(table.folder or table.data).parent
    found = run(name, tmp_path, source=source, only=[model])
    assert [check for check in found.checks if not check.passed] == []
    assert len(found.checks) > len(table.counts)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", LONG)
def test_a_long_table_has_the_published_split(real_data, tmp_path, monkeypatch, name):
    table = read(name)
    rows = [table.rows[0].model_copy(update={"overrides": SHORT})]
    protocol = [text for text in table.overrides if not text.startswith(("model.", "trainer."))]
    short = table.model_copy(update={"rows": rows, "overrides": protocol})
    monkeypatch.setattr(published, "read", lambda *_: short)
    found = run(name, tmp_path, source=real_data(table.folder or table.data).parent)

    counted = [check for check in found.checks if check.model == "split"]
    assert len(counted) == len(table.counts) > 0
    assert [check for check in counted if not check.passed] == []
    assert all(0 < check.ours < 1 for check in found.checks if check not in counted)

"""One experiment, whole: what it leaves behind, and what it refuses before it leaves anything."""

import json
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

from recsys_cli import config, experiment
from recsys_cli.errors import ConfigError, DataError, ModelError
from recsys_cli.outcome import Outcome
from recsys_cli.progress import Silent
from recsys_cli.tracking.contract import NoTracker
from recsys_cli.training.loop import GivenUp

SMALL = ["data=demo", "data.events=2000", "tracking=none", "device=cpu", "device.threads=1"]
QUICK = {
    "mf": ["model.rank=8", "trainer.epochs=2"],
    "deep": ["model.dim=8", "trainer.epochs=2"],
    "seq": ["model.dim=8", "model.hidden=8", "trainer.epochs=2"],
    "ease": [],
    "popularity": [],
}


class Notes(Silent):
    """Keeps the lines that would be shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def run(folder: Path, *overrides: str, progress=None, **how) -> Outcome:
    settings = config.load([*SMALL, f"root={folder}", *overrides])
    return experiment.run(settings, run_dir=None, progress=progress or Silent(), **how)


@pytest.mark.parametrize("model", QUICK)
def test_a_run_leaves_settings_weights_history_and_metrics(tmp_path, model):
    outcome = run(tmp_path, f"model={model}", *QUICK[model])
    assert outcome.run_dir.parent == tmp_path
    assert {path.name for path in outcome.run_dir.iterdir()} == {
        "config.yaml", "history.jsonl", "metrics.json", "model.safetensors", "per_user.parquet",
        "recommendations.parquet",
    }  # fmt: skip
    assert json.loads((outcome.run_dir / "metrics.json").read_text()) == json.loads(
        json.dumps(outcome.to_json())
    )
    assert 0 <= outcome.metrics["test"]["ndcg_at_10"] <= 1
    assert outcome.counts["test_users"] > 0
    weights = load_file(outcome.run_dir / "model.safetensors")
    assert sum(tensor.numel() for tensor in weights.values()) == outcome.counts["parameters"]


@pytest.mark.parametrize("model", QUICK)
def test_the_same_seed_gives_the_same_bits(tmp_path, model):
    first, second = (run(tmp_path, f"model={model}", *QUICK[model]) for _ in range(2))
    assert first.run_dir != second.run_dir
    assert first.weights_sha256 == second.weights_sha256
    assert first.metrics == second.metrics
    assert (first.config_hash, first.split_hash) == (second.config_hash, second.split_hash)


def test_another_seed_trains_another_model_on_the_same_split(tmp_path):
    first, second = (run(tmp_path, "model=mf", *QUICK["mf"], f"seed={seed}") for seed in (0, 1))
    assert first.weights_sha256 != second.weights_sha256
    assert first.split_hash == second.split_hash


def test_the_reason_for_a_split_and_its_leak_are_told(tmp_path, real_data):
    source = f"data.source={real_data('ml-100k')}"
    notes = Notes()
    given = ["data=ml-100k", source, "tracking=none", "model=popularity", f"root={tmp_path}"]
    outcome = experiment.run(config.load(given), run_dir=None, progress=notes)
    assert "time cut" in outcome.why_split
    assert any(outcome.why_split in line for line in notes.lines)
    assert any(line.startswith("this split leaks") for line in notes.lines)
    chosen = experiment.run(
        config.load([*given, "split=per_user_ratio"]), run_dir=None, progress=Silent()
    )
    assert chosen.why_split == ""


class Recorder(NoTracker):
    """Remembers what an experiment says."""

    instances: list["Recorder"] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.said: list[tuple] = []
        self.instances.append(self)

    def start(self, **told) -> str:
        self.said.append(("start", told))
        return "run-7"

    def metrics(self, values, step=0, time_ms=None) -> None:
        self.said.append(("metrics", step, dict(values)))

    def artifact(self, path) -> None:
        self.said.append(("artifact", path.name))

    def finish(self, status="FINISHED") -> None:
        self.said.append(("finish", status))


@pytest.fixture
def recorder(monkeypatch):
    Recorder.instances.clear()
    monkeypatch.setattr("recsys_cli.tracking.contract.NoTracker", Recorder)
    Recorder.__module__ = "recsys_cli.tracking.contract"
    return Recorder.instances


def test_what_the_tracker_is_told(tmp_path, recorder):
    outcome = run(tmp_path, "model=mf", *QUICK["mf"], parent_id="parent-1")
    (told,) = recorder
    kinds = [entry[0] for entry in told.said]
    assert kinds == ["start", "metrics", "metrics", "metrics", *["artifact"] * 6, "finish"]
    start = told.said[0][1]
    assert start["parent_id"] == "parent-1"
    assert start["params"]["model.rank"] == 8
    assert start["tags"]["recsys.split_hash"] == outcome.split_hash
    assert start["dataset"]["name"] == "demo"
    assert [entry[1] for entry in told.said[1:4]] == [1, 2, 2]
    final = told.said[3][2]
    assert final["test_ndcg_at_10"] == outcome.metrics["test"]["ndcg_at_10"]
    assert told.said[-1] == ("finish", "FINISHED")
    assert outcome.run_id == "run-7"


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "KILLED"), (GivenUp, "KILLED"), (ValueError, "FAILED")],
)
def test_a_run_that_breaks_off_is_closed(tmp_path, recorder, error, status):
    def break_off(epoch, numbers):
        raise error

    with pytest.raises(error):
        run(tmp_path, "model=mf", *QUICK["mf"], report=break_off)
    assert recorder[0].said[-1] == ("finish", status)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_run_is_closed_waits_until_it_is(tmp_path, recorder, monkeypatch, number):
    former = signal.signal(number, signal.default_int_handler)
    closed = []

    def finish(self, status="FINISHED"):
        signal.raise_signal(number)
        closed.append(status)

    monkeypatch.setattr(Recorder, "finish", finish)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "a", "model=popularity")
    finally:
        signal.signal(number, former)
    assert closed == ["FINISHED"]
    assert not (tmp_path / "a" / "running.json").exists()


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(ConfigError, match="not an empty folder"):
        experiment.run(config.load(SMALL), run_dir=tmp_path / "used", progress=Silent())


def test_metrics_of_categories_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="diversity needs the categories of the items"):
        run(tmp_path, "model=popularity", "evaluation=categories")
    assert not list(tmp_path.iterdir())


def test_metrics_in_the_words_of_another_library_are_told_and_hashed(tmp_path):
    notes = Notes()
    theirs = run(tmp_path, "model=popularity", "evaluation.dialect=rectools", progress=notes)
    ours = run(tmp_path, "model=popularity")
    assert any("as RecTools 0.19.0 defines them: ndcg is ndcg_over_k" in x for x in notes.lines)
    assert theirs.metrics["test"]["ndcg_at_10"] < ours.metrics["test"]["ndcg_at_10"]
    assert theirs.metrics["test"]["recall_at_10"] == ours.metrics["test"]["recall_at_10"]
    assert theirs.config_hash != ours.config_hash


def test_a_model_that_needs_times_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "events.csv").write_text(
        "user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in range(5))
    )
    settings = config.load([
        "data=csv", f"data.path={tmp_path / 'events.csv'}", "data.user_column=user", "data.item_column=item",
        "data.time_column=null", "split=per_user_ratio", "split.test_ratio=0.2", "split.valid_ratio=0.2",
        "model=seq", "tracking=none", f"root={tmp_path / 'runs'}",
    ])  # fmt: skip
    with pytest.raises(ModelError, match="no times"):
        experiment.run(settings, run_dir=None, progress=Silent())
    assert not (tmp_path / "runs").exists()


def test_what_is_learnt_does_not_depend_on_the_test_events(tmp_path, monkeypatch):
    """Reversing the items of all test targets changes the test metrics and no bit of the weights."""
    from recsys_cli.data import time_splits as rules

    before = run(tmp_path, "model=mf", *QUICK["mf"])
    original = rules.global_time

    def scrambled(**settings):
        made = original(**settings)
        items = made.test.targets.items
        object.__setattr__(made.test.targets, "items", (items + 1) % made.n_items)
        return made

    scrambled.__module__, scrambled.__wrapped__ = original.__module__, original
    monkeypatch.setattr(rules, "global_time", scrambled)
    after = run(tmp_path, "model=mf", *QUICK["mf"])
    assert after.weights_sha256 == before.weights_sha256
    assert after.metrics["valid"] == before.metrics["valid"]
    assert after.metrics["test"] != before.metrics["test"]


def test_what_a_filter_and_a_split_do_is_told(tmp_path):
    notes = Notes()
    outcome = run(
        tmp_path, "model=popularity", "filter=steps", "filter.steps=[{k_core: 6}]",
        "split=user_holdout", "split.held_out_users=5", progress=notes,
    )  # fmt: skip
    assert notes.lines[0].startswith("filter, before the filter: 2,000 events")
    assert notes.lines[1].startswith("filter, k_core 6: ")
    assert outcome.leaks.startswith("the filter (k_core 6) counted events of all parts")
    assert any(line.startswith("only 5 test users") for line in notes.lines)
    assert outcome.counts["train_events"] < 2000


def test_a_split_without_validation_is_for_models_that_need_none(tmp_path):
    kept = ["split=k_fold", "split.valid_ratio=0"]
    outcome = run(tmp_path, "model=popularity", *kept)
    assert outcome.metrics["valid"] == {}
    assert outcome.metrics["test"]["ndcg_at_10"] > 0
    with pytest.raises(ConfigError, match="has no validation part"):
        run(tmp_path, "model=mf", *kept)


def test_questions_about_sessions_are_measured_and_named_by_their_row(tmp_path):
    (tmp_path / "clicks.csv").write_text(
        "user,item,time\n"
        + "".join(
            f"s{u},{(u + k) % 9},{86_400 * (u // 10) + 60 * k}\n"
            for u in range(60)
            for k in range(3)
        )
    )
    settings = config.load([
        "data=csv", f"data.path={tmp_path / 'clicks.csv'}", "data.time_unit=s", "split=sessions",
        "model=item_knn", "model.neighbours=9", "evaluation.exclude_seen=false", "tracking=none",
        "device=cpu", f"root={tmp_path / 'runs'}",
    ])  # fmt: skip
    outcome = experiment.run(settings, run_dir=None, progress=Silent())
    assert outcome.counts["test_users"] == 20
    assert outcome.metrics["test"]["hit_at_5"] > 0

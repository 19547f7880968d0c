"""What may lie in a run's folder, and what is done with it."""

import json
import os
import shutil

import pytest

from recsys_cli import config, experiment, preparation, unfinished
from recsys_cli.errors import CheckpointError, ConfigError
from recsys_cli.tracking.under_way import CHECKPOINT, RUNNING, Running, held
from recsys_cli.training.checkpoint import Checkpoints
from tests.test_experiment import SMALL, Notes

SAID = [*SMALL, "model=mf", "model.rank=4", "trainer.epochs=4", "trainer.checkpoint_seconds=0"]


class CutOff(BaseException):
    """The process dies here."""


def run(folder, *more, progress=None, resume=True, **how):
    settings = config.load([*SAID, *more])
    return experiment.run(
        settings, run_dir=folder, progress=progress or Notes(), resume=resume, **how
    )


def cut_off(folder, *more, epoch=3, **how):
    def die(number, numbers):
        if number == epoch:
            raise CutOff

    with pytest.raises(CutOff):
        run(folder, *more, report=die, **how)
    return folder


def test_a_folder_without_a_run_begins_one(tmp_path):
    for folder in (tmp_path / "absent", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert run(folder).metrics["test"]


def test_one_that_was_killed_at_its_very_start_begins_again(tmp_path):
    for name in ("run.lock", "config.yaml", "running.json.part"):
        (tmp_path / name).write_text("half")
    outcome = run(tmp_path)
    assert config.from_file(tmp_path / "config.yaml", outcome.choices).hash == outcome.config_hash
    assert not list(tmp_path.glob("*.part"))


def test_one_that_was_cut_off_goes_on_and_leaves_nothing_behind(tmp_path):
    whole = run(tmp_path / "whole")
    folder = cut_off(tmp_path / "cut")
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml", "history.jsonl", RUNNING, CHECKPOINT
    }  # fmt: skip
    notes = Notes()
    outcome = run(folder, progress=notes)
    assert "going on at epoch 3, after 0 steps of it" in notes.lines
    assert (outcome.weights_sha256, outcome.metrics) == (whole.weights_sha256, whole.metrics)
    assert outcome.counts == whole.counts
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert {path.name for path in folder.iterdir()} == names


def test_a_finished_one_is_told_again(tmp_path):
    first, notes = run(tmp_path / "run"), Notes()
    files = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert run(tmp_path / "run", progress=notes) == first
    assert notes.lines == [f"the run {tmp_path / 'run'} is finished: nothing is left to do"]
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == files


def test_one_that_died_while_it_was_recorded_is_recorded(tmp_path, monkeypatch):
    record = experiment.record

    def die(outcome, tracker, folder):
        record(outcome, tracker, folder)
        raise CutOff

    monkeypatch.setattr(experiment, "record", die)
    with pytest.raises(CutOff):
        run(tmp_path / "run")
    told = (tmp_path / "run" / "metrics.json").read_bytes()
    monkeypatch.setattr(experiment, "record", record)
    monkeypatch.setattr(experiment, "_train", None)
    outcome = run(tmp_path / "run")
    assert json.loads(told) == json.loads(json.dumps(outcome.to_json()))
    assert (tmp_path / "run" / "metrics.json").read_bytes() == told
    assert not (tmp_path / "run" / RUNNING).exists()


@pytest.mark.parametrize("finish", [False, True])
def test_other_settings_are_refused_by_name(tmp_path, finish):
    _ = run(tmp_path / "run") if finish else cut_off(tmp_path / "run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=r"trainer\.lr is 0\.1 there and 0\.2 here"):
        run(tmp_path / "run", "trainer.lr=0.2")
    assert sorted(tmp_path.rglob("*")) == before


def test_when_to_save_may_change(tmp_path):
    settings = [text for text in SAID if "checkpoint" not in text]
    cut_off(tmp_path / "run")
    outcome = experiment.run(
        config.load(settings), run_dir=tmp_path / "run", progress=Notes(), resume=True
    )
    assert outcome.weights_sha256 == run(tmp_path / "whole").weights_sha256


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("torch", "2.0"),
        ("numpy", "1.0"),
        ("scipy", "1.0"),
        ("version", "9.0"),
        ("threads", "7"),
        ("device", "cuda"),
        ("device_hardware", "Z80"),
        ("cpu_capability", "VAX"),
    ],
)
def test_another_machine_is_refused_by_name(tmp_path, monkeypatch, fact, value):
    cut_off(tmp_path / "run")
    move(monkeypatch, **{fact: value})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"{fact} is .* there and {value} here") as raised:
        run(tmp_path / "run")
    assert "--allow-mismatch" in raised.value.line
    assert sorted(tmp_path.rglob("*")) == before


def move(monkeypatch, **facts):
    """From here on, be where these are so."""
    environment = preparation.environment
    monkeypatch.setattr(preparation, "environment", lambda on: environment(on) | facts)


def test_where_it_is_allowed_it_goes_on_elsewhere_and_is_marked_for_good(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    assert whole.promise["class"] == "bit-for-bit"
    cut_off(tmp_path / "run", epoch=2)
    move(monkeypatch, threads="7")
    cut_off(tmp_path / "run", epoch=3, allow_mismatch=True)
    outcome = run(tmp_path / "run")
    assert outcome.promise["class"] == "statistical"
    assert outcome.promise["why"].endswith("threads is 1 there and 7 here")
    assert outcome.weights_sha256 == whole.weights_sha256, "here nothing but the name has changed"
    with pytest.raises(ConfigError, match=r"trainer\.lr"):
        run(tmp_path / "run", "trainer.lr=0.2", allow_mismatch=True)


def test_one_that_never_moved_keeps_its_promise_where_moving_was_allowed(tmp_path):
    cut_off(tmp_path / "run")
    assert run(tmp_path / "run", allow_mismatch=True).promise["class"] == "bit-for-bit"


def test_other_events_are_refused(tmp_path, monkeypatch):
    cut_off(tmp_path / "run")
    cut = preparation.cut

    def other(*given):
        made = cut(*given)
        vars(made)["hash"] = "0" * 64
        return made

    monkeypatch.setattr(preparation, "cut", other)
    with pytest.raises(ConfigError, match="split_hash is "):
        run(tmp_path / "run")


def test_something_else_in_the_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"neither an empty folder nor that of a run.*thesis"):
        run(tmp_path)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError):
        run(tmp_path / "file")


def test_a_run_in_use_is_refused_with_its_process(tmp_path):
    cut_off(tmp_path / "run")
    with held(tmp_path / "run"), pytest.raises(ConfigError, match=f"by process {os.getpid()}"):
        run(tmp_path / "run")


def test_without_resume_a_begun_run_is_refused(tmp_path):
    cut_off(tmp_path / "run")
    with pytest.raises(ConfigError, match="not an empty folder") as raised:
        run(tmp_path / "run", resume=False)
    assert "--resume=auto" in raised.value.line


def test_a_folder_must_be_named():
    with pytest.raises(ConfigError, match="none is named"):
        run(None)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        (RUNNING, "{", CheckpointError),
        ("config.yaml", "{", ConfigError),
        ("metrics.json", "{}", CheckpointError),
        ("metrics.json", "{", CheckpointError),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, text, error):
    cut_off(tmp_path / "run")
    (tmp_path / "run" / name).write_text(text)
    with pytest.raises(error, match=name):
        run(tmp_path / "run")


def test_corrupt_checkpoints_are_refused_or_passed_over(tmp_path):
    whole = run(tmp_path / "whole")
    cut_off(tmp_path / "run", epoch=4)
    good, bad = sorted((tmp_path / "run" / CHECKPOINT).glob("*.safetensors"))
    bad.write_bytes(bad.read_bytes()[:-1])
    notes = Notes()
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert run(tmp_path / "run", progress=notes).weights_sha256 == whole.weights_sha256
    assert any("passed over" in line for line in notes.lines)
    (tmp_path / "copy" / CHECKPOINT / good.name).write_bytes(b"")
    with pytest.raises(CheckpointError):
        run(tmp_path / "copy")


def test_a_run_is_found_by_folder_and_by_name(tmp_path):
    cut_off(tmp_path / "a run")
    for name in (str(tmp_path / "a run"), "a run"):
        begun = unfinished.named(name, tmp_path)
        assert begun.config.overrides == SAID
        assert begun.config.tree["model"]["rank"] == 4
    (tmp_path / "empty").mkdir()
    for name in ("", "nothing", "empty"):
        with pytest.raises(ConfigError, match="no run has begun there"):
            unfinished.named(name, tmp_path)


def test_a_solved_model_has_no_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "save", None)
    solved = [*SMALL, "model=ease"]
    experiment.run(config.load(solved), run_dir=tmp_path / "run", progress=Notes())


def test_the_mark_names_the_tracked_run(tmp_path):
    folder = cut_off(tmp_path / "run")
    Running("abc", {"model": "mf", "data": "demo"}, []).write(folder)
    begun = unfinished.find(folder)
    assert begun is not None
    assert begun.run_id == "abc"

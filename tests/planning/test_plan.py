"""What a plan says of whole trainings, and that it writes nothing."""

from pathlib import Path

import pytest

from recsys_cli import catalogue, config
from recsys_cli.planning import plan as planning
from recsys_cli.planning.plan import Phase, Plan
from recsys_cli.progress import Silent
from recsys_cli.resources import Memory

SMALL = ["data=demo", "data.events=2000", "device=cpu", "device.threads=1"]


def planned(*said: str, root: Path, tracking: str = "none") -> Plan:
    settings = config.load([*SMALL, f"root={root / 'runs'}", f"tracking={tracking}", *said])
    return planning.plan(settings, folder=None, progress=Silent())


def of(made: Plan) -> dict[str, Phase]:
    return {phase.name: phase for phase in made.phases}


@pytest.mark.parametrize("name", catalogue.names("model"))
def test_every_model_is_planned_and_nothing_is_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    made = planned(f"model={name}", root=tmp_path)
    assert not list(tmp_path.iterdir())
    assert made.fits
    assert made.memory >= max(phase.memory or 0 for phase in made.phases) > 0
    assert made.disk > 0
    assert made.seconds is not None
    assert 0 < made.seconds[0] <= made.seconds[1]
    assert {"start", "load", "split", "build", "valid", "test", "record"} <= of(made).keys()


def test_epochs_and_validations_are_those_of_the_trainer(tmp_path):
    said = ["trainer.patience=2", "trainer.validate_every=3", "trainer.epochs=20"]
    phases = of(planned("model=mf", *said, root=tmp_path))
    assert (phases["epoch"].least, phases["epoch"].most) == (9, 20)
    assert (phases["validate"].least, phases["validate"].most) == (3, 7)


def test_patience_is_no_longer_than_the_training(tmp_path):
    phases = of(planned("model=mf", "trainer.patience=50", "trainer.epochs=4", root=tmp_path))
    assert (phases["epoch"].least, phases["epoch"].most) == (4, 4)


def test_mlflow_takes_memory_time_and_disk(tmp_path):
    without = planned("model=popularity", root=tmp_path)
    tracked = planned("model=popularity", root=tmp_path, tracking="mlflow")
    assert not list(tmp_path.iterdir())
    assert tracked.memory > without.memory + planning.TRACKER_LIBRARIES // 2
    assert tracked.disk > without.disk


def test_what_does_not_fit_is_not_built_and_what_would_help_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "memory", lambda: Memory(300_000_000, "this container"))
    monkeypatch.setattr(planning, "complete", lambda *given, **more: pytest.fail("built"))
    made = planned("model=mf", "model.rank=4096", "trainer.engine=torch", root=tmp_path)
    assert not made.fits
    assert made.seconds is None
    assert made.room is not None
    assert made.memory > made.room
    assert made.refusal is not None
    assert made.advice
    assert all(advice.peak <= 300_000_000 for advice in made.advice)


def test_a_data_cache_is_made_once_and_told(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    rows = [f"{user},{item},{10**9 + user * 100 + item}" for user in range(30) for item in range(8)]
    (tmp_path / "events.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n")
    said = [f"data.path={tmp_path / 'events.csv'}", "split=leave_last_out", "tracking=none"]
    columns = ["data.user_column=user", "data.item_column=item", "data.time_column=time"]
    settings = config.load(["data=csv", "model=popularity", "device=cpu", *said, *columns])
    first, again = (planning.plan(settings, folder=tmp_path / "run", progress=Silent()) for _ in "12")  # fmt: skip
    kept = [entry for entry in (tmp_path / "cache" / "events").iterdir() if entry.is_dir()]
    assert len(kept) == 1
    assert str(kept[0]) in first.assumed[0]
    assert again.assumed == []
    assert not (tmp_path / "run").exists()


def test_the_whole_is_the_sum_of_its_phases_and_memory_their_highest():
    phases = [Phase("a", 1.0, memory=5, disk=2), Phase("b", 2.0, 3, 4, memory=9, disk=1)]
    made = Plan(phases, 9, "here", 3, [], [], None)
    assert (made.memory, made.disk, made.seconds) == (9, 3, (7.0, 9.0))
    assert made.fits
    assert not Plan(phases, 8, "here", 3, [], [], None).fits
    assert not Plan(phases, 9, "here", 2, [], [], None).fits
    assert Plan(phases, None, "", None, [], [], None).fits
    assert Plan([*phases, Phase("c", None)], 9, "here", 3, [], [], None).seconds is None
    assert made.to_json()["phases"][1]["most"] == 4

"""What `scripts/recovery` finds, in a short form: context gains where it is planted, and nothing where it is not."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "recovery"
SMALL = ["data.events=8000", "data.events_per_user=8", "data.days=60", "model.dim=16", "model.hidden=16"]  # fmt: skip
FEW = ["trainer.batch_size=512", "trainer.epochs=12", "trainer.lr=0.02", "model.shift=true"]


@pytest.fixture
def recovery():
    loader = SourceFileLoader("recovery", str(SCRIPT))
    module = module_from_spec(spec_from_loader("recovery", loader))
    loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_hour_is_worth_something_where_it_is_planted_and_the_weekday_is_not(
    recovery, monkeypatch, tmp_path
):
    planted = ["data.hour=3", "data.weekday=0", "data.sequence=0", "data.taste=0"]
    monkeypatch.setattr(recovery, "WORLDS", {"the hour": (planted, ["hour", "weekday"])})
    none, hour, weekday = recovery.rows([*SMALL, *FEW], 1, tmp_path)
    low, high = (float(end) for end in hour[4].strip("[]").split(","))
    assert 0 < low < float(hour[3]) < high < float(hour[5])
    low, high = (float(end) for end in weekday[4].strip("[]").split(","))
    assert low < 0 < high
    assert (none[1], weekday[6]) == ("none", "nothing to be gained")

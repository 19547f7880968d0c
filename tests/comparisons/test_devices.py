import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from recsys_cli.comparisons import devices as comparison
from recsys_cli.comparisons.device_trials import Plan
from recsys_cli.comparisons.devices import compare, settings
from recsys_cli.config import build
from recsys_cli.devices import Device
from recsys_cli.errors import ConfigError
from recsys_cli.models.first_try.mf import MF
from recsys_cli.progress import Silent

SMALL = ["data=demo", "data.events=1000", "tracking=none", "model.rank=4", "split=leave_last_out"]
PLAN = Plan(warmup=1, steps=2, repeats=3)
PAIR = [Device("cpu", 1), Device("cpu", 2)]


class Notebook:
    """A tracker that keeps everything in memory."""

    runs: ClassVar[list[dict[str, Any]]] = []
    location, how_to_open = "the notebook", "open it"

    def start(self, **what: Any) -> str:
        self.run = what | {"metrics": {}, "artifacts": {}, "status": ""}
        self.runs.append(self.run)
        return str(len(self.runs))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.run["metrics"].update(values)

    def artifact(self, path: Path) -> None:
        self.run["artifacts"][path.name] = json.loads(path.read_text())

    def finish(self, status: str = "FINISHED") -> None:
        self.run["status"] = status


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    def replaced(node: Any, *, key: str, **runtime: Any) -> Any:
        return Notebook() if key == "tracking" else build(node, key=key, **runtime)

    monkeypatch.setattr(comparison, "build", replaced)
    monkeypatch.setattr(Notebook, "runs", [])
    return Notebook.runs


def test_a_run_for_the_comparison_and_one_inside_it_for_each_cell(
    runs: list[dict[str, Any]],
) -> None:
    report = compare(settings("mf", SMALL), PAIR, PLAN, progress=Silent())
    parent, *children = runs
    assert report.run_id == "1"
    assert report.logged_at == "the notebook"
    assert parent["params"]["devices"] == "cpu:1,cpu:2"
    assert set(parent["metrics"]) == {"mf_cpu_1_samples_per_second", "mf_cpu_2_samples_per_second"}
    assert parent["artifacts"]["devices.json"]["conclusion"] == report.conclusion
    assert [child["name"] for child in children] == ["mf on cpu:1", "mf on cpu:2"]
    assert {child["parent_id"] for child in children} == {"1"}
    assert [child["tags"]["recsys.device"] for child in children] == ["cpu:1", "cpu:2"]
    for child in children:
        assert child["params"]["model.rank"] == 4
        assert child["metrics"]["step_seconds"] > 0
        assert child["metrics"]["speed_up"] > 0
        assert "valid_ndcg_at_10" in child["metrics"]
        assert len(child["artifacts"]["devices.json"]["samples"]) == 3
    assert {run["status"] for run in runs} == {"FINISHED"}


def test_a_failed_cell_is_a_failed_run_with_its_reason(
    runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(model: MF, batch: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(MF, "loss", loss)
    report = compare(settings("mf", SMALL), PAIR[:1], PLAN, progress=Silent())
    assert [run["status"] for run in runs] == ["FINISHED", "FAILED"]
    assert runs[1]["tags"]["recsys.failure"] == "out of memory: CUDA out of memory."
    assert not report.works


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), "KILLED"), (KeyError("bug"), "FAILED")]
)
def test_what_stops_a_comparison_closes_its_run(
    runs: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: str,
) -> None:
    def stopped(*_: object) -> None:
        raise error

    monkeypatch.setattr(comparison, "measure", stopped)
    with pytest.raises(type(error)):
        compare(settings("mf", SMALL), PAIR, PLAN, progress=Silent())
    assert [run["status"] for run in runs] == [status]


def test_one_device_twice_trains_the_same_bits() -> None:
    report = compare(settings("mf", SMALL), [PAIR[0], PAIR[0]], PLAN, progress=Silent())
    assert report.agree
    for finding in report.models[0].findings:
        assert finding is not None
        assert finding.repeats_equal
        assert finding.against_first is not None
        assert finding.against_first.same == "same bits"


def test_the_initial_weights_follow_from_the_seed() -> None:
    def loss(*more: str) -> float:
        report = compare(settings("mf", [*SMALL, *more]), PAIR[:1], PLAN, progress=Silent())
        learned = report.models[0].cells[0].learned
        assert learned is not None
        return learned.loss

    assert loss() != loss("seed=1")


@pytest.mark.parametrize(
    ("models", "overrides", "problem"),
    [
        ("mf,mff", SMALL, "no model called 'mff'"),
        ("mf,,deep", ["data=demo"], "no model called ''"),
        ("mf,mf", SMALL, "'mf' 2 times"),
        ("mf,deep", SMALL, "model.rank"),
        ("mf", [*SMALL, "device=auto"], "chooses one device"),
        ("mf", [*SMALL, "device.threads=1"], "chooses one device"),
        ("mf", [*SMALL, "trainer=closed_form"], "no steps to time"),
        ("mf", [*SMALL, "trainer.batch_size=64,128"], "several values"),
        ("mf", [*SMALL, "trainer.engine=kernel"], "compared by torch"),
    ],
)
def test_settings_that_cannot_be_compared_are_refused(
    models: str, overrides: list[str], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(models, overrides)
    assert problem in caught.value.line

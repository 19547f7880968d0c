import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from recsys_cli.comparisons import device_crossing, device_roofline
from recsys_cli.comparisons import devices as comparison
from recsys_cli.comparisons.device_report import Report
from recsys_cli.comparisons.device_trials import Cell, Plan, Subject
from recsys_cli.comparisons.devices import Grid, settings
from recsys_cli.comparisons.devices import compare as compare_grid
from recsys_cli.config import build
from recsys_cli.devices import Device
from recsys_cli.errors import ConfigError
from recsys_cli.models.first_try.mf import MF
from recsys_cli.progress import Silent

SMALL = ["data=demo", "data.events=1000", "tracking=none", "model.rank=4", "split=leave_last_out",
         "trainer.engine=torch"]  # fmt: skip
PLAN = Plan(warmup=1, steps=2, repeats=3, phase_steps=1, requests=2)
PAIR = [Device("cpu", 1), Device("cpu", 2)]


def compare(configs: Any, devices: Sequence[Device], plan: Plan, **more: Any) -> Report:
    return compare_grid(configs, Grid(devices), plan, **more)


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
        text = path.read_text()
        self.run["artifacts"][path.name] = json.loads(text) if path.suffix == ".json" else text

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
    def derive(model: MF, batch: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(MF, "derive", derive)
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
        ("mf", [*SMALL[:-1], "trainer=closed_form"], "no steps to time"),
        ("mf", [*SMALL, "trainer.batch_size=64,128"], "several values"),
        ("mf", [*SMALL[:-1], "trainer.engine=kernel"], "compared by torch"),
        ("mf", [*SMALL, "trainer.precision=bf16"], "name all with --precision"),
        ("mf", [*SMALL, "trainer.compile=true"], "name all with --compile"),
    ],
)
def test_settings_that_cannot_be_compared_are_refused(
    models: str, overrides: list[str], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(models, overrides)
    assert problem in caught.value.line


@pytest.fixture
def quick_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_roofline, "SECONDS_A_PROBE", 0.0)
    monkeypatch.setattr(device_roofline, "SQUARES", (64,))
    monkeypatch.setattr(device_roofline, "COPIES", (1 << 12, 1 << 14))


pytestmark = pytest.mark.usefixtures("quick_roof")


@pytest.mark.slow
def test_the_kernel_has_a_row_of_its_own_and_everything_is_measured(
    monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(device_crossing, "BATCHES", (16, 64))
    monkeypatch.setattr(device_crossing, "DIMS", (2, 4))
    plan = replace(PLAN, quality_seconds=0.2, grid_seconds=60.0)
    by_itself = [text for text in SMALL if not text.startswith("trainer")]
    report = compare(
        settings("mf", by_itself), PAIR, plan, progress=Silent(), pages=lambda _: {"a.html": "page"}
    )
    model = report.models[0]
    assert [cell.setup.label for cell in model.cells] == ["cpu:1", "cpu:2", "cpu:1 kernel"]
    assert [course.setup.label for course in model.courses] == ["cpu:1", "cpu:2", "cpu:1 kernel"]
    assert all(course.epochs for course in model.courses)
    assert [(point.batch_size, point.dim) for point in model.points] == [(16, 2), (16, 4), (64, 2), (64, 4)]  # fmt: skip
    for point in model.points:
        assert {label: len(each) for label, each in point.example_seconds.items()} == {"cpu:1": 3, "cpu:2": 3}  # fmt: skip
    assert set(report.roofs) == {"cpu:1", "cpu:2"}
    for finding in model.findings[:2]:
        assert finding is not None
        assert set(finding.bounds) == {"data", "forward", "backward", "update", "evaluation"}
        for held in finding.bounds.values():
            assert 0 <= held.compute_share <= 1
            assert 0 <= held.memory_share <= 1
    assert runs[0]["artifacts"]["a.html"] == "page"
    assert runs[0]["artifacts"]["devices.json"]["models"][0]["grid"][0]["batch_size"] == 16
    assert runs[1]["metrics"]["forward_seconds"] > 0
    assert [run["tags"]["recsys.device"] for run in runs[1:]] == ["cpu:1", "cpu:2", "cpu:1"]


def test_stopped_it_leaves_what_was_finished(
    runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = comparison.measure

    def stopped(subject: Subject, cells: Sequence[Cell], *rest: Any) -> None:
        measured(subject, cells, *rest)
        if subject.name == "deep":
            raise KeyboardInterrupt

    small = [text for text in SMALL if not text.startswith("model.rank")]
    monkeypatch.setattr(comparison, "measure", stopped)
    report = compare(settings("mf,deep,seq", small), PAIR[:1], PLAN, progress=Silent())
    assert report.interrupted
    assert [model.model for model in report.models] == ["mf", "deep"]
    assert "stopped before its end: what was finished is shown" in report.notes()
    assert [run["status"] for run in runs] == ["KILLED", "FINISHED", "FINISHED"]


def test_every_precision_and_compiling_is_a_setup_of_every_device() -> None:
    grid = Grid(PAIR, ["fp32", "bf16"], [False, True])
    subject = settings("deep", [text for text in SMALL if not text.startswith("model.rank")])
    ready = comparison.prepare(subject[0], progress=Silent())
    assert [setup.label for setup in grid.of(ready.model, ready.trainer)] == [
        "cpu:1", "cpu:2", "cpu:1 compiled", "cpu:2 compiled",
        "cpu:1 bf16", "cpu:2 bf16", "cpu:1 bf16 compiled", "cpu:2 bf16 compiled",
    ]  # fmt: skip

"""Experiments that take no time: the value is a known function of the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys_cli import config, experiment, preparation
from recsys_cli.errors import DivergedError
from recsys_cli.training.loop import Report


class FakeExperiment:
    """Stands in for `experiment.run`: best at rank 32, diverges at rank 666, can be made to die."""

    def __init__(self) -> None:
        self.run_at: list[int] = []
        self.parents: list[str | None] = []
        self.dies_at: int | None = None
        self.resumes: list[bool] = []
        self.tested: list[bool] = []
        self.cannot_go_on: Exception | None = None
        self.refuses: Exception | None = None
        self.parts = ["valid", "test"]

    def prepare(self, settings: config.Config, **_: object) -> SimpleNamespace:
        if self.refuses is not None:
            raise self.refuses
        return SimpleNamespace(parts=self.parts, split=SimpleNamespace(name="global_time"))

    def run(
        self,
        settings: config.Config,
        *,
        run_dir: Path,
        progress: object,
        parent_id: str | None = None,
        resume: bool = False,
        report: Report | None = None,
        tested: bool = True,
    ) -> SimpleNamespace:
        self.resumes.append(resume)
        self.tested.append(tested)
        if resume and self.cannot_go_on is not None:
            raise self.cannot_go_on
        run_dir.mkdir(parents=True, exist_ok=resume)  # fails where something is left
        (run_dir / "half").write_text("")
        rank = settings.tree["model"]["rank"]
        if self.dies_at == len(self.run_at):
            raise KeyboardInterrupt
        self.run_at.append(rank)
        self.parents.append(parent_id)
        for epoch in range(1, 5 if report else 1):
            report(epoch, {"train_loss": 1.0, "valid_ndcg_at_10": self.value(settings) * epoch / 4})
        if rank == 666:
            raise DivergedError("the loss is nan")
        value = self.value(settings)
        metrics = {"valid": {"ndcg_at_10": value}, "test": {}}
        return SimpleNamespace(metrics=metrics, run_id=f"run-{len(self.run_at)}")

    @staticmethod
    def value(settings: config.Config) -> float:
        model = settings.tree["model"]
        return 1 / (1 + abs(model["rank"] - 32)) - model["l2"] / 100


class FakeTracker:
    """Remembers what it was told."""

    location, how_to_open = "somewhere", "recsys ui"

    def __init__(self) -> None:
        self.started: list[dict[str, object]] = []
        self.noted: list[tuple[int, dict[str, float]]] = []
        self.files: list[Path] = []
        self.ended: list[str] = []

    def start(self, **about: object) -> str:
        self.started.append(about)
        return f"parent-{len(self.started)}"

    def metrics(self, values: dict[str, float], step: int = 0, time_ms: int | None = None) -> None:
        self.noted.append((step, dict(values)))

    def artifact(self, path: Path) -> None:
        self.files.append(path)

    def finish(self, status: str = "FINISHED") -> None:
        self.ended.append(status)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeExperiment:
    """Instead of training; the current folder is empty."""
    stand_in = FakeExperiment()
    monkeypatch.setattr(experiment, "run", stand_in.run)
    monkeypatch.setattr(preparation, "prepare", stand_in.prepare)
    monkeypatch.chdir(tmp_path)
    return stand_in


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> FakeTracker:
    """Instead of what the settings name."""
    stand_in = FakeTracker()
    build: Callable[..., object] = config.build
    monkeypatch.setattr(
        config,
        "build",
        lambda node, *, key, **more: (
            stand_in if key == "tracking" else build(node, key=key, **more)
        ),
    )
    return stand_in

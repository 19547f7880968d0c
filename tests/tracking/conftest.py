"""A store that MLflow has made, once; each test gets a copy."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys_cli.tracking import mlflow, sender
from recsys_cli.tracking.mlflow import MlflowTracker
from recsys_cli.tracking.opening import open_store
from recsys_cli.tracking.store import locate
from tests.tracking.servers import Server, serving


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of any store, one that is slow is waited for, and one that fails is asked again soon."""
    monkeypatch.setattr(sender.Condition, "known", {})
    monkeypatch.setattr(mlflow, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(mlflow, "LOCAL_PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0.05)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and no run."""
    folder = tmp_path_factory.mktemp("migrated")
    open_store(locate(None, str(folder)))
    return folder / "mlflow.db"


@pytest.fixture
def root(migrated: Path, tmp_path: Path) -> Path:
    """A folder of runs with a database of its own."""
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    return folder


@pytest.fixture
def tracker(root: Path) -> Callable[..., MlflowTracker]:
    """Makes trackers in that folder; settings can be changed by name."""

    def make(**changed: Any) -> MlflowTracker:
        settings = {"uri": None, "root": str(root), "experiment": "recsys", "flush_seconds": 0.0}
        return MlflowTracker(**(settings | changed))

    return make


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that answers as MLflow does, until it is told to fail."""
    with serving(tmp_path / "served") as state:
        yield state

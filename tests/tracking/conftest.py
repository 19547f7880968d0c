"""A store that MLflow has made, once; each test gets a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli.tracking.mlflow import MlflowTracker, open_store
from recsys_cli.tracking.store import locate


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

"""Running the command line inside the test process, and as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recsys_cli import config, experiment
from recsys_cli.cli.program import app
from recsys_cli.progress import Silent

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def recsys() -> Callable[..., Ended]:
    """The command line in this process: quick, no terminal."""

    def call(*args: str) -> Ended:
        result = CliRunner().invoke(app, args)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def spawn() -> Callable[..., Ended]:
    """The command line as a process of its own."""

    def call(*args: str, cwd: Path | None = None, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "recsys_cli", *args],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


@dataclass(frozen=True)
class TrainedRuns:
    """A folder with `runs/ease`, `ease_again`, `popularity`, `untrained`, `ratings` and, on another split, `other_split`."""

    folder: Path

    def items_of(self, user: int) -> set[int]:
        """All that a user of the runs' data did."""
        settings = config.load(DEMO)
        events = config.build(settings.tree["data"], key="data", progress=Silent())
        own = events.users == events.user_ids.encode(np.array([user]))[0]
        return set(events.item_ids.decode(events.items[own]).tolist())


DEMO = ["data=demo", "data.events=3000", "tracking=none", "device=cpu", "device.threads=1"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainedRuns:
    """Small runs that are only read."""
    folder = tmp_path_factory.mktemp("finished")
    for name, said in {
        "ease": ["model=ease"],
        "ease_again": ["model=ease"],
        "popularity": ["model=popularity"],
        "untrained": ["model=mf", "model.rank=2", "trainer.lr=1e-7", "trainer.epochs=1"],
        "ratings": ["model=baseline", "evaluation=ratings"],
        "other_split": ["model=popularity", "split=leave_last_out"],
    }.items():
        settings = config.load([*DEMO, *said])
        experiment.run(settings, run_dir=folder / "runs" / name, progress=Silent())
    return TrainedRuns(folder)

"""A real MLflow server is killed in the middle of a training, started again, and told the rest."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.moments import module_with

REPOSITORY = Path(__file__).resolve().parents[2]
SAID = [
    "train", "--json", "--no-progress", "--model=mf", "--data=demo", "data.events=3000", "device=cpu",
    "device.threads=1", "model.rank=8", "trainer.epochs=20", "trainer.patience=1000",
    "trainer.batch_size=32", "tracking.flush_seconds=0",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """MLflow's own server over a database in a folder, once it answers."""
    server = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"),
        ],
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    raise AssertionError("the server ended")


def kill(server: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def recsys(folder: Path, *said: str, moment: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*module_with("recsys_cli", moment), *said],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "RECSYS_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def numbers(database: Path, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """What the store has of a run: by key, the steps and values; without what depends on the clock."""
    with closing(sqlite3.connect(database, timeout=30)) as opened:
        rows = opened.execute(
            "select key, step, value from metrics where run_uuid = ? order by step", [run_id]
        ).fetchall()
    found: dict[str, list[tuple[int, float]]] = {}
    for key, step, value in rows:
        found.setdefault(key, []).append((step, 0.0 if "second" in key else value))
    return found


@pytest.mark.slow
def test_a_killed_server_loses_nothing(tmp_path):
    port = free_port()
    uri = f"tracking.uri=http://127.0.0.1:{port}"
    server = serve(tmp_path, port)
    try:
        whole = recsys(tmp_path, *SAID, "--run-dir=whole", uri)
        out, err = whole.communicate(timeout=300)
        assert whole.returncode == 0, err
        reference = json.loads(out)

        kills = f"lambda: os.killpg({server.pid}, signal.SIGKILL)"
        broken = recsys(
            tmp_path,
            *SAID,
            "--run-dir=broken",
            uri,
            moment=f"before('fsync', 'history.jsonl', {kills}, nth=5)",
        )
        out, err = broken.communicate(timeout=300)
        assert broken.returncode == 0, err
        kill(server)
        assert err.count("warning: cannot write to the tracking store") == 1
        told = json.loads(out)
        assert "pending" in told["logged_at"]
        assert told["weights_sha256"] == reference["weights_sha256"]
        assert told["metrics"] == reference["metrics"]

        server = serve(tmp_path, port)
        for _ in range(2):
            synced = recsys(tmp_path, "sync", "broken", "whole", "--json")
            out, err = synced.communicate(timeout=300)
            assert synced.returncode == 0, err
            runs = json.loads(out)["runs"]
            assert [run["state"] for run in runs] == ["delivered"] * 2
        first, second = (numbers(tmp_path / "mlflow.db", run["run_id"]) for run in runs)
        assert first == second
        assert len(first["train_loss"]) == 20
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            assert database.execute("select status from runs").fetchall() == [("FINISHED",)] * 2
    finally:
        kill(server)

"""MLflow's own pages over a local store, for this machine only, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from recsys_cli.errors import ConfigError, TrackingError
from recsys_cli.redact import redact
from recsys_cli.tracking.opening import open_store
from recsys_cli.tracking.store import Store, locate

HOST = "127.0.0.1"
# Without the query the pages open on chats and agents instead of training runs.
PAGE = "#/experiments?workflowType=machine_learning"
COMMAND = ("-m", "mlflow", "server")
START_SECONDS = 120.0
STOP_SECONDS = 5.0


def serve_ui(*, uri: str | None, root: str, port: int, ready: Callable[[str], None]) -> None:
    """Show the recorded runs in a browser; returns after Ctrl-C.

    Args:
        uri: Tracking URI of a database; None for the one in `root`.
        root: Folder of runs.
        port: Where to listen; on 127.0.0.1 only, because the pages ask nobody for a password.
        ready: Called with the address once the pages answer.

    Raises:
        ConfigError: There are no runs, the port is taken, or the URI is that of a server.
        TrackingError: The database is broken, or MLflow's server did not start.
    """
    store = locate(uri, root)
    _expect_runs(store)
    _expect_free(port)
    open_store(store)
    # A plain `kill` must not leave the server behind either.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt), tempfile.TemporaryFile() as said:
            _run(store, port, said, ready)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(store: Store, port: int, said: IO[bytes], ready: Callable[[str], None]) -> None:
    """Run the server until Ctrl-C; if it ends before, tell what it said last."""
    server = _launch(store, port, said)
    try:
        if _answers(server, port):
            ready(f"http://{HOST}:{port}/{PAGE}")
            server.wait()
    finally:
        _stop(server)
    said.seek(0)
    last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    raise TrackingError(f"MLflow's server ended: {redact(last[0]) if last else 'it said nothing'}")


def _expect_runs(store: Store) -> None:
    if store.artifacts is None:
        raise ConfigError(f"{store.shown} is a server", "open this address in a browser")
    if store.database is not None and not store.database.exists():
        raise ConfigError(
            f"{store.database}: there are no runs yet",
            "record one with `recsys train`, or name the folder of runs with --root",
        )


def _expect_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(
                f"--port={port}: {error.strerror}", "give another one, such as --port=5001"
            ) from error


def _launch(store: Store, port: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start MLflow's server, and all that it starts, in a process group of its own."""
    environment = {
        **os.environ,
        # In the environment, because everybody on the machine can read a command line.
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": store.artifacts or "",
        # Without these it starts nine processes and takes half a minute.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }
    options = [
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
        "--uvicorn-opts",
        "--log-level=error",
    ]
    return subprocess.Popen(  # noqa: S603  # a fixed command
        [sys.executable, *COMMAND, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,
    )


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server accepts connections; False if it ends or does not within the time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        time.sleep(0.1)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and everything that it has started."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, end)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)

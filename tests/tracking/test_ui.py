"""MLflow's pages are shown on this machine only, and stop with the command."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from recsys_cli.errors import ConfigError, TrackingError
from recsys_cli.tracking import ui
from recsys_cli.tracking.ui import serve_ui

REPOSITORY = Path(__file__).resolve().parents[2]
SERVE = """
import sys
from recsys_cli.tracking.ui import serve_ui
serve_ui(uri=None, root=sys.argv[1], port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(**changed):
    settings = {"uri": None, "root": "runs", "port": free_port(), "ready": lambda url: None}
    serve_ui(**(settings | changed))


def test_a_folder_without_runs_is_not_made_into_one(tmp_path):
    with pytest.raises(ConfigError, match="no runs yet"):
        serve(root=str(tmp_path / "typo"))
    assert list(tmp_path.iterdir()) == []


def test_a_server_needs_no_server():
    with pytest.raises(ConfigError, match=r"http://\*\*\*@host:5000 is a server"):
        serve(uri="http://user:word@host:5000")


def test_a_taken_port_is_refused(root):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="Address already in use"):
            serve(root=str(root), port=other.getsockname()[1])


def test_a_broken_database_is_not_served(tmp_path):
    (tmp_path / "mlflow.db").write_text("x" * 10_000)
    with pytest.raises(TrackingError, match="not a whole MLflow database"):
        serve(root=str(tmp_path))


def test_a_server_that_ends_says_why(root, monkeypatch):
    script = "import sys; sys.exit('cannot read http://user:CANARY@host')"
    monkeypatch.setattr(ui, "COMMAND", ("-c", script))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrackingError, match=r"server ended: cannot read http://\*\*\*@host"):
        serve(root=str(root))
    assert signal.getsignal(signal.SIGTERM) is handler


def test_ctrl_c_ends_the_server_and_what_it_started(root, tmp_path, monkeypatch):
    pid_file = tmp_path / "pid"
    script = (
        "import pathlib, socket, subprocess, sys, time\n"
        "port = int(sys.argv[sys.argv.index('--port') + 1])\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))\n"
        "server = socket.create_server(('127.0.0.1', port)); time.sleep(60)"
    )
    monkeypatch.setattr(ui, "COMMAND", ("-c", script))

    def press_ctrl_c(url: str) -> None:
        raise KeyboardInterrupt

    serve(root=str(root), ready=press_ctrl_c)
    assert not _runs(int(pid_file.read_text()))


# In place of MLflow's server, which takes seconds: it is connected to, and that is all.
STANDS_FOR_IT = """
from recsys_cli.tracking import ui
ui.COMMAND = ("-c", "import socket, sys, time; port = int(sys.argv[sys.argv.index('--port') + 1]); "
              "server = socket.create_server(('127.0.0.1', port)); time.sleep(600)")
"""


def shown(root: Path, script: str) -> tuple["subprocess.Popen[str]", str]:
    """A process that shows the pages, and their address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(root), str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith(f"http://127.0.0.1:{port}/#/experiments"), process.communicate()[1]
    return process, url


def stop(process: "subprocess.Popen[str]", url: str, end: int) -> None:
    """It ends in silence, and nothing answers any more."""
    process.send_signal(end)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    port = int(url.split(":")[2].partition("/")[0])
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_is_stopped_by_a_signal(root, end):
    stop(*shown(root, STANDS_FOR_IT + SERVE), end)


@pytest.mark.slow
def test_the_pages_answer_until_the_command_is_stopped(root):
    process, url = shown(root, SERVE)
    with urllib.request.urlopen(url) as page:  # noqa: S310  # our own server
        assert b"MLflow" in page.read()
    stop(process, url, signal.SIGTERM)


def _runs(pid: int) -> bool:
    """Whether the process still runs a moment later; a zombie waits only to be noticed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.05)
    return True

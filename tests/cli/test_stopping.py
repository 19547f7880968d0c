"""Ctrl-C and SIGTERM: the first unwinds, the second ends the process; in processes of their own, since they end."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from recsys_cli.cli.stopping import Stop, Terminated

REPOSITORY = Path(__file__).resolve().parents[2]


def as_module(body: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The same, started with -m, where Python ends by the signal itself if that came inside `exec`."""
    folder.joinpath("started.py").write_text(program(body))
    command = [sys.executable, "-m", "started"]
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env=environment
    )


def ends(body: str) -> subprocess.CompletedProcess[str]:
    """A process that runs this with `stop` obeyed and `send(number)` to signal itself."""
    command = [sys.executable, "-c", program(body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def program(body: str) -> str:
    return "\n".join(
        [
            "import os, signal, sys",
            "from recsys_cli.cli.stopping import Stop",
            "send = lambda number: os.kill(os.getpid(), number)",
            "with Stop().obeyed():",
            textwrap.indent(textwrap.dedent(body), "    "),
        ]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_unwinds_and_is_one_line(number):
    ended = ends(
        f"""
        try:
            send({int(number)})
        finally:
            print("closed")
        """
    )
    told = (ended.returncode, ended.stdout, ended.stderr)
    assert told == (128 + number, "closed\n", "recsys: interrupted\n")


@pytest.mark.parametrize(
    "then", ["raise ImportError('a library made this of it')", "sys.exit(1)", "sys.exit(0)"]
)
def test_whatever_becomes_of_the_exception_the_end_is_an_interruption(then):
    ended = ends(
        f"""
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            {then}
        """
    )
    assert ended.returncode == 143
    assert "Traceback" not in ended.stderr


def test_python_puts_no_code_of_its_own_over_ours(tmp_path):
    ended = as_module(
        """
        try:
            send(signal.SIGINT)
        except KeyboardInterrupt:
            exec("raise KeyboardInterrupt")
        """,
        tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (130, "recsys: interrupted\n")


def test_the_second_ends_it_where_it_stands():
    ended = ends(
        """
        try:
            send(signal.SIGINT)
        finally:
            send(signal.SIGTERM)
            print("never reached")
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", "")


def test_one_that_comes_when_all_is_done_leaves_no_traceback():
    ended = ends("import atexit; atexit.register(send, signal.SIGINT)")
    assert (ended.returncode, ended.stderr) == (130, "")


def test_without_a_signal_nothing_is_changed():
    assert ends("sys.exit(5)").returncode == 5
    ended = ends("raise ValueError('a bug')")
    assert ended.returncode == 1
    assert "ValueError: a bug" in ended.stderr


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop().obeyed():
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_termination_is_a_kind_of_ctrl_c():
    stop = Stop()
    with pytest.raises(Terminated):
        stop(signal.SIGTERM, None)
    assert stop.signal == signal.SIGTERM
    assert issubclass(Terminated, KeyboardInterrupt)

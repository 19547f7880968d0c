"""A worker as a process of this machine: told its job, heard, stopped and killed."""

from __future__ import annotations

import sys

import pytest

from recsys_cli.sweeps import launching
from recsys_cli.sweeps.launching import Process

ECHO = "import sys, os\nfor line in sys.stdin: print(line.strip(), os.environ['OMP_NUM_THREADS'], os.getcwd(), flush=True)"


@pytest.fixture
def echo(monkeypatch):
    monkeypatch.setattr(launching, "COMMAND", (sys.executable, "-ISc", ECHO))


def test_it_reads_its_job_and_ends_with_its_input(echo, tmp_path):
    process = Process("a job", folder=tmp_path, threads=3)
    lines = process.lines()

    assert next(lines) == f"a job 3 {tmp_path}\n"
    assert process.code is None
    process.tell_to_stop()
    assert process.wait(60)
    assert process.code == 0
    assert list(lines) == []


def test_one_that_does_not_end_is_killed(echo):
    process = Process("a job")
    lines = process.lines()

    assert next(lines).startswith("a job 1 ")
    assert not process.wait(0)
    process.kill()
    assert process.code == -9
    assert list(lines) == []
    process.tell_to_stop()

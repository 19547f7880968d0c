"""Locks that keep processes apart and die with them."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing

import pytest

from recsys_cli.sweeps.locks import CHOOSING, Alone, FileLocks

HOLDER = """
import fcntl, os, sys, time
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_one_process_s_until_it_is_given_back(tmp_path):
    mine, other = FileLocks(tmp_path / "locks"), FileLocks(tmp_path / "locks")

    assert mine.take(3)
    assert not other.take(3)
    assert other.take(4)
    mine.give_back(3)
    assert other.take(3)
    other.close()
    assert mine.take(3)
    assert mine.take(4)
    mine.close()


def test_a_block_holds_a_lock_and_gives_it_back_when_it_fails(tmp_path):
    mine, other = FileLocks(tmp_path), FileLocks(tmp_path)

    with pytest.raises(ZeroDivisionError), mine.held(CHOOSING):
        1 / other.take(CHOOSING)  # which it cannot
    assert other.take(CHOOSING)
    other.close()


def test_a_lock_dies_with_its_process(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "7")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with closing(FileLocks(tmp_path)) as locks:
            assert not locks.take(7)
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            assert locks.take(7)


def test_who_is_alone_waits_for_nobody():
    locks = Alone()
    with locks.held(CHOOSING), locks.held(CHOOSING):
        assert locks.take(1)
        assert locks.take(1)

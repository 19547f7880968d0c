"""Who holds a lock, without taking it."""

import fcntl
import os

import pytest

from recsys_cli.doctor import locks


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "file.lock"
    path.touch()
    return path


def test_a_free_lock_and_one_that_is_not_there(lock, tmp_path):
    assert locks.holder(lock) is None
    assert locks.holder(tmp_path / "absent.lock") is None


def test_the_process_that_holds_it(lock):
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert locks.holder(lock) in {os.getpid(), locks.UNKNOWN}
        fcntl.flock(file, fcntl.LOCK_UN)
        assert locks.holder(lock) is None


def test_the_kernels_list_tells_the_process(lock, tmp_path, monkeypatch):
    status = lock.stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    monkeypatch.setattr(locks, "LOCKS", tmp_path / "locks")
    (tmp_path / "locks").write_text(
        f"1: POSIX  ADVISORY  WRITE 7 {place} 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 {place} 0 EOF\n"
    )
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert locks.holder(lock) == 4711
        (tmp_path / "locks").unlink()
        assert locks.holder(lock) == locks.UNKNOWN
    assert locks.in_words(4711) == "process 4711"
    assert locks.in_words(locks.UNKNOWN) == "a process that is not seen from here"

"""What is left of disks and memory, and how an error says that it is used up."""

import errno
import os
import resource
import sqlite3
from pathlib import Path

import pytest

from recsys_cli import resources
from recsys_cli.errors import DataError, ResourceError
from recsys_cli.resources import (
    STARTS_WITH,
    disk_full,
    disk_trouble,
    expect_room_to_start,
    free_on_disk,
    in_words,
    memory,
    writing,
)


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(0, "0 bytes"), (512, "512 bytes"), (1_500, "1.5 kB"), (41.2e9, "41 GB"), (2.5e13, "25 TB")],
)
def test_amounts_are_said_as_people_do(n_bytes, words):
    assert in_words(n_bytes) == words


def from_another(error: Exception) -> Exception:
    try:
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("a library gave up") from inner
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, "full"), errno.ENOSPC),
        (OSError(errno.EDQUOT, "quota"), errno.EDQUOT),
        (OSError(errno.EFBIG, "large"), errno.EFBIG),
        (OSError(errno.EIO, "failed"), errno.EIO),
        (sqlite3.OperationalError("database or disk is full"), errno.ENOSPC),
        (sqlite3.OperationalError("disk I/O error"), errno.EIO),
        (RuntimeError("I/O error: No space left on device (os error 28)"), errno.ENOSPC),
        (RuntimeError("I/O error: File too large (os error 27)"), errno.EFBIG),
        (from_another(OSError(errno.ENOSPC, "full")), errno.ENOSPC),
        (OSError(errno.EACCES, "denied"), None),
        (ValueError("os error 280"), None),
        (from_another(ValueError("something else")), None),
    ],
)
def test_a_disk_that_is_full_or_fails_is_known_by_its_number_or_its_words(error, number):
    assert disk_trouble(error) == number


def test_an_error_that_is_its_own_cause_is_looked_at_once():
    error = ValueError("round")
    error.__cause__ = error
    assert disk_trouble(error) is None


def test_the_line_names_the_file_what_it_needs_and_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "free_on_disk", lambda path: 4_000_000)
    told = disk_full(OSError(errno.ENOSPC, "full"), tmp_path / "weights", needs=12_300_000)
    assert told.exit_code == 4
    assert told.line == (
        f"{tmp_path / 'weights'}: cannot be written: No space left on device (needs 12 MB, "
        "4.0 MB are free); make room, or write elsewhere; what was finished before is intact"
    )


def test_the_file_of_the_error_is_named_where_no_other_is():
    assert disk_full(OSError(errno.EIO, "failed", b"some/file")).line.startswith("some/file: ")
    assert str(disk_full(OSError(errno.EFBIG, "large"))).startswith("larger than the largest file")


def test_inside_the_block_only_the_disk_is_told_of(tmp_path):
    with pytest.raises(ResourceError, match="file: cannot be written"), writing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(ValueError, match="another"), writing(tmp_path / "file"):
        raise ValueError("another")
    with pytest.raises(ResourceError, match="in words already"), writing(tmp_path / "file"):
        raise ResourceError("in words already") from OSError(errno.ENOSPC, "full")
    with pytest.raises(DataError, match="denied"), writing(tmp_path / "file"):
        raise DataError("denied") from OSError(errno.EACCES, "denied")


def test_a_limit_on_files_raises_instead_of_killing(tmp_path):
    """The system's signal is ignored by Python, so that the write itself fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(ResourceError, match="ulimit -f"), writing(tmp_path / "file"):
            (tmp_path / "file").write_bytes(bytes(1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_room_is_told_for_a_place_that_is_not_there_yet(tmp_path):
    there = os.statvfs(tmp_path).f_frsize
    assert free_on_disk(tmp_path / "not" / "yet") > there


# ----------------------------------------------------------------------------------------------------------- memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 16 GB available, a process of 1 GB, no limits and no control group."""
    monkeypatch.setattr(resources, "PROC", tmp_path / "proc")
    monkeypatch.setattr(resources, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    write(tmp_path / "proc/meminfo", "MemTotal:  32000000 kB\nMemAvailable:   16000000 kB\n")
    write(tmp_path / "proc/self/status", "Name:\tx\nVmSize:\t 1000000 kB\nVmData:\t 400000 kB\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_the_machine_has_counts_where_nothing_else_does(machine):
    found = memory()
    assert (found.free, found.bound) == (16_000_000 * 1024, "the memory of this machine")


def test_a_limit_of_the_process_counts_what_is_taken_already(machine, monkeypatch):
    limits = {resource.RLIMIT_AS: 3 << 30, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which], -1))
    found = memory()
    assert found.free == (3 << 30) - 1_000_000 * 1024
    assert "ulimit -v" in found.bound
    limits[resource.RLIMIT_DATA] = 1 << 20
    assert memory().free == 0
    assert "ulimit -d" in memory().bound


def test_a_limit_below_what_is_loaded_is_told_before_loading(machine, monkeypatch):
    expect_room_to_start()
    limit = 1_000_000 * 1024 + STARTS_WITH
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, -1))
    expect_room_to_start()
    limit -= 1
    with pytest.raises(ResourceError, match="700 MB are taken before any work begins"):
        expect_room_to_start()


@pytest.mark.parametrize("name", ["/", "/job/step", "/host/name/that/is/not/here"])
def test_a_control_group_of_version_2(machine, name):
    write(machine / "proc/self/cgroup", f"0::{name}\n")
    for group, most in ("", "max"), ("job", "max"), ("job/step", "max"):
        write(machine / "cgroup" / group / "memory.max", most)
        write(machine / "cgroup" / group / "memory.current", "0")
    top = machine / "cgroup"
    at = machine / f"cgroup{name}" if (machine / f"cgroup{name}").exists() else top
    write(at / "memory.max", "2000000000\n")
    write(at / "memory.current", "1500000000\n")
    write(at / "memory.stat", "anon 5\ninactive_file 300000000\nactive_file 7\n")
    assert memory().free == 800_000_000
    assert "control group" in memory().bound


def test_the_groups_above_count_too(machine):
    write(machine / "proc/self/cgroup", "0::/job/step\n")
    for group, most in ("job", "1000"), ("job/step", "2000"):
        write(machine / "cgroup" / group / "memory.max", most)
        write(machine / "cgroup" / group / "memory.current", "400")
    assert memory().free == 600


def test_a_control_group_of_version_1(machine):
    write(machine / "proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/\n")
    write(machine / "cgroup/memory/memory.limit_in_bytes", str(9223372036854771712))
    write(machine / "cgroup/memory/memory.usage_in_bytes", "7")
    assert memory().bound == "the memory of this machine"
    write(machine / "cgroup/memory/x/memory.limit_in_bytes", "3000")
    write(machine / "cgroup/memory/x/memory.usage_in_bytes", "1000")
    write(machine / "cgroup/memory/x/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n")
    assert memory().free == 2_500


def test_without_proc_what_is_installed_bounds_it(machine):
    (machine / "proc/meminfo").unlink()
    assert memory().free == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

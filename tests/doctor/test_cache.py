"""The cache: whole, damaged, being written, and left over."""

import fcntl
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recsys_cli.data import movielens
from recsys_cli.data.cache import cached
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.sources import Member
from recsys_cli.doctor import cache
from recsys_cli.progress import Silent


@pytest.fixture
def root(tmp_path, monkeypatch, checkerboard: Interactions):
    """A cache with one entry."""
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "source").write_text("events")
    cached(Member(tmp_path / "source"), {}, lambda: (checkerboard, []), Silent())
    return tmp_path / "cache"


def found(**how: bool) -> list[tuple[str, str, str]]:
    told = cache.look(**{"deep": False, **how})
    return [
        (one.what, one.state, one.command) for one in told if one.what not in ("disk", "folder")
    ]


def test_no_cache_is_no_trouble_and_none_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    assert found() == []
    assert not list(tmp_path.iterdir())


def test_a_whole_entry(root):
    assert found() == [("parsed data", "ok", "")]


def test_an_entry_that_lost_a_part_of_a_file(root):
    (entry,) = (path for path in (root / "events").iterdir() if path.is_dir())
    (entry / "users.npy").write_bytes(b"short")
    assert found()[1] == ("parsed data", "note", f"rm -r {entry}")


def test_an_archive_is_compared_with_what_was_published_on_demand(root, monkeypatch):
    content = b"an archive"
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    known = {"ml-1m": replace(movielens.ARCHIVES["ml-1m"], checksum=checksum)}
    monkeypatch.setattr(movielens, "ARCHIVES", known)
    (root / "downloads").mkdir()
    (root / "downloads" / "ml-1m.zip").write_bytes(content)
    assert found(deep=True)[1] == ("download", "ok", "")
    (root / "downloads" / "ml-1m.zip").write_bytes(b"another")
    assert found()[1] == ("download", "ok", "")
    assert found(deep=True)[1] == ("download", "mend", f"rm {root}/downloads/ml-1m.zip")


def test_what_a_dead_process_left_and_what_a_living_one_writes(root):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    events, hashes = root / "events", root / "hashes"
    hashes.mkdir(exist_ok=True)
    for path in (
        events / "half.part",
        events / "whole.part",
        hashes / f"x.{dead.pid}.part",
        hashes / f"x.{os.getpid()}.part",
    ):
        path.touch()
    lock = events / "whole.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told = found()
    assert ("lock", "note", "") in told
    left = [command for what, _, command in told if what == "left over"]
    assert left == [f"rm -r {events}/half.part", f"rm -r {hashes}/x.{dead.pid}.part"]


def test_an_entry_that_cannot_be_read_is_damaged(root, monkeypatch):
    def refused(self: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)
    assert found()[1][:2] == ("parsed data", "note")

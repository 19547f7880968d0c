import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recsys_cli.data import cache as module
from recsys_cli.data.cache import cached
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.sources import Member
from recsys_cli.errors import DataError, ResourceError
from recsys_cli.progress import Silent


def events(times: bool = True, text: bool = False) -> Interactions:
    users = np.array([3, 1, 3, 2])
    return from_columns(
        users=users.astype(str) if text else users,
        items=np.array([10, 30, 20, 10]),
        times=np.array([5, 4, 3, 2]) if times else None,
        values=np.array([1, 2, 3, 4.5]),
    )


class Parser:
    """Counts how often it is asked."""

    def __init__(self, result: Interactions | None = None) -> None:
        self.calls = 0
        self.result = events() if result is None else result

    def __call__(self) -> tuple[Interactions, list[str]]:
        self.calls += 1
        return self.result, ["times are guessed"]


@pytest.fixture
def member(tmp_path: Path) -> Member:
    path = tmp_path / "events.csv"
    path.write_text("some text")
    return Member(path)


def entry(cache: Path) -> Path:
    (found,) = (path for path in (cache / "events").iterdir() if path.is_dir())
    return found


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("text", [True, False])
def test_what_comes_back_is_what_was_parsed(
    times: bool, text: bool, cache: Path, member: Member
) -> None:
    original = events(times, text)
    for parser in (Parser(original), Parser(original)):
        loaded = cached(member, {}, parser, Silent())
        assert loaded.digest() == original.digest()
        assert loaded.users.dtype == np.int32
        assert loaded.values.dtype == np.float32


def test_the_second_time_nothing_is_parsed_and_the_notes_are_told_again(
    cache: Path, member: Member, heard
) -> None:
    parser = Parser()
    cached(member, {}, parser, heard)
    cached(member, {}, parser, heard)
    assert parser.calls == 1
    assert heard.notes == ["times are guessed"] * 2


def test_columns_are_mapped_and_not_read(cache: Path, member: Member) -> None:
    loaded = cached(member, {}, Parser(), Silent())
    assert isinstance(loaded.users.base, np.memmap)
    assert not loaded.users.flags.writeable


def test_other_content_or_options_is_another_entry(cache: Path, tmp_path: Path) -> None:
    parser = Parser()
    path = tmp_path / "a.csv"
    now = time.time_ns()
    for text, delimiter in (("one", ","), ("one", ";"), ("two", ",")):
        path.write_text(text)
        os.utime(path, ns=(now, now))  # as where the clock of the file system is coarse
        cached(Member(path), {"delimiter": delimiter}, parser, Silent())
    assert parser.calls == 3


def test_each_file_of_an_archive_has_its_entry(cache: Path, tmp_path: Path) -> None:
    parser = Parser()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "one")
        archive.writestr("b.csv", "two")
    for name in ("a.csv", "b.csv", "a.csv"):
        cached(Member(tmp_path / "a.zip", name), {}, parser, Silent())
    assert parser.calls == 2


def test_the_same_content_elsewhere_is_the_same_entry(cache: Path, tmp_path: Path) -> None:
    parser = Parser()
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("one")
        cached(Member(tmp_path / name), {}, parser, Silent())
    assert parser.calls == 1


def test_a_settled_file_is_hashed_once_and_again_when_it_changes(
    cache: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = Parser()
    os.utime(member.path, (1_000_000_000, 1_000_000_000))
    cached(member, {}, parser, Silent())
    with monkeypatch.context() as patch:
        patch.setattr(module.hashlib, "file_digest", None)  # would fail if asked
        cached(member, {}, parser, Silent())
    member.path.write_text("SOME text")
    os.utime(member.path, (1_000_000_001, 1_000_000_001))
    cached(member, {}, parser, Silent())
    assert parser.calls == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: cut(e / "users.npy"),
        lambda e: (e / "users.npy").write_bytes((e / "users.npy").read_bytes() + b"more"),
        lambda e: cut(e / "manifest.json"),
        lambda e: (e / "manifest.json").write_text("{}"),
        lambda e: (e / "manifest.json").write_text("[1]"),
        lambda e: (e / "manifest.json").unlink(),
        lambda e: (e / "items.npy").unlink(),
        lambda e: (e / "times.npy").write_bytes(b"x" * (e / "times.npy").stat().st_size),
        lambda e: shutil.rmtree(e) or e.mkdir(),
    ],
)
def test_a_damaged_entry_is_parsed_again(damage, cache: Path, member: Member) -> None:
    parser = Parser()
    cached(member, {}, parser, Silent())
    damage(entry(cache))
    loaded = cached(member, {}, parser, Silent())
    assert parser.calls == 2
    assert loaded.digest() == parser.result.digest()
    assert module._load(entry(cache)) is not None


def test_pickles_are_not_loaded(cache: Path, member: Member) -> None:
    parser = Parser()
    cached(member, {}, parser, Silent())
    path = entry(cache) / "user_ids.npy"
    np.save(path, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    manifest = entry(cache) / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"user_ids": 152', f'"user_ids": {path.stat().st_size}')
    )
    assert str(path.stat().st_size) in manifest.read_text()
    cached(member, {}, parser, Silent())
    assert parser.calls == 2


def test_an_error_while_parsing_leaves_no_entry(cache: Path, member: Member) -> None:
    def broken() -> tuple[Interactions, list[str]]:
        raise DataError("line 3")

    with pytest.raises(DataError, match="line 3"):
        cached(member, {}, broken, Silent())
    assert not [path for path in (cache / "events").iterdir() if path.is_dir()]


def test_a_full_disk_leaves_no_entry(
    cache: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ResourceError, match="No space left on device") as caught:
        cached(member, {}, Parser(), Silent())
    assert "RECSYS_CACHE" in caught.value.line
    assert not [path for path in (cache / "events").iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_made_is_named(
    tmp_path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="the cache cannot be written"):
        cached(member, {}, Parser(), Silent())


def test_a_missing_file_is_told_in_our_words(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: does not exist"):
        cached(Member(tmp_path / "absent"), {}, Parser(), Silent())


def test_what_a_killed_process_left_is_swept_away(cache: Path, member: Member) -> None:
    parser = Parser()
    cached(member, {}, parser, Silent())
    half = entry(cache)
    half.rename(half.with_name(f"{half.name}.part"))
    (half.with_name(f"{half.name}.part") / "users.npy").write_bytes(b"half")
    cached(member, {}, parser, Silent())
    assert parser.calls == 2
    assert entry(cache) == half


WORKER = """
import os, signal, sys, time
from pathlib import Path
from recsys_cli.data.cache import cached
from recsys_cli.data.sources import Member
from recsys_cli.progress import Silent
from tests.data.test_cache import events
def parse():
    with open(sys.argv[2], "a") as log:
        log.write("parsed\\n")
    if sys.argv[3] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)
    return events(), []
print(cached(Member(Path(sys.argv[1])), {}, parse, Silent()).digest())
"""


def worker(member: Member, log: Path, how: str = "parses") -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, str(member.path), str(log), how]
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def test_of_parallel_processes_one_parses(cache: Path, member: Member, tmp_path: Path) -> None:
    log = tmp_path / "log"
    outputs = [p.communicate()[0] for p in [worker(member, log) for _ in range(4)]]
    assert log.read_text() == "parsed\n"
    assert outputs == [events().digest() + "\n"] * 4


def test_a_killed_process_blocks_nobody(cache: Path, member: Member, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = worker(member, log, "dies")
    first.communicate()
    assert (first.returncode, log.read_text()) == (-signal.SIGKILL, "parsed\n")
    assert worker(member, log).communicate()[0] == events().digest() + "\n"


CRASHES = """
import os, shutil, sys
from pathlib import Path
import numpy as np
from recsys_cli.data.cache import cache_root, cached
from recsys_cli.data.sources import Member
from recsys_cli.progress import Silent
from tests.data.test_cache import events

def load():
    return cached(Member(Path(sys.argv[1])), {}, lambda: (events(), []), Silent()).digest()

def dying(function, calls_left):
    def call(*arguments, **named):
        if not calls_left:
            os._exit(9)
        calls_left.pop()
        return function(*arguments, **named)
    return call

point, status = 0, 1
while status:
    shutil.rmtree(cache_root() / "events", ignore_errors=True)
    child = os.fork()
    if not child:
        left = [None] * point
        np.save, os.fsync = dying(np.save, left), dying(os.fsync, left)
        Path.rename, Path.mkdir = dying(Path.rename, left), dying(Path.mkdir, left)
        load()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert load() == events().digest()
    assert not list((cache_root() / "events").glob("*.part"))
    point += 1
print(point)
"""


def test_a_crash_at_any_step_of_writing_costs_nothing(cache: Path, member: Member) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", CRASHES, str(member.path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=root, check=True)
    assert int(done.stdout) > 15  # 7 columns are saved and synced, and there is the folder's name

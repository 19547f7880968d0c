"""A new folder is there whole or not at all."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_cli.data.columnar import to_disk
from recsys_cli.data.new_folder import new_folder
from recsys_cli.errors import DataError, ResourceError


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fill(folder: Path, then: BaseException | Callable[[], None]) -> None:
    with new_folder(folder) as part:
        (part / "file").write_text("x")
        if isinstance(then, BaseException):
            raise then
        then()


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "set"
    with new_folder(target) as part:
        (part / "file").write_text("x")
        assert not target.exists()
    assert content(tmp_path) == ["a", "a/b", "a/b/set", "a/b/set/file"]


def test_an_error_inside_leaves_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "theirs").write_text("")
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "a" / "b" / "set", KeyboardInterrupt())
    assert content(tmp_path) == ["a", "a/theirs"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(28, ResourceError), (122, ResourceError), (5, ResourceError), (13, DataError)],
)
def test_what_the_disk_refuses_is_told(number: int, kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind, match="set: cannot be written: "):
        fill(tmp_path / "set", OSError(number, "the reason"))
    assert not content(tmp_path)


def test_a_folder_that_another_made_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "set"

    def make() -> None:
        target.mkdir()
        (target / "theirs").write_text("")

    with pytest.raises(DataError, match="cannot be written"):
        fill(target, make)
    assert content(tmp_path) == ["set", "set/theirs"]


@pytest.mark.parametrize("place", ["file/set", "/proc/set", "x" * 300 + "/set", "/dev/null/set"])
def test_places_where_nothing_can_be_made(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"), new_folder(tmp_path / place):
        pass
    assert content(tmp_path) == ["file"]


def test_what_dead_processes_left_is_swept_and_what_others_write_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here, parts = socket.gethostname(), {}
    for label, name in {
        "dead": f".set.{here}.{dead.pid}.part",
        "own": f".set.{here}.{os.getpid()}.part",
        "alive": f".set.{here}.{os.getppid()}.part",
        "elsewhere": f".set.not-{here}.{dead.pid}.part",
        "other": f".other.{here}.{dead.pid}.part",
        "no number": f".set.{here}.x.part",
    }.items():
        parts[label] = tmp_path / name
        parts[label].mkdir()
        (parts[label] / "file").write_text("half")
    with new_folder(tmp_path / "set"):
        pass
    left = {label for label, path in parts.items() if path.exists()}
    assert left == {"alive", "elsewhere", "other", "no number"}


@pytest.mark.parametrize("point", range(4))
def test_an_error_at_any_step_leaves_nothing(
    point: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making the folder, bringing it to disk, naming it, bringing the name to disk."""
    calls = {"mkdir": 0, "rename": 0, "fsync": 0}
    broken = [("mkdir", 1), ("fsync", 0), ("rename", 0), ("fsync", 1)][point]

    def breaking(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: object, **named: object) -> object:
            calls[name] += 1
            if (name, calls[name] - 1) == broken:
                raise OSError(5, "Input/output error")
            return real(*args, **named)

        monkeypatch.setattr(owner, name, call)

    for owner, name in ((Path, "mkdir"), (Path, "rename"), (os, "fsync")):
        breaking(owner, name)
    with (
        pytest.raises(ResourceError, match="the disk failed"),
        new_folder(tmp_path / "set") as part,
    ):
        (part / "file").write_text("x")
    assert not content(tmp_path)
    to_disk(tmp_path)

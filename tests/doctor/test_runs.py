"""Run folders: under way, cut off, finished, and what dead processes left."""

from pathlib import Path

import pytest

from recsys_cli.doctor import runs
from recsys_cli.tracking.under_way import Running, held


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "my runs"
    make(root / "done", "config.yaml", "metrics.json", "model.safetensors")
    make(root / "sweeps" / "one" / "0", "config.yaml", "metrics.json")
    make(root / "artifacts" / "x", "config.yaml", "metrics.json", "file.part")
    return root


def found(root: Path) -> list[tuple[str, str, str]]:
    return [(one.what, one.state, one.command) for one in runs.look(root) if one.what != "disk"]


def test_no_folder_is_no_trouble_and_none_is_made(tmp_path):
    assert found(tmp_path / "runs") == [("folder", "ok", "")]
    assert not list(tmp_path.iterdir())


def test_finished_ones_are_counted(root):
    assert found(root) == [("finished", "ok", "")]
    assert any(one.text == f"2 in {root}" for one in runs.look(root))


def test_one_that_was_cut_off_comes_with_the_command_that_goes_on(root):
    folder = make(root / "cut", "config.yaml")
    Running("", {}, []).write(folder)
    assert found(root)[1:] == [
        ("cut off", "note", f"recsys train --resume='{folder}'"),
    ]


def test_one_that_is_under_way_is_left_alone(root):
    folder = make(root / "alive", "config.yaml", "x.part")
    Running("", {}, []).write(folder)
    with held(folder):
        assert ("under way", "ok", "") in found(root)
        assert [what for what, *_ in found(root)] == ["under way", "finished"]


def test_half_written_files_of_the_dead_are_told(root):
    make(root / "dead" / "checkpoint", "00000001.json.part", ".tmpAbC")
    told = found(root)
    assert told[1:] == [
        ("left over", "note", f"rm -r '{root}/dead/checkpoint/.tmpAbC'"),
        ("left over", "note", f"rm -r '{root}/dead/checkpoint/00000001.json.part'"),
    ]


def test_of_many_only_some_are_shown(root):
    for number in range(8):
        Running("", {}, []).write(make(root / f"cut{number}", f"{number}.part"))
    texts = [one.text for one in runs.look(root)]
    assert texts.count("and 3 more") == 2

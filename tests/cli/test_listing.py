from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli import catalogue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for group, text in {
        "model": "# Mine | slide 3 | Somebody 2020\n"
        "defaults:\n  - override /trainer: adam  # it has layers\n"
        "_target_: my.Mine\nrank: 8  # length of the vectors [1, 4096]\n",
        "data": "# Two users and a dog | me\n"
        "defaults:\n  - override /split: leave_last_out  # it has no clock\n"
        "_target_: my.load\nsource: null  # a folder\n",
    }.items():
        (tmp_path / group).mkdir()
        (tmp_path / group / "mine.yaml").write_text(text)
    return tmp_path


def test_models_are_a_line_each(recsys: Callable[..., Any], folder: Path) -> None:
    lines = recsys("models", f"--config-dir={folder}").out.splitlines()
    assert lines[0] == "model\twhat\tslides\tpaper"
    assert "mine\tMine\tslide 3\tSomebody 2020" in lines
    assert [line.split("\t")[0] for line in lines[1:]] == catalogue.names("model", [folder])


def test_data_sets_are_a_line_each(recsys: Callable[..., Any], folder: Path) -> None:
    lines = recsys("data", "list", f"--config-dir={folder}").out.splitlines()
    assert lines[0] == "data\twhat\tsource"
    assert "mine\tTwo users and a dog\tme" in lines


def test_a_model_shows_its_settings_then_its_trainers(
    recsys: Callable[..., Any], folder: Path
) -> None:
    lines = recsys("models", "mine", f"--config-dir={folder}").out.splitlines()
    assert lines[:4] == [
        "mine\tMine | slide 3 | Somebody 2020",
        "trainer\tadam: it has layers",
        "setting\tdefault\trange\tmeaning",
        "model.rank\t8\t[1, 4096]\tlength of the vectors",
    ]
    adam = catalogue.keys(catalogue.find("trainer", "adam").path)
    assert [line.split("\t")[0] for line in lines[4:]] == [f"trainer.{key.name}" for key in adam]


def test_a_model_without_a_pick_shows_the_usual_trainer(
    recsys: Callable[..., Any], folder: Path
) -> None:
    (folder / "model" / "plain.yaml").write_text("# Plain\n_target_: my.Plain\n")
    out = recsys("models", "plain", f"--config-dir={folder}").out
    usual = catalogue.picks(catalogue.builtin_directory() / f"{catalogue.ROOT}.yaml")
    assert f"trainer\t{next(pick.name for pick in usual if pick.group == 'trainer')}\n" in out


def test_a_data_set_shows_its_settings_and_its_split(
    recsys: Callable[..., Any], folder: Path
) -> None:
    out = recsys("data", "settings", "mine", f"--config-dir={folder}").out
    assert "split\tleave_last_out: it has no clock\n" in out
    assert "data.source\tnull\t\ta folder\n" in out
    assert "split.min_events\t" in out


def test_an_unknown_name_is_one_line(recsys: Callable[..., Any], folder: Path) -> None:
    for command in (["models", "mein"], ["data", "settings", "miin"], ["data", "describe", "miin"]):
        ended = recsys(*command, f"--config-dir={folder}")
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert "did you mean 'mine'?" in ended.err

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli import catalogue, config
from recsys_cli.cli import options
from recsys_cli.errors import ConfigError


def test_options_become_overrides_before_those_typed() -> None:
    said = options.collect(["trainer.lr=0.1"], seed=3, model="mf", data=None, device="cpu")
    assert said == ["model=mf", "device=cpu", "seed=3", "trainer.lr=0.1"]


def test_nothing_said_is_no_override() -> None:
    assert options.collect(None, seed=None, model=None) == []


def test_seed_zero_is_said() -> None:
    assert options.collect([], seed=0) == ["seed=0"]


def test_every_group_has_an_option_and_its_names_in_the_help(recsys: Callable[..., Any]) -> None:
    shown = "".join(recsys("train", "--help").out.split())  # lines are broken at hyphens too
    for group in options.GROUPS:
        assert f"--{group}NAME" in shown
        assert f"Oneof:{','.join(catalogue.names(group)) or 'noneyet'}." in shown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "# Mine | slide 3 | Somebody 2020\n_target_: my.M\n"
    )
    return tmp_path


def test_help_lists_the_users_names(recsys: Callable[..., Any], folder: Path) -> None:
    assert "mine" in recsys("train", f"--config-dir={folder}", "--help").out
    assert "mine" not in recsys("train", "--help").out


def test_help_lists_the_names_of_the_environments_folder(
    recsys: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(folder))
    assert "mine" in recsys("train", "--help").out


def test_options_stand_anywhere(
    recsys: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def load(overrides: list[str], config_dirs: tuple[Path, ...]) -> None:
        seen.append(overrides)
        raise ConfigError("far enough")

    monkeypatch.setattr(config, "load", load)
    recsys("train", "model.rank=2", "--model", "mf", "~trainer.lr", "--json", "+tag=x", "--seed=1")
    assert seen == [["model=mf", "seed=1", "model.rank=2", "~trainer.lr", "+tag=x"]]


def test_an_allowed_package_may_lie_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(config.binding, "_own_packages", [])
    before = list(sys.path)
    options.allow(None)
    assert sys.path == before
    options.allow(["my_models"])
    assert sys.path == [*before, str(tmp_path)]
    assert config.binding._own_packages == ["my_models"]

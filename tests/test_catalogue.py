import os
from pathlib import Path

import pytest

from recsys_cli import catalogue
from recsys_cli.catalogue import Key, Pick
from recsys_cli.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "# A model of my own | slide 3 | Somebody 2020\n"
        "defaults:\n"
        "  - override /trainer: adam  # it has layers\n"
        "_target_: my_models.Mine\n"
        "rank: 64  # length of the vectors [1, 4096]\n"
        "\n"
        "# a remark: not a key\n"
        "loss: bpr  # what is minimised {squared, bpr}\n"
        "widths: [64, 32]  # units of each layer, in order [1, 8192]\n"
        "rate: 0.1  # a share (0, 1)\n"
        "least: 3  # at least this many [3, )\n"
        'separator: "#"  # what stands between fields\n'
        "tab: '\\t'\n"
        "url: http://host/#part  # where (and only there)\n"
        "empty:  # to be given\n",
        encoding="utf-8",
    )
    return tmp_path


def settings(folder: Path) -> dict[str, Key]:
    return {key.name: key for key in catalogue.keys(folder / "model" / "mine.yaml")}


def test_an_entry_is_read_from_the_first_line(folder: Path) -> None:
    entry = catalogue.find("model", "mine", [folder])
    assert entry.title == "A model of my own"
    assert entry.notes == ("slide 3", "Somebody 2020")
    assert entry.path == folder / "model" / "mine.yaml"


def test_a_file_without_a_comment_has_no_title(folder: Path) -> None:
    (folder / "model" / "bare.yaml").write_text("_target_: my_models.Bare\n")
    assert catalogue.find("model", "bare", [folder]).title == ""


@pytest.mark.parametrize(
    ("name", "default", "meaning", "allowed"),
    [
        ("rank", "64", "length of the vectors", "[1, 4096]"),
        ("loss", "bpr", "what is minimised", "{squared, bpr}"),
        ("widths", "[64, 32]", "units of each layer, in order", "[1, 8192]"),
        ("rate", "0.1", "a share", "(0, 1)"),
        ("least", "3", "at least this many", "[3, )"),
        ("separator", '"#"', "what stands between fields", ""),
        ("tab", r"'\t'", "", ""),
        ("url", "http://host/#part", "where (and only there)", ""),
        ("empty", "", "to be given", ""),
    ],
)
def test_a_key_is_read_with_its_comment(
    folder: Path, name: str, default: str, meaning: str, allowed: str
) -> None:
    assert settings(folder)[name] == Key(name, default, meaning, allowed)


def test_target_and_defaults_are_no_keys(folder: Path) -> None:
    assert list(settings(folder)) == [
        *("rank", "loss", "widths", "rate", "least", "separator", "tab", "url", "empty")
    ]


def test_a_pick_carries_its_reason(folder: Path) -> None:
    path = folder / "model" / "mine.yaml"
    assert catalogue.picks(path) == [Pick("trainer", "adam", "it has layers")]


def test_the_users_folder_adds_to_the_built_in_one(folder: Path) -> None:
    assert {"mf", "mine"} <= set(catalogue.names("model", [folder]))
    assert "mine" not in catalogue.names("model")


def test_the_first_folder_wins(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "model").mkdir()
    for name in ("mine", "mf"):
        (other / "model" / f"{name}.yaml").write_text("# Another\n")
    assert catalogue.find("model", "mine", [folder, other]).title == "A model of my own"
    assert catalogue.find("model", "mine", [other, folder]).title == "Another"
    assert catalogue.find("model", "mf", [other]).title == "Another"


def test_an_unknown_name_is_answered_with_the_nearest(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no model called 'mien'") as caught:
        catalogue.find("model", "mien", [folder])
    assert "did you mean 'mine'?" in caught.value.hint


def test_a_path_is_not_a_name(folder: Path) -> None:
    (folder / "evil.yaml").write_text("# outside\n")
    with pytest.raises(ConfigError):
        catalogue.find("model", "../evil", [folder])


def test_folders_come_from_the_environment_too(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setenv(catalogue.ENVIRONMENT, f"{other}{os.pathsep}{folder}")
    assert catalogue.user_directories() == [other, folder]
    assert catalogue.user_directories([folder]) == [folder, other]
    assert "mine" in catalogue.names("model")


@pytest.mark.parametrize("origin", ["--config-dir", catalogue.ENVIRONMENT])
def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    absent = tmp_path / "absent"
    if origin == catalogue.ENVIRONMENT:
        monkeypatch.setenv(origin, str(absent))
    with pytest.raises(ConfigError, match=f"{origin}: '{absent}' is not a folder"):
        catalogue.user_directories([] if origin == catalogue.ENVIRONMENT else [absent])


def test_a_file_that_is_not_text_is_named(folder: Path) -> None:
    path = folder / "model" / "odd.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        catalogue.entries("model", [folder])


def test_a_model_picks_its_trainer_unless_one_is_given(folder: Path) -> None:
    assert catalogue.chosen({"model": "mine"}, [folder])["trainer"] == "adam"
    given = {"model": "mine", "trainer": "gradient"}
    assert catalogue.chosen(given, [folder])["trainer"] == "gradient"


def test_override_keys_are_those_of_the_chosen_names(folder: Path) -> None:
    keys = catalogue.override_keys({"model": "mine"}, [folder])
    assert keys["model.rank"].default == "64"
    assert {"seed", "trainer.lr"} <= set(keys)
    assert "model.biases" not in keys


def test_groups_are_folders(folder: Path) -> None:
    (folder / "flavour").mkdir()
    (folder / ".hidden").mkdir()
    assert {"model", "data", "split", "trainer"} <= set(catalogue.groups())
    assert set(catalogue.groups([folder])) - set(catalogue.groups()) == {"flavour"}


def test_every_built_in_setting_has_a_meaning() -> None:
    silent = [
        f"{group}/{entry.name}: {key.name}"
        for group in catalogue.groups()
        for entry in catalogue.entries(group)
        for key in catalogue.keys(entry.path)
        if not key.meaning
    ]
    assert silent == []


def test_every_built_in_file_has_a_title() -> None:
    entries = [entry for group in catalogue.groups() for entry in catalogue.entries(group)]
    assert [f"{entry.group}/{entry.name}" for entry in entries if not entry.title] == []

"""Files of the user's own: what a malicious or broken one can do to a composition, which is nothing."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import hydra.conf
import pytest
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_cli import catalogue, config
from recsys_cli.config.folders import ConfigFolder
from recsys_cli.errors import ConfigError

OWN = "# mine\n_target_: recsys_cli.models.baselines.popularity.Popularity\n"
BOMB = "x: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdef", "bcdefg", strict=True)
)
# what is said with the file's own path, and what with a key or name that it gives
BAD = {
    "an alias bomb": (OWN + BOMB, "line 8: stands for more than 100,000 values; write plain values"),
    "very many aliases": (OWN + "x: [&a 1" + ", *a" * 101 + "]\n", "line 3: has more than 100 aliases (*name); write plain values"),
    "an alias of itself": (OWN + "x: &a [*a]\n", "line 3: *a stands for nothing, or for itself; write plain values"),
    "a Python call": (OWN + "x: !!python/object/apply:os.system [touch canary]\n", "line 3: has the tag tag:yaml.org,2002:python/object/apply:os.system; write plain values"),
    "a Python module": (OWN + "x: !!python/module:os\n", "line 3: has the tag tag:yaml.org,2002:python/module:os; write plain values"),
    "a path object": (OWN + "x: !!python/object/apply:pathlib.Path [/etc]\n", "line 3: has the tag tag:yaml.org,2002:python/object/apply:pathlib.Path; write plain values"),
    "a tag of one's own": (OWN + "x: !include other.yaml\n", "line 3: has the tag !include; write plain values"),
    "a deep nest": (OWN + "x: " + "[" * 5000 + "]" * 5000, "line 3: is nested deeper than 40 levels; write plain values"),
    "a key twice": (OWN + "x: 1\nx: 2\n", "cannot be read: line 4, column 1: found duplicate key x; mend the YAML"),
    "a tab": (OWN + "x:\n\t- 1\n", "cannot be read: line 4, column 1: found character '\\t' that cannot start any token; mend the YAML"),
    "an open bracket": (OWN + "x: [1\n", "cannot be read: line 4, column 1: expected ',' or ']', but got '<stream end>'; mend the YAML"),
    "two documents": (OWN + "---\n" + OWN, "cannot be read: line 3, column 1: but found another document; mend the YAML"),
    "a NUL byte": (OWN + "x: \0\n", "cannot be read: unacceptable character #x0000: special characters are not allowed in \"<unicode string>\", position 70; mend the YAML"),
    "half a character": (OWN + 'x: "\\ud800"\n', "line 3: has half a character (a lone surrogate); write plain values"),
    "another encoding": (OWN.encode("utf-16"), "cannot be read: byte 0 is not UTF-8; it must be a YAML file in UTF-8"),
    "two megabytes": (OWN + "# " + "x" * 2_000_000, "is larger than 1,000,000 bytes; settings are small files"),
    "a list": ("- 1\n", "expected settings by name; write key: value"),
    "Hydra's settings": (OWN + "hydra: {searchpath: [file:///tmp]}\n", "Hydra's own settings are not ours to take; leave them out"),
    "Hydra's package": ("# @package hydra.job\nname: x\n", "Hydra's own settings are not ours to take; leave them out"),
    "Hydra's groups": ("defaults:\n  - /hydra/launcher: basic\n" + OWN, "defaults: Hydra's own settings are not ours to take; leave them out"),
    "the environment": (OWN + "x: ${oc.env:HOME}\n", "x: '${oc.env:HOME}' calls a resolver; write the value itself"),
    "the environment in a list": (OWN + "x: [[{y: '${oc.env:HOME}'}]]\n", "x.0.0.y: '${oc.env:HOME}' calls a resolver; write the value itself"),
    "the environment in a choice": ("defaults:\n  - override /trainer@_global_.trainer: ${oc.env:HOME}\n" + OWN, "defaults.0.override /trainer@_global_.trainer: '${oc.env:HOME}' calls a resolver; write the value itself"),
    "a package elsewhere": ("# @package a b c\n" + OWN, "cannot be read: Too many components in '@package a b c'; mend the YAML"),
}  # fmt: skip
UNFIT = {
    "a NUL in a value": (OWN.replace("mine", "mine") + 'x: "a\\0b"\n', "model.x is not a setting of Popularity; there are none"),
    "a file outside": ("defaults:\n  - ../../evil\n" + OWN, "In 'model/mine': Could not load 'model/../../evil'; see recsys train --dry-run"),
    "an absolute file": ("defaults:\n  - /../evil\n" + OWN, "In 'model/mine': Could not load '../evil'; see recsys train --dry-run"),
    "a call in a list": (OWN + "x: [{_target_: os.system}]\n", "model.x is not a setting of Popularity; there are none"),
    "a call to finish": (OWN + "_partial_: true\n", "model._partial_ is not a setting of Popularity; there are none"),
    "arguments": (OWN + "_args_: [1]\n", "model._args_ is not a setting of Popularity; there are none"),
    "an unknown choice": ("defaults:\n  - override /trainer@_global_.trainer: adm\n" + OWN, "no trainer called 'adm'; did you mean 'adam'? (there are: adam, attention, closed_form, gradient, sequence, sessions)"),
    "an unknown file": ("defaults:\n  - other\n" + OWN, "In 'model/mine': Could not load 'model/other'; see recsys train --dry-run"),
    "an unknown group": ("defaults:\n  - override /trianer: adam\n" + OWN, "no setting called 'trianer' here; did you mean 'trainer'? (there are: data, device, evaluation, filter, model, preset, split, tracking, trainer)"),
    "an unknown key": (OWN + "x: ${nowhere}\n", "model.x: Interpolation key 'nowhere' not found; write the value itself"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the user's, beside a file that is not in it."""
    (tmp_path / "evil.yaml").write_text("evil: true\n")
    (tmp_path / "mine" / "model").mkdir(parents=True)
    return tmp_path / "mine"


@pytest.fixture
def write(folder: Path) -> Callable[[str | bytes], Path]:
    def put(content: str | bytes) -> Path:
        data = content.encode() if isinstance(content, str) else content
        (folder / "model" / "mine.yaml").write_bytes(data)
        return folder

    return put


@pytest.mark.parametrize("name", BAD | UNFIT)
def test_a_bad_file_is_one_line(write, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "CANARY")
    content, told = (BAD | UNFIT)[name]
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine"], [write(content)])
    line = caught.value.line
    assert line == (f"{tmp_path / 'mine' / 'model' / 'mine.yaml'}: {told}" if name in BAD else told)
    assert "\n" not in line
    assert len(line) < 1000
    assert "CANARY" not in line
    assert not (tmp_path / "canary").exists()


def test_a_byte_order_mark_and_a_few_aliases_are_taken(write):
    text = "\ufeff# mine\n_target_: &a recsys_cli.models.baselines.popularity.Popularity\n"
    assert config.load(["model=mine"], [write(text)]).choices["model"] == "mine"


@pytest.mark.parametrize("beside", ["mine", "built in", "hydra"])
def test_a_default_leads_out_of_no_folder(write, tmp_path, beside):
    """Not out of the user's, not out of ours, and not out of Hydra's, where it would be read unmeasured."""
    folder = write("")
    start = {
        "mine": folder,
        "built in": catalogue.builtin_directory(),
        "hydra": Path(hydra.conf.__file__).parent,
    }[beside]
    for way in (os.path.relpath(tmp_path, start), str(tmp_path)):
        write(f"defaults:\n  - /{way}/evil@_global_\n  - _self_\n" + OWN)
        with pytest.raises(ConfigError, match="evil"):
            config.load(["model=mine"], [folder])


def test_an_unknown_choice_is_answered_with_ours_and_the_users(write):
    folder = write("defaults:\n  - override /trainer@_global_.trainer: adm\n" + OWN)
    (folder / "trainer" / "folder").mkdir(parents=True)
    (folder / "trainer" / "adn.yaml").write_text("lr: 1\n")
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine"], [folder])
    names = sorted([*catalogue.names("trainer"), "adn"])
    assert f"(there are: {', '.join(names)})" in caught.value.line


def test_a_mistyped_key_of_a_file_of_ones_own_is_answered(write):
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine", "model.onw=2"], [write(OWN + "own: 1\n")])
    assert "'model.onw' here; did you mean 'model.own'" in caught.value.line


def test_a_key_deep_in_a_file_of_ones_own_is_answered_by_its_last_name(write):
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine", "deep=2"], [write(OWN + "own: {deep: 1}\n")])
    assert caught.value.line == (
        "no setting called 'deep' here; did you mean 'model.own.deep'? (+deep=... adds a note of your own)"
    )


def test_a_folder_tells_what_is_in_it(write):
    folder = write(OWN)
    (folder / "model" / "inner").mkdir()
    source = ConfigFolder("mine", f"recsys://{folder}")
    assert source.available()
    assert source.list("model", None) == ["inner", "mine"]
    assert source.list("model", ObjectType.CONFIG) == ["mine"]
    assert source.list("model", ObjectType.GROUP) == ["inner"]
    assert source.list("nothing", None) == []
    assert source.list("../mine", None) == []
    assert not source.is_config("../evil")
    assert not ConfigFolder("mine", f"recsys://{folder}/nothing").available()


def test_a_file_that_cannot_be_composed_is_told_before_what_was_typed(write):
    folder = write("defaults:\n  - override /trianer: adam\n" + OWN)
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine", "sede=1"], [folder])
    assert "'trianer' here; did you mean 'trainer'" in caught.value.line


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "dangling"])
def test_what_is_no_regular_file_is_no_choice(folder, kind):
    path = folder / "model" / "odd.yaml"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),  # reading it would wait for ever
        "loop": lambda: path.symlink_to(path),
        "dangling": lambda: path.symlink_to(folder / "nothing"),
    }[kind]()
    with pytest.raises(ConfigError, match="no model called 'odd'"):
        config.load(["model=odd"], [folder])


def test_the_root_is_always_ours(folder):
    (folder / "experiment.yaml").write_text("defaults: [_self_]\nevil: true\n")
    assert "evil" not in config.load(["model=popularity"], [folder]).tree


def test_a_plugin_in_the_working_folder_is_not_imported(tmp_path, monkeypatch):
    plugins = tmp_path / "hydra_plugins"
    plugins.mkdir()
    (plugins / "evil.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    config.load(["model=popularity"])
    monkeypatch.delitem(sys.modules, "hydra_plugins", raising=False)
    monkeypatch.delitem(Singleton._instances, Plugins)  # it looks for plugins once in a process
    config.load(["model=popularity"])
    assert not (tmp_path / "canary").exists()


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="abx_:[]{}&*!-'\"\\n #$%|>?", max_size=60))
def test_any_bytes_are_settings_or_one_line(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("own")
    (folder / "model").mkdir()
    data = content.encode() if isinstance(content, str) else content
    (folder / "model" / "mine.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        config.load(["model=mine"], [folder])
    assert "\n" not in caught.value.line


@given(st.text(max_size=30))
def test_any_text_as_a_group_s_name_stays_inside(name):
    """A name is one of those that are listed, or it is refused: it never becomes a path."""
    with pytest.raises(ConfigError):
        config.load([f"model={name}/../mf"])

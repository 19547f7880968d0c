"""Settings read back from a run's folder meet the same checks as those of the command line."""

import re
from pathlib import Path

import pytest

from recsys_cli import catalogue, config
from recsys_cli.errors import ConfigError

CHOICES = {"model": "mf", "data": "demo"}


@pytest.fixture
def written(tmp_path):
    """Writes settings with some lines replaced; the file."""

    def write(old: str = "", new: str = "") -> Path:
        text = config.load(["data=demo", "trainer.lr=1e-5", "tracking=none"]).yaml()
        assert old in text
        (tmp_path / "config.yaml").write_text(text.replace(old, new, 1))
        return tmp_path / "config.yaml"

    return write


def test_what_was_written_is_read_back_with_the_same_hash(written):
    before = config.load(["data=demo", "trainer.lr=1e-5", "tracking=none"])
    after = config.from_file(written(), CHOICES)
    assert after.tree == before.tree
    assert after.hash == before.hash
    assert after.choices == CHOICES


@pytest.mark.parametrize("group", ["data", "split", "model", "trainer", "evaluation", "device", "tracking"])  # fmt: skip
def test_every_chosen_setting_survives_the_file(tmp_path, group):
    for name in catalogue.names(group):
        text = catalogue.find(group, name).path.read_text()
        open_keys = re.findall(r"^(\w+): \?{3}", text, re.MULTILINE)
        # a path may look like a day too, and the later of two days stands first
        needed = [f"{group}.{key}=2020-01-0{9 - n}" for n, key in enumerate(open_keys)]
        before = config.compose_checked([f"{group}={name}", *needed])
        (tmp_path / "config.yaml").write_text(before.yaml())
        assert config.from_file(tmp_path / "config.yaml", {}).tree == before.tree


BAD = {
    "a class of another package": ("recsys_cli.models.first_try.mf.MF", "os.system", "_target_"),
    "a function that is imported": (
        "recsys_cli.models.first_try.mf.MF",
        "recsys_cli.config.binding.importlib.import_module",
        "_target_",
    ),
    "a resolver": ("root: runs", "root: ${oc.env:HOME}", "left to resolve"),
    "a reference": ("root: runs", "root: ${seed}", "left to resolve"),
    "an unknown setting": ("rank: 64", "rnak: 64", "model.rnak"),
    "a value out of range": ("rank: 64", "rank: 0", "model.rank=0"),
    "text for a number": ("rank: 64", "rank: '64'", "model.rank='64'"),
    "not a number": ("seed: 0", "seed: .nan", "seed"),
    "a missing group": ("tracking:", "+tracking:", "no tracking is chosen"),
    "an alias of itself": ("root: runs", "root: &a [*a]", "for itself"),
    "a Python object": ("root: runs", "root: !!python/object/apply:os.system [true]", "has the tag"),
    "a key twice": ("seed: 0", "seed: 0\nseed: 1", "seed is given twice"),
    "broken YAML": ("root: runs", "root: [", "cannot be read"),
    "a key that is no text": ("root: runs", "root: runs\n7: x", "by name"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_the_command_line_would_refuse_is_refused(written, name):
    old, new, message = BAD[name]
    with pytest.raises(ConfigError, match=message) as caught:
        config.from_file(written(old, new), CHOICES)
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"- a\n- b\n", b"just text", b"[" * 2_000]
)
def test_a_file_that_holds_no_settings_is_one_line(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        config.from_file(tmp_path / "config.yaml", CHOICES)
    assert len(caught.value.line) < 1_000


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        config.from_file(tmp_path / "nowhere.yaml", CHOICES)

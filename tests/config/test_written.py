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


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("model=seq", "  shuffled: false\n"),
        ("model=seq", "  last_item: false\n"),
        ("model=seq", "  shift: false\n"),
        ("model=sasrec", "  context: []\n"),
        ("data=frappe split=official", "  ask: every_user\n"),
        ("model=mf", "  compile: false\n"),
    ],
)
def test_a_run_of_a_version_without_a_setting_reads_as_what_it_did(tmp_path, said, line):
    today = config.load(["data=demo", *said.split()] if "data=" not in said else said.split())
    assert line in today.yaml()
    (tmp_path / "config.yaml").write_text(today.yaml().replace(line, "", 1))
    read = config.from_file(tmp_path / "config.yaml", today.choices)
    assert read.tree == today.tree
    assert read.hash == today.hash


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
    "a class of another package": ("recsys_cli.models.first_try.mf.MF", "os.system", "model._target_: 'os.system' is none of ours for a model, and in none of the packages that you allow (none); name your own package with --allow-package"),
    "a function that is imported": (
        "recsys_cli.models.first_try.mf.MF",
        "recsys_cli.config.binding.importlib.import_module",
        "model._target_: 'recsys_cli.config.binding.importlib.import_module' is none of ours for a model, and in none of the packages that you allow (none); name your own package with --allow-package",
    ),
    "a resolver": ("root: runs", "root: ${oc.env:HOME}", "{file}: root: '${oc.env:HOME}' is left to resolve; write the value"),
    "a reference": ("root: runs", "root: ${seed}", "{file}: root: '${seed}' is left to resolve; write the value"),
    "an unknown setting": ("rank: 64", "rnak: 64", "model.rnak is not a setting of MF; did you mean 'rank'? (there are: biases, init_sd, l2, loss, negatives, rank)"),
    "a value out of range": ("rank: 64", "rank: 0", "model.rank=0: input should be greater than or equal to 1; it takes a whole number in [1, 4096]"),
    "text for a number": ("rank: 64", "rank: '64'", "model.rank='64': text is not a value of it; it takes a whole number in [1, 4096]"),
    "not a number": ("seed: 0", "seed: .nan", "seed=nan: input should be a finite number; it takes a whole number in [0, 9223372036854775807]"),
    "a missing group": ("tracking:", "+tracking:", "no tracking is chosen; give tracking=NAME: mlflow, none"),
    "an alias of itself": ("root: runs", "root: &a [*a]", "{file}: line {root}: *a stands for nothing, or for itself; write plain values"),
    "a Python object": ("root: runs", "root: !!python/object/apply:os.system [true]", "{file}: line {root}: has the tag tag:yaml.org,2002:python/object/apply:os.system; write plain values"),
    "a key twice": ("seed: 0", "seed: 0\nseed: 1", "{file}: line {end}: seed is given twice; give it once"),
    "broken YAML": ("root: runs", "root: [", "{file}: cannot be read: line {end}, column 1: expected ',' or ']', but got '<stream end>'; mend the YAML"),
    "a key that is no text": ("root: runs", "root: runs\n7: x", "{file}: expected settings by name; train again"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_the_command_line_would_refuse_is_refused(written, name):
    old, new, message = BAD[name]
    lines = written().read_text().splitlines()
    file = written(old, new)
    with pytest.raises(ConfigError) as caught:
        config.from_file(file, CHOICES)
    places = {
        "{file}": str(file),
        "{root}": f"{lines.index('root: runs') + 1}",
        "{end}": f"{len(lines) + 1}",
    }
    for name, place in places.items():
        message = message.replace(name, place)
    assert caught.value.line == message


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

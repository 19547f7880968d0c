"""Names from anywhere: none leads out of a folder of ours, steers the terminal, or becomes part of a command."""

import shlex
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recsys_cli import catalogue
from recsys_cli.cli.data_import import _command
from recsys_cli.data.imported import import_csv
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.progress import Silent
from recsys_cli.redact import printable
from recsys_cli.sweeps.plan import make_plan

ODD = (
    "../../x", "/etc/x", "..", ".", "", "a/b/../../../x", "a\nb", "a\0b", "x" * 10_000, "-rf", "~root/x", "$(touch x)",
    "`touch x`", "a;b", "a b", "'", '"', "\x1b[31mred", "user\u202egnp", "\ud800", "a\\b", "C:\\x", "${oc.env:HOME}",
)  # fmt: skip
NAMES = st.text(max_size=30) | st.sampled_from(ODD)
CSV = {
    "path": "absent", "delimiter": ",", "user_column": "user", "item_column": "item", "time_column": None, "time_unit": "auto",
    "value_column": None, "value_low": None, "value_high": None, "id_type": "auto", "duplicates": "keep",
}  # fmt: skip
PLAIN = set(string.ascii_letters + string.digits + "-_./ ")
within = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@within
@given(NAMES)
@example("fine")
def test_a_data_set_s_folder_is_inside_the_one_that_is_named(tmp_path: Path, name: str) -> None:
    """Any name: a folder of that name inside, or a line; the file that is not there stops what has a good name."""
    try:
        import_csv(name=name, to=tmp_path / "data", settings=CSV, progress=Silent())
    except (ConfigError, DataError) as error:
        refused = "is no name of a data set" in error.line
    place = tmp_path / "data"
    inside = set(name) <= PLAIN and (place / name).resolve().parent == place
    assert refused or inside
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ODD)
def test_a_study_s_name_is_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a name"):
        make_plan(["model.rank=2,4"], config_dirs=(), sampler=None, trials=None, name=name)


@given(NAMES)
def test_a_group_s_choice_is_one_that_is_listed(name: str) -> None:
    if name not in catalogue.names("model"):
        with pytest.raises(ConfigError):
            catalogue.find("model", name)


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_command_that_is_shown_is_one_word_for_its_path(name: str) -> None:
    """Whatever the folder is called, a shell reads the setting as one argument."""
    words = shlex.split(_command("recsys train --data=imported", Path("data") / name))
    assert len(words) == 4
    assert words[3].startswith("data.path=")


@pytest.mark.parametrize("name", [name for name in ODD if "\0" not in name])
@pytest.mark.parametrize("command", ["data describe", "reproduce", "models", "evaluate"])
def test_a_name_in_a_message_does_not_steer_the_terminal(
    recsys: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = recsys(*command.split(), "--", name)
    assert ended.code == 2
    assert ended.err == printable(ended.err)
    assert len(ended.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_s_folder_is_named_by_us(recsys: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Neither the title of a run nor its experiment has a part in it."""
    monkeypatch.chdir(tmp_path)
    small = ["--data=demo", "data.events=1000", "device=cpu", "device.threads=1"]
    ended = recsys("train", "--model=popularity", *small, "+name='../../x'", "tracking.experiment='../../y'")  # fmt: skip
    assert ended.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if (path / "config.yaml").exists()]
    assert folder.name.split("-", 2)[2].startswith("popularity-demo-")

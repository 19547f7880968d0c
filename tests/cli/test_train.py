import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli import config, experiment
from recsys_cli.config import Config
from recsys_cli.outcome import Outcome
from recsys_cli.tracking.under_way import Running
from tests.cli.conftest import Ended
from tests.cli.test_summary import OUTCOME


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of the settings and of the experiment, which are not there."""
    seen: dict[str, Any] = {}
    settings = Config(tree={"seed": 7}, choices=OUTCOME.choices)

    def load(overrides: list[str], config_dirs: list[Path]) -> Config:
        seen.update(overrides=overrides, config_dirs=list(config_dirs))
        return settings

    def run(given: Config, **options: Any) -> Outcome:
        seen.update(options, ran=given is settings)
        return OUTCOME

    monkeypatch.setattr(config, "load", load)
    monkeypatch.setattr(experiment, "run", run)
    return seen


def test_a_dry_run_prints_the_settings_and_runs_nothing(
    recsys: Callable[..., Any], asked: dict[str, Any]
) -> None:
    assert recsys("train", "--dry-run").out == "seed: 7\n"
    assert json.loads(recsys("train", "--dry-run", "--json").out) == {"seed": 7}
    assert "ran" not in asked


def test_every_option_reaches_the_experiment(
    recsys: Callable[..., Any], asked: dict[str, Any], tmp_path: Path
) -> None:
    groups = [f"--{group}=x" for group in ("model", "data", "split", "device", "trainer")]
    groups += [f"--{group}=x" for group in ("evaluation", "tracking", "preset")]
    folders = [f"--run-dir={tmp_path}", f"--config-dir={tmp_path}"]
    ended = recsys("train", *groups, *folders, "--resume=auto", "--allow-mismatch", "a=1")
    assert ended.code == 0
    assert asked["ran"]
    assert (asked["resume"], asked["allow_mismatch"]) == (True, True)
    assert asked["run_dir"] == tmp_path
    assert asked["config_dirs"] == [tmp_path]
    assert asked["overrides"] == [*(group.removeprefix("--") for group in groups), "a=1"]


def test_json_is_one_object_on_standard_output(
    recsys: Callable[..., Any], asked: dict[str, Any]
) -> None:
    ended = recsys("train", "--json")
    assert ended.out.count("\n") == 1
    assert json.loads(ended.out) == OUTCOME.to_json()
    assert asked["run_dir"] is None
    assert (asked["resume"], asked["allow_mismatch"]) == (False, False)


def test_without_json_it_ends_in_a_table(recsys: Callable[..., Any], asked: dict[str, Any]) -> None:
    assert "ndcg_at_10\t0.250000\t0.125000\n" in recsys("train").out
    assert asked["ran"]


def test_a_run_whose_address_was_written_without_credentials_is_not_resumed_by_name(
    recsys: Callable[..., Ended], tmp_path: Path
) -> None:
    uri = "tracking.uri=http://me:word@127.0.0.1:9"
    settings = config.load(["data=demo", uri])
    (tmp_path / "config.yaml").write_text(settings.yaml())
    Running("", settings.choices, settings.overrides).write(tmp_path)
    ended = recsys("train", f"--resume={tmp_path}")
    assert ended.code == 2
    assert "without the credentials" in ended.err
    assert f"--run-dir={tmp_path} --resume=auto" in ended.err
    assert "word" not in ended.err + (tmp_path / "running.json").read_text()

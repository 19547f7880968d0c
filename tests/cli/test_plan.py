"""`recsys plan`: what it prints, what it returns, and that it takes what `recsys train` takes."""

import json
from typing import Any

import pytest

from recsys_cli import config
from recsys_cli.cli.plan import in_time
from recsys_cli.config import Config
from recsys_cli.planning import plan as planning
from recsys_cli.planning.advice import Advice
from recsys_cli.planning.plan import Phase, Plan

PHASES = [
    Phase("start", 2.0, memory=250_000_000),
    Phase("epoch", 90.0, 3, 50, memory=41_000_000_000, disk=5_000_000),
    Phase("test", 0.5),
]
FITS = Plan(PHASES, 64_000_000_000, "this machine", 10**12, ["what was told"], [], 1)
TOO_LARGE = Plan(
    PHASES, 24_000_000_000, "this machine", 10**12, [], [Advice("trainer.batch_size=256", 1)], 1
)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of the settings and of the plan, which are not there; `plan` is what it is given."""
    seen: dict[str, Any] = {"plan": FITS}
    monkeypatch.setattr(
        config, "load", lambda said, folders: seen.update(said=said) or Config({}, {})
    )
    monkeypatch.setattr(planning, "plan", lambda given, **more: seen.update(more) or seen["plan"])
    return seen


def test_phases_and_verdict_are_printed(recsys, made):
    ended = recsys("plan")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].split("\t") == ["phase", "once", "times", "in all", "memory", "disk"]
    assert lines[2].split("\t") == [
        "epoch", "1 min 30 s", "3-50", "4 min 30 s to 1 h 15 min", "41 GB", "5.0 MB"
    ]  # fmt: skip
    assert "time\t4 min 32 s to 1 h 15 min" in lines
    assert "assumed\twhat was told" in lines
    assert lines[-1] == "verdict\tfits"


def test_what_does_not_fit_has_the_exit_code_of_a_refusal_and_says_what_helps(recsys, made):
    made["plan"] = TOO_LARGE
    ended = recsys("plan")
    assert ended.code == 4
    assert ended.out.splitlines()[-1] == (
        "verdict\tdoes not fit: 41 GB of 24 GB in this machine; try trainer.batch_size=256"
    )


def test_where_nothing_helps_or_the_disk_is_full_that_is_said(recsys, made):
    made["plan"] = Plan(PHASES, 24_000_000_000, "this machine", 10**12, [], [], 1)
    assert "no single setting makes it fit" in recsys("plan").out
    made["plan"] = Plan(PHASES, None, "", 4_000_000, [], [], 1)
    ended = recsys("plan")
    assert ended.code == 4
    assert "does not fit: 5.0 MB of 4.0 MB on the disk" in ended.out


def test_json_is_one_object(recsys, made):
    made["plan"] = TOO_LARGE
    ended = recsys("plan", "--json")
    assert ended.code == 4
    told = json.loads(ended.out)
    assert (told["fits"], told["memory"], told["disk"]) == (False, 41_000_000_000, 5_000_000)
    assert told["seconds"] == [272.5, 4502.5]
    assert told["advice"] == [{"override": "trainer.batch_size=256", "peak": 1}]


def test_it_takes_the_options_of_train(recsys, made, tmp_path):
    groups = [f"--{group}=x" for group in ("model", "data", "split", "device", "trainer")]
    groups += [f"--{group}=x" for group in ("evaluation", "tracking", "preset")]
    ended = recsys("plan", *groups, f"--run-dir={tmp_path}", f"--config-dir={tmp_path}", "a=1")
    assert ended.code == 0
    assert made["folder"] == tmp_path
    assert made["said"] == [*(group.removeprefix("--") for group in groups), "a=1"]


def test_settings_that_are_wrong_are_told_as_by_train(recsys):
    wrong = ["--model=mf", "trainer.engine=kernel", "trainer.optimiser=adam", "model.rnak=3"]
    told = [recsys(command, *wrong) for command in ("plan", "train")]
    assert told[0].code == told[1].code == 2
    assert told[0].err == told[1].err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "0.012 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 0 s"),
        (119.9, "2 min 0 s"),
        (3_599.9, "1 h 0 min"),
        (7_500, "2 h 5 min"),
        (93_600, "26 h 0 min"),
    ],
)
def test_time_in_words(seconds, words):
    assert in_time(seconds) == words

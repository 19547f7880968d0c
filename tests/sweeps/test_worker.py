"""What a worker runs, tells and obeys, in this process; and what it tells of errors."""

from __future__ import annotations

import errno
import io
import json

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.sweeps import worker
from recsys_cli.sweeps.limits import Limits
from recsys_cli.sweeps.plan import from_job, make_plan
from recsys_cli.sweeps.trials import opened
from recsys_cli.sweeps.wire import Wire

GRID = ["model=mf", "data=demo", "tracking=none", "model.rank=8,32", "model.l2=0.0,0.1"]


def told(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sampler": "random", "trials": 2, "pruner": "median", "limits": Limits(budget=60)},
        {"storage": "sqlite:////x.db", "workers": 3},
    ],
)
def test_a_plan_survives_the_way_to_a_worker(options):
    plan = make_plan(GRID, name="s", options=["--config-dir=a b"], **options)
    job = json.loads(json.dumps(plan.job()))

    assert from_job(job) == plan


def test_it_runs_all_trials_and_tells_of_each(fake):
    stream, plan = io.StringIO(), make_plan(GRID, name="s", workers=2)
    plan.folder.mkdir(parents=True)

    worker._run({"plan": plan.job(), "parent_id": "p", "packages": []}, Wire(stream))

    assert fake.run_at == [8, 8, 32, 32]
    assert fake.parents == ["p"] * 4
    assert [m["trial"] for m in told(stream) if "trial" in m] == [0, 1, 2, 3]


def test_trials_of_other_processes_are_left_alone_and_waited_for(fake):
    plan = make_plan(GRID, name="s", workers=2)
    plan.folder.mkdir(parents=True)
    with opened(plan) as other, opened(plan) as mine:
        first, second = other.begin(4), mine.begin(4)
        assert (first.number, second.number) == (0, 1)
        assert mine.begin(2) is None  # both are under way
        assert other.begin(2) is None
        other.locks.close()  # its process dies
        again = mine.begin(2)
        assert (again.number, again.point) == (0, first.point)
        mine.finish(again, 0.5, seconds=1.0)
        mine.finish(second, 0.4, seconds=1.0)
        assert other.begin(2) is None
        assert [trial.state for trial in other.trials()] == ["finished"] * 2


def test_a_trial_that_ended_while_it_was_looked_at_is_not_run_again(fake, monkeypatch):
    plan = make_plan(GRID, name="s", workers=2)
    plan.folder.mkdir(parents=True)
    with opened(plan) as other, opened(plan) as mine:
        trial = other.begin(1)
        take = mine.locks.take

        def just_ended(what: int) -> bool:
            if other.trials()[0].state == "running":
                other.finish(trial, 0.5, seconds=1.0)
            return take(what)

        monkeypatch.setattr(mine.locks, "take", just_ended)
        assert mine.begin(1) is None
        assert other.locks.take(0)  # it was given back


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (ConfigError("no", "do"), "no", 2),
        (MemoryError(), "a worker is out of memory", 4),
        (OSError(errno.ENOSPC, "No space left on device", "f"), "f", 4),
    ],
)
def test_errors_in_our_words(error, words, code):
    told_of = worker._in_our_words(error)

    assert words in str(told_of)
    assert told_of.exit_code == code


def test_a_bug_is_none_of_them():
    assert worker._in_our_words(ValueError("x")) is None

"""A sweep from its plan to its table: what is run, kept, refused and continued."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from recsys_cli import experiment
from recsys_cli.errors import CheckpointError, ConfigError, DataError, DivergedError, ModelError
from recsys_cli.progress import Silent
from recsys_cli.sweeps import launching, sweep, trials
from recsys_cli.sweeps.limits import Limits
from recsys_cli.sweeps.locks import PARENT
from recsys_cli.sweeps.plan import make_plan
from recsys_cli.sweeps.trials import opened
from recsys_cli.tracking.under_way import Journal, held
from tests.moments import MOMENTS, module_with

SMALL = [
    *("model=mf", "data=demo", "data.events=2000"),
    *("tracking=none", "device=cpu", "device.threads=1"),
]
BASE = ["model=mf", "data=demo", "tracking=none"]
GRID = [*BASE, "model.rank=8,32", "model.l2=0.0,0.1"]


def swept(overrides=GRID, name="s", **options):
    return sweep.run(make_plan(overrides, name=name, **options), progress=Silent())


DIES_ONCE = """
def die_once():
    try:
        open("died", "x").close()
    except FileExistsError:
        return
    die()
before("rename", "trial-002/config.yaml", die_once)
"""


class Lines(Silent):
    """Keeps the notes."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def test_every_point_is_run_and_the_best_validation_value_wins(fake):
    result = swept()

    assert fake.run_at == [8, 8, 32, 32]
    assert result.best.params == {"model.rank": 32, "model.l2": 0.0}
    assert result.best.number == 2
    assert [row.value for row in result.trials] == sorted(
        (row.value for row in result.trials), reverse=True
    )
    assert result.metric == "valid_ndcg_at_10"


def test_no_trial_reads_the_test_part(fake):
    swept()

    assert fake.tested == [False] * 4


def test_the_command_repeats_the_best_trial(fake):
    result = swept([*GRID, "+note='a b'"], options=["--config-dir=my configs"])
    command = result.command

    assert command.startswith(
        "recsys train '--config-dir=my configs' model=mf data=demo tracking=none"
    )
    assert command.endswith("model.rank=32 model.l2=0.0")


def test_a_finished_sweep_is_shown_again_and_not_run_again(fake):
    first = swept()
    fake.run_at.clear()

    assert swept() == first
    assert fake.run_at == []


@pytest.mark.parametrize("dies_at", [0, 2])
def test_an_interrupted_sweep_goes_on_to_the_same_end(fake, dies_at):
    unbroken = swept(name="unbroken")
    fake.run_at.clear()
    fake.dies_at = dies_at
    with pytest.raises(KeyboardInterrupt):
        swept()
    fake.dies_at = None
    result = swept()

    assert fake.run_at == [8, 8, 32, 32]
    assert [(row.number, row.value, row.params) for row in result.trials] == [
        (row.number, row.value, row.params) for row in unbroken.trials
    ]
    assert result.best.overrides == unbroken.best.overrides


def cut_off(fake):
    """A sweep that died in its second trial."""
    fake.dies_at = 1
    with pytest.raises(KeyboardInterrupt):
        swept()
    assert Path("runs/sweeps/s/trial-001/half").exists()
    fake.dies_at = None
    fake.resumes.clear()


def test_a_trial_that_was_cut_off_goes_on(fake):
    cut_off(fake)
    lines = Lines()

    sweep.run(make_plan(GRID, name="s"), progress=lines)

    assert fake.resumes == [True, False, False]
    assert "trial-001 was cut off and goes on" in lines.lines


@pytest.mark.parametrize("error", [CheckpointError, ConfigError, DataError])
def test_a_trial_that_cannot_go_on_is_run_again_in_an_empty_folder(fake, error):
    cut_off(fake)
    fake.cannot_go_on = error("no such weights")
    lines = Lines()

    sweep.run(make_plan(GRID, name="s"), progress=lines)

    assert fake.resumes == [True, False, False, False]
    assert "trial-001 cannot go on and is run again: no such weights" in lines.lines


def test_a_trial_in_which_another_process_works_is_not_taken_from_it(fake):
    cut_off(fake)
    fake.cannot_go_on = ConfigError("it is in use")
    folder = Path("runs/sweeps/s/trial-001")

    with held(folder), pytest.raises(ConfigError, match="in use by process"):
        swept()

    assert (folder / "half").exists()


def test_a_trial_that_diverges_does_not_stop_the_sweep(fake):
    result = swept([*BASE, "model.rank=666,32,8"])

    assert [row.state for row in result.trials] == ["finished", "finished", "diverged"]
    assert result.trials[-1].value is None
    assert result.best.params == {"model.rank": 32}


def test_a_pruned_trial_is_shown_after_those_that_are_whole(fake, tracker):
    lines = Lines()
    ranks = "model.rank=32,33,34,35,36,999,31"
    plan = make_plan([*BASE, ranks], name="s", pruner="median")
    result = sweep.run(plan, progress=lines)

    assert [row.state for row in result.trials] == ["finished"] * 6 + ["pruned"]
    assert result.trials[-1].params == {"model.rank": 999}
    assert result.trials[-1].value == pytest.approx((1 / 968 - 0.0001) / 4)
    assert result.pruner == "median"
    assert any(line.startswith("trial-005 is pruned: ndcg_at_10 0.0002") for line in lines.lines)
    assert any(line.startswith("trial 6 of 7: ndcg_at_10 0.0002, pruned;") for line in lines.lines)
    assert not Path("runs/sweeps/s/trial-005/running.json").exists()


def test_a_budget_is_what_all_commands_together_may_take(fake, tracker):
    searched = [*BASE, "model.rank=int(interval(1,9))"]
    lines = Lines()
    for budget, n_trials in ((1e-9, 1), (1e-9, 1), (1e9, 9)):
        plan = make_plan(searched, name="s", limits=Limits(budget=budget))
        assert len(sweep.run(plan, progress=lines).trials) == n_trials

    assert lines.lines.count("the budget of 1e-09 s is reached after 1 trials") == 1
    assert tracker.started[0]["params"]["sweep.trials"] == "as many as time allows"


def test_a_timeout_lets_the_first_trial_end_and_the_same_command_goes_on(fake, tracker):
    for n_trials in (1, 4):
        late = Limits(timeout=600, started=time.monotonic() - (1200 if n_trials == 1 else 0))
        assert len(swept(limits=late).trials) == n_trials


def test_a_sweep_that_only_diverges_ends_as_diverged(fake, tracker):
    with pytest.raises(DivergedError, match="all 1 trials diverged"):
        swept([*BASE, "model.rank=choice(666)"])
    assert tracker.ended == ["FAILED"]


def test_any_other_error_stops_the_sweep_and_the_trial_is_run_again(fake, tracker, monkeypatch):
    def refuse(*_, **__):
        raise ModelError("no room for it")

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "run", refuse)
        with pytest.raises(ModelError, match="no room"):
            swept()
    assert tracker.ended == ["FAILED"]

    assert len(swept().trials) == len(fake.run_at) == 4


def test_data_that_cannot_be_had_is_refused_before_anything_is_written(fake, tmp_path):
    fake.refuses = DataError("no such file")

    with pytest.raises(DataError):
        swept()
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_validation_chooses_nothing(fake, tmp_path):
    fake.parts = ["test"]

    with pytest.raises(ConfigError, match="no validation part"):
        swept()
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_run_one_sweep(fake, monkeypatch):
    def meanwhile(*_, **__):
        swept()

    monkeypatch.setattr(experiment, "run", meanwhile)
    with pytest.raises(ConfigError, match="run by another process"):
        swept()


def test_who_joins_a_sweep_runs_trials_of_it_and_takes_over_when_its_leader_dies(
    fake, tracker, tmp_path, monkeypatch
):
    plan = make_plan(GRID, name="s", storage=f"sqlite:///{tmp_path}/shared.db")
    lines = Lines()
    with opened(plan) as leader:
        leader.locks.take(PARENT)
        leader.note(run_id="parent-of-the-leader")
        leader.begin(4)

        def run(*args, **options):
            if len(fake.run_at) == 2:
                leader.locks.close()
            return fake.run(*args, **options)

        monkeypatch.setattr(experiment, "run", run)
        result = sweep.run(plan, progress=lines)

    assert "another command leads the sweep s; this one helps it" in lines.lines
    assert fake.run_at == [8, 32, 32, 8]  # trial 0 was the leader's until it died
    assert sorted(row.number for row in result.trials) == [0, 1, 2, 3]
    assert fake.parents == ["parent-of-the-leader"] * 4
    assert [about["run_id"] for about in tracker.started] == ["parent-of-the-leader"]
    assert tracker.ended == ["FINISHED"]
    assert [path.name for path in tracker.files] == ["sweep.json"]


def test_a_trial_that_another_process_ends_last_is_on_the_curves_too(
    fake, tracker, tmp_path, monkeypatch
):
    storage = f"sqlite:///{tmp_path}/shared.db"
    plan = make_plan([*BASE, "model.rank=8,32"], name="s", storage=storage)
    with opened(plan) as helper:
        theirs = helper.begin(2)
        looks = trials.is_over

        def ended_meanwhile(*about):
            if fake.run_at and helper.trials()[0].state == "running":
                helper.finish(theirs, 0.5, seconds=1.0, run_id="theirs")
            return looks(*about)

        monkeypatch.setattr(trials, "is_over", ended_meanwhile)
        sweep.run(plan, progress=Silent())

    assert sorted(step for step, _ in tracker.noted) == [0, 1, 2]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_trial_run_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = [*SMALL, "trainer.epochs=4", "model.rank=2,4,8", "model.l2=0.0,0.1"]
    whole = sweep.run(make_plan(small, name="alone"), progress=Silent())

    monkeypatch.setattr(
        launching, "COMMAND", tuple(module_with("recsys_cli.sweeps.worker", DIES_ONCE))
    )
    lines = Lines()
    result = sweep.run(make_plan(small, name="crowd", workers=2), progress=lines)

    kept = [
        [(row.number, row.state, row.value, row.params) for row in r.trials]
        for r in (whole, result)
    ]
    assert kept[0] == kept[1]
    (killed,) = [line for line in lines.lines if "killed" in line]
    assert killed.endswith("was killed by signal 9 in trial-002; another goes on")


def test_the_parent_run_has_children_curves_and_the_table(fake, tracker):
    result = swept()

    (parent,) = tracker.started
    assert parent["params"]["model.rank"] == "8,32"
    assert parent["params"]["choice.data"] == "demo"
    assert parent["params"]["sweep.sampler"] == "grid"
    assert parent["tags"]["recsys.sweep"] == "s"
    assert fake.parents == ["parent-1"] * 4
    assert tracker.noted[0] == (0, {"valid_ndcg_at_10": 1 / 25, "best_valid_ndcg_at_10": 1 / 25})
    assert tracker.noted[-2][1]["best_valid_ndcg_at_10"] == result.best.value
    assert tracker.noted[-1] == (
        4,
        {"trials": 4, "best_trial": 2, "best_model.rank": 32, "best_model.l2": 0.0},
    )
    assert [path.name for path in tracker.files] == ["sweep.json"]
    assert json.loads(tracker.files[0].read_text()) == result.to_json()
    assert tracker.ended == ["FINISHED"]
    assert (result.run_id, result.logged_at) == ("parent-1", "somewhere")


def test_the_page_is_kept_with_the_table_also_where_no_trial_has_a_value(fake, tracker):
    def drawn(found):
        return f"{found.has_best} {len(found.trials)}"

    sweep.run(make_plan(GRID, name="s"), progress=Silent(), draw=drawn)
    with pytest.raises(DivergedError):
        sweep.run(
            make_plan([*BASE, "model.rank=choice(666)"], name="t"), progress=Silent(), draw=drawn
        )

    pages = [path for path in tracker.files if path.name == "sweep.html"]
    assert [str(path) for path in pages] == [
        "runs/sweeps/s/sweep.html",
        "runs/sweeps/t/sweep.html",
    ]
    assert [path.read_text() for path in pages] == ["True 4", "False 1"]


def test_the_result_has_what_a_page_needs(fake, monkeypatch):
    run = experiment.run

    def recorded(*args, run_dir, **options):
        outcome = run(*args, run_dir=run_dir, **options)
        told = {"device": {"python": "3.11"}, "split_hash": "abc", "leaks": ""}
        (run_dir / "metrics.json").write_text(json.dumps(told))
        with closing(Journal(run_dir / "history.jsonl")) as journal:
            for epoch in (1, 2):
                journal.add(epoch, {"valid_ndcg_at_10": epoch / 4, "train_loss": 1.0})
        return outcome

    monkeypatch.setattr(experiment, "run", recorded)
    result = swept([*BASE, "model.rank=8,32"])

    assert [curve.trial for curve in result.curves] == [1, 0]
    assert result.curves[0].epochs == [1, 2]
    assert result.curves[0].values == [0.25, 0.5]
    assert result.environment == {"python": "3.11"}
    assert result.protocol["leaks"] == "none known"
    assert result.protocol["data"] == "demo"
    assert result.protocol["sampler"] == "grid"
    assert result.searched[0].choices == [8, 32]
    assert result.importances.shares == {}


def test_a_sweep_that_was_killed_after_its_last_trial_is_still_recorded(fake, tracker, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tracker, "artifact", lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            swept()
    swept()
    swept()

    assert len(fake.run_at) == 4
    assert tracker.ended == ["KILLED", "FINISHED"]
    assert len(tracker.files) == 1


def test_an_interruption_closes_the_parent_as_killed(fake, tracker):
    fake.dies_at = 2
    with pytest.raises(KeyboardInterrupt):
        swept()
    assert tracker.ended == ["KILLED"]


def test_progress_has_a_line_a_trial(fake):
    lines = Lines()
    sweep.run(make_plan(GRID, name="s"), progress=lines)

    trials = [line for line in lines.lines if line.startswith("trial ")]
    assert len(trials) == 4
    assert trials[2].startswith("trial 3 of 4: ndcg_at_10 1.0000; model.rank=32 model.l2=0.0; ")


def test_the_result_is_plain_json(fake):
    result = swept(
        [*BASE, "model.rank=range(16,48,16)", "++model.biases=true,false", "model.loss=bpr,squared"]
    )

    told = json.loads(json.dumps(result.to_json()))
    assert told["best"]["params"] == {"model.rank": 32, "model.biases": True, "model.loss": "bpr"}
    assert told["best"]["run_dir"] == "runs/sweeps/s/trial-004"


DRIVER = f"""{MOMENTS}
import json
from recsys_cli.progress import Silent
from recsys_cli.sweeps.plan import make_plan
from recsys_cli.sweeps.sweep import run
name, trials, killed_at, *overrides = sys.argv[1:]
before('rename', killed_at, die)
found = run(make_plan(overrides, name=name, trials=int(trials) or None), progress=Silent())
print(json.dumps([(row.number, row.state, row.value, row.params) for row in found.trials]))
"""


def driven(
    folder: Path, name: str, trials: int, overrides: list[str], *, killed_at: str = "never"
) -> subprocess.CompletedProcess[str]:
    """A sweep in a process of its own, which is killed before this file is written."""
    command = [sys.executable, "-c", DRIVER, name, str(trials), killed_at, *overrides]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trials", "searched", "killed"),
    [
        (0, ["model.rank=2,4,8", "model.l2=0.0,0.1"], ["3/metrics.json"]),
        (
            6,
            ["model.rank=int(interval(2,16))", "trainer.lr=interval(0.01,0.1)"],
            ["0/metrics.json", "1/running.json", "3/config.yaml"],
        ),
    ],
)
def test_killed_again_and_again_it_ends_like_one_that_was_not(tmp_path, trials, searched, killed):
    overrides = [*SMALL, "trainer.epochs=2", *searched]
    told = driven(tmp_path, "unbroken", trials, overrides).stdout

    codes = [
        driven(tmp_path, "broken", trials, overrides, killed_at=f"trial-00{where}").returncode
        for where in killed
    ]
    result = driven(tmp_path, "broken", trials, overrides).stdout

    assert codes == [-signal.SIGKILL] * len(killed)
    assert len(json.loads(result)) == 6
    assert json.loads(result) == json.loads(told)

"""A sweep: search settings for the best validation metric, trial by trial, each a run of its own.

The test part is measured in each run as in any other, and never looked at here.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from recsys_cli import config, experiment, preparation, unfinished
from recsys_cli.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergedError,
    RecsysError,
)
from recsys_cli.outcome import Outcome
from recsys_cli.progress import Bar, NotesOnce, Progress
from recsys_cli.sweeps import study as studies
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.results import Result, result
from recsys_cli.sweeps.study import Study, Trial
from recsys_cli.tracking.contract import Status, Tracker
from recsys_cli.tracking.under_way import held
from recsys_cli.training.loop import GivenUp, Report

TABLE = "sweep.json"


def run(plan: Plan, *, progress: Progress) -> Result:
    """Run the trials that are still to run, and report all of them.

    Raises:
        RecsysError: What stops a trial, but for divergence, stops the sweep; the same study goes on from there.
        DivergedError: Not one trial came to an end.
    """
    if not (plan.folder / studies.FILE).exists():
        # Data or a model that cannot be had are refused while nothing is written yet.
        ready = preparation.prepare(plan.settings, progress=progress)
        if "valid" not in ready.parts:
            raise ConfigError(
                f"split {ready.split.name} has no validation part, and a sweep chooses by one",
                "give it one, such as split.valid_ratio=0.1",
            )
    with _held(plan), _opened(plan) as study:
        done = sum(trial.state != "running" for trial in study.trials())
        progress.note(
            f"sweep {plan.name}: {_how_many(plan)} by {plan.sampler}, {done} of them done; "
            f"--study {plan.name} goes on with it after an interruption"
        )
        if _may_begin(plan, study) or study.notes.get("recorded") != done:
            _run_trials(plan, study, progress)
        return result(plan, study)


@contextmanager
def _held(plan: Plan) -> Iterator[None]:
    """Make the sweep's folder and keep other processes off it; the lock dies with its process."""
    from filelock import FileLock, Timeout

    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(plan.folder / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            f"--study {plan.name} is being run by another process",
            "wait for it, or give another name",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot write to the folder {plan.folder}: {error.strerror}", "name another: root=DIR"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _opened(plan: Plan) -> AbstractContextManager[Study]:
    return studies.opened(
        plan.folder,
        plan.space,
        sampler=plan.sampler,
        seed=plan.settings.tree["seed"],
        settings_hash=plan.settings.hash,
        better=plan.better,
        pruner=plan.pruner,
        epochs=plan.epochs,
    )


def _how_many(plan: Plan) -> str:
    return "trials" if plan.total is None else f"{plan.total} trials"


def _spent(study: Study) -> float:
    """Seconds of all trials so far."""
    return sum(float(trial.facts.get("seconds", 0)) for trial in study.trials())


def _may_begin(plan: Plan, study: Study) -> bool:
    """Whether another trial may be begun, or one that was cut off has to end."""
    trials = study.trials()
    if not trials or trials[-1].state == "running":
        return True
    room = plan.total is None or len(trials) < plan.total
    return room and not plan.limits.reached(_spent(study))


def _run_trials(plan: Plan, study: Study, progress: Progress) -> None:
    """Run them one after another under a parent run."""
    tracker: Tracker = config.build(plan.settings.tree["tracking"], key="tracking")
    parent_id = tracker.start(
        name=f"sweep {plan.name}",
        params=_params(plan),
        tags=_tags(plan),
        run_id=study.notes.get("run_id") or None,
        folder=plan.folder,
        warn=progress.note,
    )
    status: Status = "FAILED"
    try:
        study.note(run_id=parent_id, logged_at=tracker.location, how_to_open=tracker.how_to_open)
        inside = NotesOnce(progress)
        with _bar(plan, study, progress) as bar:
            while _may_begin(plan, study) and (trial := study.begin(plan.total)):
                _run_trial(plan, study, trial, parent_id, inside)
                _tell(plan, study, trial.number, tracker, progress, bar)
        if over := plan.limits.reached(_spent(study)):
            progress.note(f"{over} is reached after {len(study.trials())} trials")
        _record(plan, study, tracker)
        study.note(recorded=len(study.trials()))
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
        study.note(logged_at=tracker.location)


def _bar(plan: Plan, study: Study, progress: Progress) -> AbstractContextManager[Bar]:
    """In trials where their number is known, else in the seconds that may be spent."""
    if plan.total is None:
        return progress.bar("sweep", round(plan.limits.left(_spent(study))), "s")
    done = sum(trial.state != "running" for trial in study.trials())
    return progress.bar("sweep", plan.total - done, "trials")


def _run_trial(plan: Plan, study: Study, trial: Trial, parent_id: str, progress: Progress) -> None:
    """Run one trial and note how it ended."""
    folder, start = plan.trial_folder(trial.number), time.perf_counter()
    value, run_id, pruned = None, "", False
    try:
        outcome = _trained(plan, trial, parent_id, progress, _reporter(plan, study, trial))
        value, run_id = outcome.metrics["valid"][plan.metric], outcome.run_id
    except GivenUp as given_up:
        pruned = True
        progress.note(f"{folder.name} is pruned: {given_up}")
        unfinished.clear(folder)
    except DivergedError as error:
        progress.note(f"{folder.name} diverged: {error.line}")
    except RecsysError:
        overrides = plan.space.overrides(trial.point)
        progress.note(f"{folder.name} stopped the sweep: {' '.join(overrides)}")
        raise
    seconds = time.perf_counter() - start
    study.finish(trial, value, pruned=pruned, seconds=seconds, run_id=run_id)


def _reporter(plan: Plan, study: Study, trial: Trial) -> Report | None:
    """Tells the study of each epoch that was validated, and gives the run up where it is hopeless."""
    if plan.pruner == "none":
        return None

    def report(epoch: int, numbers: Mapping[str, float]) -> None:
        value = numbers.get(f"valid_{plan.metric}")
        if value is not None and study.hopeless(trial, epoch, value):
            raise GivenUp(f"{plan.metric} {value:.4f} after epoch {epoch}")

    return report


def _trained(
    plan: Plan, trial: Trial, parent_id: str, progress: Progress, report: Report | None
) -> Outcome:
    """The run of a trial. One that was cut off goes on, so that it is tracked once; if it cannot, it is run again."""
    folder = plan.trial_folder(trial.number)
    run = partial(
        experiment.run,
        config.load(plan.space.overrides(trial.point), plan.folders),
        run_dir=folder,
        progress=progress,
        parent_id=parent_id or None,
        report=report,
    )
    if folder.exists():
        progress.note(f"{folder.name} was cut off and goes on")
        try:
            return run(resume=True)
        except (CheckpointError, ConfigError, DataError) as error:
            with held(folder):  # it is not taken from a process that works in it
                progress.note(f"{folder.name} cannot go on and is run again: {error.line}")
            shutil.rmtree(folder)
    return run()


def _tell(
    plan: Plan, study: Study, number: int, tracker: Tracker, progress: Progress, bar: Bar
) -> None:
    """A line for people, a step of the bar with its estimate, and a point on the parent run's curves."""
    ended, best = study.trials()[number], study.best()
    shown = ended.state if ended.value is None else f"{plan.metric} {ended.value:.4f}"
    shown += ", pruned" if ended.state == "pruned" else ""
    point = " ".join(f"{key}={text}" for key, text in plan.space.texts(ended.point).items())
    seconds = ended.facts["seconds"]
    of = "" if plan.total is None else f" of {plan.total}"
    progress.note(f"trial {number + 1}{of}: {shown}; {point}; {seconds:.1f} s")
    steps = 1 if plan.total is not None else min(round(seconds), round(plan.limits.left(0)))
    values = {} if ended.value is None else {f"valid_{plan.metric}": ended.value}
    if best is not None and best.value is not None:
        values[f"best_valid_{plan.metric}"] = best.value
        bar.advance(steps, best=best.value)
    else:
        bar.advance(steps)
    tracker.metrics(values, step=number)


def _params(plan: Plan) -> dict[str, Any]:
    """Settings of the sweep as a whole; its children have theirs in full."""
    searched = {axis.name: axis.typed.partition("=")[2] for axis in plan.space.axes}
    fixed = {
        "sweep.trials": "as many as time allows" if plan.total is None else plan.total,
        "sweep.sampler": plan.sampler,
        "sweep.pruner": plan.pruner,
        "sweep.metric": plan.metric,
        "seed": plan.settings.tree["seed"],
    }
    choices = {
        f"choice.{group}": name
        for group, name in plan.settings.choices.items()
        if group not in searched
    }
    return fixed | choices | searched


def _tags(plan: Plan) -> dict[str, str]:
    typed = [*plan.space.fixed, *(axis.typed for axis in plan.space.axes)]
    return {"recsys.sweep": plan.name, "recsys.overrides": " ".join(typed)}


def _record(plan: Plan, study: Study, tracker: Tracker) -> None:
    """Keep the table of trials with the parent run."""
    found = result(plan, study)
    path = plan.folder / TABLE
    path.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    best = {f"best_{key}": value for key, value in found.best.params.items() if _is_number(value)}
    counts = {"trials": len(found.trials), "best_trial": found.best.number}
    tracker.metrics(counts | best, step=len(found.trials))
    tracker.artifact(path)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

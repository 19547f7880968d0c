"""Trials as runs: one after another until none is left, each with a folder of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial

from recsys_cli import config, experiment, unfinished
from recsys_cli.errors import CheckpointError, ConfigError, DataError, DivergedError, RecsysError
from recsys_cli.outcome import Outcome
from recsys_cli.progress import Progress
from recsys_cli.sweeps import study as studies
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.study import Study, Trial
from recsys_cli.tracking.under_way import held
from recsys_cli.training.loop import GivenUp, Report

POLL_SECONDS = 0.5  # between looks at what other processes do


def opened(plan: Plan) -> AbstractContextManager[Study]:
    """The study of a plan."""
    return studies.opened(
        plan.store,
        plan.space,
        sampler=plan.sampler,
        seed=plan.settings.tree["seed"],
        settings_hash=plan.settings.hash,
        better=plan.better,
        pruner=plan.pruner,
        epochs=plan.epochs,
        alone=plan.alone,
    )


def spent(study: Study) -> float:
    """Seconds of all trials so far."""
    return sum(float(trial.facts.get("seconds", 0)) for trial in study.trials())


def may_begin(plan: Plan, study: Study) -> bool:
    """Whether one more trial may be begun."""
    n_trials = len(study.trials())
    if not n_trials:
        return True
    room = plan.total is None or n_trials < plan.total
    return room and not plan.limits.reached(spent(study))


def is_over(plan: Plan, study: Study) -> bool:
    """Whether no trial is under way and none may be begun."""
    running = any(trial.state == "running" for trial in study.trials())
    return not running and not may_begin(plan, study)


def run_all(
    plan: Plan,
    study: Study,
    parent_id: str,
    progress: Progress,
    *,
    begun: Callable[[Trial], object] = lambda trial: None,
    ended: Callable[[], object] = lambda: None,
) -> None:
    """Run trials until none is left and those of other processes have ended: one whose process dies is taken over.

    Args:
        plan: What is searched.
        study: Its trials.
        parent_id: The tracked run that they are parts of.
        progress: Shows each run.
        begun: Is told of each trial that begins here.
        ended: Is called after each, and while others are waited for.
    """
    while not is_over(plan, study):
        trial = study.begin(plan.total if may_begin(plan, study) else 0)
        if trial is not None:
            begun(trial)
            _run_one(plan, study, trial, parent_id, progress)
        elif any(trial.state == "running" for trial in study.trials()):
            time.sleep(POLL_SECONDS)
        else:
            return  # the space is used up
        ended()


def _run_one(plan: Plan, study: Study, trial: Trial, parent_id: str, progress: Progress) -> None:
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
        tested=False,
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

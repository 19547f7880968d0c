"""A sweep: search settings for the best validation metric, trial by trial, each a run of its own.

The test part is left alone: whoever trains the best settings reads it, once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from recsys_cli import config, preparation
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError
from recsys_cli.progress import NotesOnce, Progress
from recsys_cli.sweeps.board import Board
from recsys_cli.sweeps.locks import PARENT
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.results import Result, refuse_without_best, result
from recsys_cli.sweeps.study import Study
from recsys_cli.sweeps.trials import POLL_SECONDS, is_over, opened, run_all, spent
from recsys_cli.sweeps.workers import run_workers
from recsys_cli.tracking.contract import Status, Tracker

TABLE, PAGE = "sweep.json", "sweep.html"
Draw = Callable[[Result], str]


def run(plan: Plan, *, progress: Progress, draw: Draw | None = None) -> Result:
    """Run the trials that are still to run, and report all of them.

    Args:
        plan: What is searched.
        progress: Shows how it goes on.
        draw: Makes the page that is kept with the table; None = there is none.

    Raises:
        RecsysError: What stops a trial, but for divergence, stops the sweep; the same study goes on from there.
        DivergedError: Not one trial came to an end.
    """
    if not plan.store.has_study():
        # Data or a model that cannot be had are refused while nothing is written yet.
        ready = preparation.prepare(plan.settings, progress=progress)
        if "valid" not in ready.parts:
            raise ConfigError(
                f"split {ready.split.name} has no validation part, and a sweep chooses by one",
                "give it one, such as split.valid_ratio=0.1",
            )
    with _held(plan), opened(plan) as study:
        done = sum(trial.state != "running" for trial in study.trials())
        by = plan.sampler if plan.by_itself else f"{plan.sampler} in {plan.workers} processes"
        by += "" if plan.cluster is None else " on a Ray cluster"
        progress.note(
            f"sweep {plan.name}: {'' if plan.total is None else f'{plan.total} '}trials by {by}, {done} of them done; "
            f"--study {plan.name} goes on with it after an interruption"
        )
        if plan.alone or study.locks.take(PARENT):
            found = _lead(plan, study, progress, draw)
        else:
            found = _join(plan, study, progress, draw)
        refuse_without_best(found)
        return found


@contextmanager
def _held(plan: Plan) -> Iterator[None]:
    """Make the sweep's folder; where the study is not to be shared keep other commands off, by a lock that dies with us."""
    from filelock import FileLock, Timeout

    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        if plan.storage is not None:
            yield
            return
        lock = FileLock(plan.folder / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            f"--study {plan.name} is being run by another process",
            "wait for it, give another name, or share a study by --storage",
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot write to the folder {plan.folder}: {error.strerror}", "name another: root=DIR"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _lead(plan: Plan, study: Study, progress: Progress, draw: Draw | None) -> Result:
    """Run the trials under a parent run, which is this process's to write."""
    if is_over(plan, study) and _is_recorded(study):
        return result(plan, study)
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
        _work(plan, study, parent_id, tracker, progress)
        found = result(plan, study)
        _record(plan, found, tracker, draw)
        refuse_without_best(found)
        study.note(recorded=len(study.trials()))
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
        study.note(logged_at=tracker.location)
    return replace(found, logged_at=tracker.location)


def _join(plan: Plan, study: Study, progress: Progress, draw: Draw | None) -> Result:
    """Run trials of a sweep that another command leads, and take over where that one is gone before its end."""
    progress.note(f"another command leads the sweep {plan.name}; this one helps it")
    while (parent_id := study.notes.get("run_id")) is None:
        if study.locks.take(PARENT):
            return _lead(plan, study, progress, draw)
        time.sleep(POLL_SECONDS)
    _work(plan, study, parent_id, None, progress)
    while not _is_recorded(study):
        if study.locks.take(PARENT):
            return _lead(plan, study, progress, draw)
        time.sleep(POLL_SECONDS)
    return result(plan, study)


def _is_recorded(study: Study) -> bool:
    return bool(study.notes.get("recorded") == len(study.trials()))


def _work(
    plan: Plan, study: Study, parent_id: str, tracker: Tracker | None, progress: Progress
) -> None:
    """Run the trials that are left, here or in processes of their own."""
    board = Board(plan, study, tracker, progress)
    with board.shown():
        if plan.by_itself:
            once = NotesOnce(progress)
            run_all(
                plan,
                study,
                parent_id,
                once,
                begun=lambda trial: board.update(),
                ended=board.update,
            )
            board.update()  # of one that another process has ended since
        else:
            run_workers(plan, study, parent_id, progress, board)
    if over := plan.limits.reached(spent(study)):
        progress.note(f"{over} is reached after {len(study.trials())} trials")


def _params(plan: Plan) -> dict[str, Any]:
    """Settings of the sweep as a whole; its children have theirs in full."""
    searched = {axis.name: axis.typed.partition("=")[2] for axis in plan.space.axes}
    fixed = {
        "sweep.trials": "as many as time allows" if plan.total is None else plan.total,
        "sweep.sampler": plan.sampler,
        "sweep.pruner": plan.pruner,
        "sweep.workers": plan.workers,
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


def _record(plan: Plan, found: Result, tracker: Tracker, draw: Draw | None) -> None:
    """Keep the table of trials and the page with the parent run."""
    path = plan.folder / TABLE
    path.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    if found.has_best:
        best = {
            f"best_{key}": value for key, value in found.best.params.items() if _is_number(value)
        }
        counts = {"trials": len(found.trials), "best_trial": found.best.number}
        tracker.metrics(counts | best, step=len(found.trials))
    tracker.artifact(path)
    if draw is not None:
        page = plan.folder / PAGE
        write_whole(page, draw(found).encode())
        tracker.artifact(page)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""One experiment, from settings to numbers: load -> split -> build -> fit -> evaluate -> record.

This is the page to read. Everything that is random is derived from one seed; the test part is read once, at the
end, by the weights that validation chose; nothing is written before settings, data and model have been checked.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from recsys_cli import unfinished
from recsys_cli.config import Config, build
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError
from recsys_cli.evaluation.evaluate import Result, evaluate
from recsys_cli.outcome import (
    Outcome,
    describe_data,
    files,
    model_counts,
    record,
    save_users,
    save_weights,
    tags,
    timings,
    title,
)
from recsys_cli.preparation import Prepared, Stopwatch, announce, prepare, why_this_split
from recsys_cli.progress import Progress, Silent
from recsys_cli.promises import conditions, promise
from recsys_cli.tracking.contract import Status, Tracker
from recsys_cli.tracking.run_folder import HISTORY, SETTINGS, WEIGHTS
from recsys_cli.tracking.under_way import CHECKPOINT, Journal, Running, held, numbers_of
from recsys_cli.training.checkpoint import Checkpoints
from recsys_cli.training.interruption import deferred
from recsys_cli.training.loop import GivenUp, Report
from recsys_cli.training.state import History
from recsys_cli.unfinished import Begun


def run(
    config: Config,
    *,
    run_dir: Path | None,
    progress: Progress,
    parent_id: str | None = None,
    report: Callable[[int, Mapping[str, float]], None] | None = None,
    resume: bool = False,
    allow_mismatch: bool = False,
    tested: bool = True,
) -> Outcome:
    """Run one experiment and record it.

    Args:
        config: Complete, checked settings.
        run_dir: Where to put its files, a folder that is not there or is empty; None = a new one under `root`.
        progress: Shows how it goes on.
        parent_id: The tracked run that this one is a part of.
        report: Is told each epoch's numbers too, and may give the run up, which is then closed as killed.
        resume: `run_dir` may hold a run with the same settings: one that was cut off goes on and ends with the same
            bits as one that was not, and of one that is finished the outcome is returned again.
        allow_mismatch: It may go on under other versions, threads or hardware too; its promise then says so.
        tested: Whether the test part is measured; a trial of a search leaves it alone.

    Raises:
        RecsysError: Something that the user can mend.
        GivenUp: By `report`.
    """
    clock = Stopwatch()
    with ExitStack() as stack:
        begun = _begun(run_dir, config, stack) if resume else None
        if begun is not None and begun.running is None:
            progress.note(f"the run {begun.folder} is finished: nothing is left to do")
            unfinished.clear(begun.folder)
            return Outcome.from_json(begun.recorded, begun.folder)
        if not resume:
            _refuse_used(run_dir)
        ready = replace(prepare(config, progress=progress, stopwatch=clock), tested=tested)
        announce(ready, config, progress)
        folder = _make_run_dir(run_dir, config, stack) if begun is None else begun.folder
        tracker: Tracker = build(config.tree["tracking"], key="tracking")
        run_id = tracker.start(
            name=title(config),
            params=config.flat()
            | {f"choice.{group}": name for group, name in config.choices.items()},
            tags=tags(config, ready),
            dataset=describe_data(config, ready.interactions),
            parent_id=parent_id,
            run_id=None if begun is None else begun.run_id,
            folder=folder,
            warn=progress.note,
        )
        status: Status = "FAILED"
        try:
            if begun is None:
                write_whole(folder / SETTINGS, config.yaml().encode(), private=True)
            Running(run_id, config.choices, config.overrides).write(folder)
            with closing(_tell_again(folder, tracker)) as journal:
                if begun is not None and begun.recorded is not None:
                    outcome = replace(Outcome.from_json(begun.recorded, folder), run_id=run_id)
                else:
                    tell = _teller(journal, tracker, report)
                    kept = _checkpoints(folder, config, ready, allow_mismatch=allow_mismatch)
                    outcome = _train(ready, config, folder, kept, tell, progress, clock)
                    outcome = replace(
                        outcome,
                        run_id=run_id,
                        logged_at=tracker.location,
                        how_to_open=tracker.how_to_open,
                    )
            record(outcome, tracker, folder)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            if parent_id is None:
                progress.note(f"go on with: recsys train --resume={shlex.quote(str(folder))}")
            raise
        except GivenUp:
            status = "KILLED"
            raise
        finally:
            with deferred() as stop:  # or the store would go on thinking that the run goes on
                tracker.finish(status)
                if status == "FINISHED":
                    unfinished.clear(folder)
            if stop.requested:
                stop.act()
    return replace(outcome, logged_at=tracker.location)


def _train(
    ready: Prepared,
    config: Config,
    folder: Path,
    checkpoints: Checkpoints,
    report: Report,
    progress: Progress,
    clock: Stopwatch,
) -> Outcome:
    """Fit, and measure what was learnt; the outcome but for where it is tracked."""
    split, around = ready.split, ready.environment
    with ready.device.active():
        with clock("fit"):
            history: History = ready.trainer.fit(
                ready.model,
                split.train,
                device=ready.device,
                primary=ready.protocol.primary,
                validate=lambda: _measure(ready, "valid", Silent()).metrics,
                report=report,
                progress=progress,
                better=ready.protocol.better,
                checkpoints=checkpoints,
            )
        weights_sha256 = save_weights(ready.model, folder / WEIGHTS)
        results = {}
        for part in ready.parts:
            with clock(part):
                results[part] = _measure(ready, part, progress)
    save_users(ready, folder, results)
    return Outcome(
        run_id="",
        run_dir=folder,
        config_hash=config.hash,
        split_hash=split.hash,
        weights_sha256=weights_sha256,
        device=around,
        promise=promise(around, checkpoints.mismatches),
        files=files(folder),
        metrics={"valid": {}, "test": {}}
        | {part: found.metrics for part, found in results.items()},
        timings=timings(clock, history),
        counts=split.counts() | model_counts(ready.model, history),
        choices=config.choices,
        split=split.name,
        leaks=split.leaks,
        why_split=why_this_split(config),
    )


def _checkpoints(
    folder: Path, config: Config, ready: Prepared, *, allow_mismatch: bool
) -> Checkpoints:
    """Where a training is kept while it is under way, with what its bits hang on."""
    return Checkpoints(
        folder / CHECKPOINT,
        config.measured | {"split_hash": ready.split.hash},
        conditions(ready.environment),
        allow_mismatch=allow_mismatch,
    )


def _tell_again(folder: Path, tracker: Tracker) -> Journal:
    """The journal of a run; what stands in it already is told again, since the process may have died before."""
    journal = Journal(folder / HISTORY)
    for entry in journal.entries:
        tracker.metrics(numbers_of(entry), step=entry["epoch"], time_ms=entry["time_ms"])
    return journal


def _teller(journal: Journal, tracker: Tracker, also: Report | None) -> Report:
    """Each epoch's numbers go to the run's folder first, then to the tracker."""

    def tell(epoch: int, numbers: Mapping[str, float]) -> None:
        if (entry := journal.add(epoch, numbers)) is not None:
            tracker.metrics(numbers, step=epoch, time_ms=entry["time_ms"])
        if also is not None:
            also(epoch, numbers)

    return tell


def _measure(ready: Prepared, part: str, progress: Progress) -> Result:
    holdout, device = ready.parts[part], ready.device.torch
    return evaluate(
        ready.model, holdout, ready.protocol, device=device, progress=progress, what=part
    )


def _begun(run_dir: Path | None, config: Config, stack: ExitStack) -> Begun | None:
    """The run that is to go on, its folder kept for this process until the stack is left."""
    if run_dir is None:
        raise ConfigError("--resume=auto goes on in a folder, and none is named", "add --run-dir")
    if not run_dir.is_dir():
        return None
    with ExitStack() as holding:
        holding.enter_context(held(run_dir))
        begun = unfinished.find(run_dir)
        if begun is not None:
            begun.check_same(config)
            unfinished.sweep(run_dir)
            stack.push(holding.pop_all())
    return begun


def _refuse_used(run_dir: Path | None) -> None:
    if (
        run_dir is not None
        and run_dir.exists()
        and (not run_dir.is_dir() or any(run_dir.iterdir()))
    ):
        hint = "name a new one, or go on with the run in it: --resume=auto"
        raise ConfigError(f"--run-dir {run_dir} is not an empty folder", hint)


def _make_run_dir(run_dir: Path | None, config: Config, stack: ExitStack) -> Path:
    """A new folder, kept for this process; its name is ours, never made of what a user typed as a title."""
    if run_dir is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = f"{stamp}-{config.choices['model']}-{config.choices['data']}-{secrets.token_hex(2)}"
        run_dir = Path(config.tree["root"]) / name
    new = not run_dir.exists()
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {run_dir}: {error.strerror}", "name another with --run-dir"
        ) from error
    if new:
        stack.callback(_remove_if_empty, run_dir)
    stack.enter_context(held(run_dir))
    if unfinished.find(run_dir) is not None:
        raise ConfigError(f"another process has begun a run in {run_dir}", "name a new folder")
    return run_dir


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()

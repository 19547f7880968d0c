"""What is told of a sweep as its trials end, whichever process ran them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recsys_cli.progress import Bar, Progress
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.study import Study, Trial
from recsys_cli.sweeps.trials import spent
from recsys_cli.tracking.contract import Tracker

MOST_BEST = 5  # rows of the table, besides the trials under way


class Board:
    """What is told of each trial: a line, a step of the bar, a row of the table, and a point on the parent run's curves.

    Args:
        plan: What is searched.
        study: Its trials; those that have ended by now were told of before.
        tracker: Of the parent run; None where another process has it.
        progress: Where lines go.
    """

    def __init__(self, plan: Plan, study: Study, tracker: Tracker | None, progress: Progress):
        self._plan, self._study, self._tracker, self._progress = plan, study, tracker, progress
        self._told = {trial.number for trial in study.trials() if trial.state != "running"}
        self._bar: Bar | None = None
        self._seconds = round(plan.limits.left(spent(study))) if plan.total is None else 0
        self._done = 0
        self._rows: list[tuple[str, ...]] = []

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Inside the block there is a bar: of trials where their number is known, else of the seconds that are left."""
        total, unit = self._seconds, "s"
        if self._plan.total is not None:
            total, unit = self._plan.total - len(self._told), "trials"
        with self._progress.bar("sweep", total, unit) as self._bar:
            self.update()
            yield

    def update(self) -> None:
        """Tell of the trials that have ended since, and show which are under way and which are the best."""
        trials = self._study.trials()
        for trial in trials:
            if trial.state != "running" and trial.number not in self._told:
                self._told.add(trial.number)
                self._tell(trial)
        rows = [self._row(trial) for trial in self._looked_at(trials)]
        if rows != self._rows:
            self._rows = rows
            axes = (axis.name for axis in self._plan.space.axes)
            self._progress.table(("trial", self._plan.metric, *axes), rows)

    def _looked_at(self, trials: list[Trial]) -> Iterator[Trial]:
        """Those under way, then the best."""
        yield from (trial for trial in trials if trial.state == "running")
        valued = [
            (self._study.goodness(trial.value), -trial.number, trial)
            for trial in trials
            if trial.state == "finished" and trial.value is not None
        ]
        yield from (trial for *_, trial in sorted(valued, reverse=True)[:MOST_BEST])

    def _row(self, trial: Trial) -> tuple[str, ...]:
        value = trial.state if trial.value is None else f"{trial.value:.4f}"
        point = (axis.short(trial.point[axis.key]) for axis in self._plan.space.axes)
        return (f"trial-{trial.number:03d}", value, *point)

    def _tell(self, trial: Trial) -> None:
        plan, best = self._plan, self._study.best()
        shown = trial.state if trial.value is None else f"{plan.metric} {trial.value:.4f}"
        shown += ", pruned" if trial.state == "pruned" else ""
        point = " ".join(f"{key}={text}" for key, text in plan.space.texts(trial.point).items())
        of = "" if plan.total is None else f" of {plan.total}"
        seconds = trial.facts["seconds"]
        self._progress.note(f"trial {trial.number + 1}{of}: {shown}; {point}; {seconds:.1f} s")
        values = {} if trial.value is None else {f"valid_{plan.metric}": trial.value}
        if best is not None and best.value is not None:
            values[f"best_valid_{plan.metric}"] = best.value
        self._advance({} if best is None or best.value is None else {"best": best.value})
        if self._tracker is not None:
            self._tracker.metrics(values, step=trial.number)

    def _advance(self, shown: dict[str, float]) -> None:
        assert self._bar is not None
        steps = 1
        if self._plan.total is None:
            done = self._seconds - round(self._plan.limits.left(spent(self._study)))
            steps, self._done = max(0, done - self._done), max(done, self._done)
        self._bar.advance(steps, **shown)

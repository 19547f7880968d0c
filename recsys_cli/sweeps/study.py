"""The record of a search, an Optuna study, and what to try next.

A trial is written in one transaction with all its values as it starts. A kill therefore leaves no trial or a whole
one, and a whole one is run again under its own number. What comes next depends on the seed, the number and the
finished trials alone, not on what a sampler remembers: a search that was cut off and continued tries the same
points as one that was not. Processes that share a study choose one after another, and each holds a lock on the trial
that it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from recsys_cli.errors import ConfigError
from recsys_cli.seeds import derive
from recsys_cli.sweeps.locks import CHOOSING, MAKING, Alone, Locks
from recsys_cli.sweeps.pruning import PrunerName, make_pruner
from recsys_cli.sweeps.space import Point, Space
from recsys_cli.sweeps.store import Store

SamplerName = Literal["grid", "random", "tpe", "gp"]
State = Literal["running", "finished", "pruned", "diverged"]

MINIMISE, MAXIMISE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
DRAWS = 50  # at most so many, until one is a point that was not tried yet
STATES: dict[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "diverged",
}


@dataclass(frozen=True)
class Trial:
    """One point that was tried or is being tried.

    Attributes:
        number: Counted from 0.
        point: Key -> value as drawn.
        state: How far it is.
        value: The validation metric, of a pruned trial that of its last epoch; None where there is none.
        facts: What was noted when it ended.
        reports: Epoch -> validation metric, where a pruner looks at it.
    """

    number: int
    point: Point
    state: State
    value: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A search space with all trials so far."""

    record: optuna.Study
    space: Space
    sampler: SamplerName
    seed: int
    storage: RDBStorage
    locks: Locks = field(default_factory=Alone)
    pruner: BasePruner = field(default_factory=NopPruner)

    @property
    def notes(self) -> dict[str, Any]:
        """What was noted about the search as a whole and about its trials."""
        return dict(self.record.user_attrs)

    def note(self, **facts: Any) -> None:
        """Keep facts about the search as a whole."""
        for name, fact in facts.items():
            self.record.set_user_attr(name, fact)

    def trials(self) -> list[Trial]:
        """All of them by number."""
        notes = self.notes
        return [
            Trial(
                number=kept.number,
                point=dict(kept.params),
                state=STATES[kept.state],
                value=kept.value,
                facts=notes.get(_about(kept.number), {}),
                reports=dict(kept.intermediate_values),
            )
            for kept in self._kept()
        ]

    def best(self) -> Trial | None:
        """The finished trial with the best value, the earliest of equals."""
        valued = [
            (self.goodness(trial.value), -trial.number, trial)
            for trial in self.trials()
            if trial.state == "finished" and trial.value is not None
        ]
        return max(valued)[2] if valued else None

    def goodness(self, value: float) -> float:
        """The value, or its opposite where lower is better: greater is better in both cases."""
        return -value if self.record.direction is MINIMISE else value

    def begin(self, total: int | None) -> Trial | None:
        """The next trial: one that was cut off, else a new one; None when there are `total` or none is left.

        A running trial whose lock can be had is one whose process died. The lock is held until the trial is finished.
        """
        with self.locks.held(CHOOSING):
            for trial in self.trials():
                if trial.state == "running" and self._taken(trial.number):
                    return trial
            number = len(self.trials())
            point = self._propose() if total is None or number < total else None
            if point is None:
                return None
            self.record.add_trial(
                create_trial(
                    state=TrialState.RUNNING, params=point, distributions=self.space.distributions
                )
            )
            self.locks.take(number)
            return Trial(number, point, "running")

    def _taken(self, number: int) -> bool:
        """Take over a trial that nobody works at."""
        if not self.locks.take(number):
            return False
        # Its process may have finished it and let it go since it was read.
        if self.trials()[number].state == "running":
            return True
        self.locks.give_back(number)
        return False

    def hopeless(self, trial: Trial, epoch: int, value: float) -> bool:
        """Keep what was measured after an epoch; whether the trial is not worth going on with.

        An epoch that was reported before its process died is judged as it was then.
        """
        study_id = self.storage.get_study_id_from_name(self.record.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        self.storage.set_trial_intermediate_value(trial_id, epoch, value)
        seen = copy(self._kept()[trial.number])
        seen.intermediate_values = {
            before: kept for before, kept in seen.intermediate_values.items() if before <= epoch
        }
        return self.pruner.prune(self.record, seen)

    def finish(
        self, trial: Trial, value: float | None, *, pruned: bool = False, **facts: Any
    ) -> None:
        """Close a trial with its value, as pruned with that of its last epoch, or as diverged without one."""
        # Facts come first: a kill between the two leaves the trial running, and it is run again.
        self.note(**{_about(trial.number): facts})
        if pruned:
            self.record.tell(trial.number, state=TrialState.PRUNED)
        elif value is None:
            self.record.tell(trial.number, state=TrialState.FAIL)
        else:
            self.record.tell(trial.number, value)
        self.locks.give_back(trial.number)

    def _kept(self) -> list[FrozenTrial]:
        return self.record.get_trials(deepcopy=False)

    def _propose(self) -> Point | None:
        """A point that was not tried: drawn, or the first of the grid where drawing finds none."""
        tried = [self.space.texts(trial.point) for trial in self.trials()]
        drawn = () if self.sampler == "grid" else self._draws()
        points = chain(drawn, self.space.grid())
        return next((point for point in points if self.space.texts(point) not in tried), None)

    def _draws(self) -> Iterator[Point]:
        """Points from a sampler that begins anew for each trial, in a copy of the study that is thrown away."""
        kept = self._kept()
        copy = optuna.create_study(
            direction=self.record.direction, sampler=self._sampler(len(kept))
        )
        copy.add_trials(kept)
        for _ in range(DRAWS):
            yield copy.ask(self.space.distributions).params

    def _sampler(self, number: int) -> BaseSampler:
        seed = derive(self.seed, "sweep", number) % 2**32
        if self.sampler == "random":
            return RandomSampler(seed)
        return GPSampler(seed=seed) if self.sampler == "gp" else TPESampler(seed=seed)


def _about(number: int) -> str:
    return f"trial {number}"


@contextmanager
def opened(
    store: Store,
    space: Space,
    *,
    sampler: SamplerName,
    seed: int,
    settings_hash: str,
    better: Literal["higher", "lower"] = "higher",
    pruner: PrunerName = "none",
    epochs: int = 0,
    alone: bool = True,
) -> Iterator[Study]:
    """The study in a store; a new one where there is none.

    Args:
        store: Where it is.
        space: What is searched.
        sampler: What proposes points.
        seed: Root of the sampler's random numbers.
        settings_hash: Of the settings of the first point: it changes with anything that is measured.
        better: Which direction of the metric is an improvement; a study that is there has its own.
        pruner: What gives trials up.
        epochs: Most epochs of a trial; 0 where it has none.
        alone: Whether no other process works at the study.

    Raises:
        ConfigError: The store holds another search of this name, or cannot be read.
    """
    # Optuna tells of every study and trial; we tell of them ourselves, and its errors are raised too.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    definition = {
        "space": {axis.key: axis.typed for axis in space.axes},
        "sampler": sampler,
        "settings": settings_hash,
        "pruner": pruner,
    }

    def make(storage: RDBStorage) -> optuna.Study:
        record = optuna.create_study(
            storage=storage,
            study_name=store.study,
            direction=MINIMISE if better == "lower" else MAXIMISE,
            load_if_exists=True,
        )
        if "definition" not in record.user_attrs:
            record.set_user_attr("definition", definition)
        return record

    with ExitStack() as stack:
        locks = stack.enter_context(closing(store.locks(alone=alone)))
        with locks.held(MAKING):
            store.prepare(make)
            storage = stack.enter_context(store.opened())
            record = make(storage)
        _refuse_other(record.user_attrs["definition"], definition)
        yield Study(record, space, sampler, seed, storage, locks, make_pruner(pruner, epochs))


def _refuse_other(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for what, meant in here.items():
        begun = there.get(what, "none")  # a study of a version without this choice
        if begun != meant:
            raise ConfigError(
                f"--study: it was begun with another {what}: {_shown(begun)}, now {_shown(meant)}",
                "repeat its command, or give a new name",
            )


def _shown(part: Any) -> str:
    return " ".join(part.values()) if isinstance(part, dict) else str(part)[:12]

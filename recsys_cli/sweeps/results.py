"""What a sweep found: its trials, best first, and the command that repeats the best."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass
from typing import Any

from recsys_cli.errors import DivergedError
from recsys_cli.redact import redact, redact_all
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.study import Study, Trial


@dataclass(frozen=True)
class Row:
    """One trial as it is reported.

    Attributes:
        number: Counted from 0; its files are in `trial-NNN`.
        state: `finished`, `pruned` (given up before its last epoch) or `diverged`.
        value: The validation metric, of a pruned trial that of its last epoch; None where it diverged.
        seconds: Wall time of the run, or of what was left of it where it was cut off.
        params: Searched key -> value.
        overrides: What `recsys train` repeats it with.
        run_id: Its tracked run.
        run_dir: Its files.
    """

    number: int
    state: str
    value: float | None
    seconds: float
    params: dict[str, Any]
    overrides: list[str]
    run_id: str
    run_dir: str


@dataclass(frozen=True)
class Result:
    """What a sweep ends with: its trials best first; `sweep.json` and `--json` hold the same."""

    study: str
    study_dir: str
    sampler: str
    pruner: str
    metric: str
    run_id: str
    best: Row
    command: str
    trials: list[Row]
    logged_at: str
    how_to_open: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields, without secrets."""
        return dict(redact_all(asdict(self)))


def result(plan: Plan, study: Study) -> Result:
    """All trials that came to an end, and the best of them.

    Raises:
        DivergedError: None came to its end with a value.
    """
    rows = [_row(plan, trial) for trial in study.trials() if trial.state != "running"]
    rows.sort(
        key=lambda row: (
            row.state == "finished",
            -math.inf if row.value is None else study.goodness(row.value),
            -row.number,
        ),
        reverse=True,
    )
    if not rows or rows[0].state != "finished":
        how = (
            "diverged or were pruned" if any(row.state == "pruned" for row in rows) else "diverged"
        )
        raise DivergedError(
            f"all {len(rows)} trials {how}, see {plan.folder}", "search smaller steps"
        )
    notes = study.notes
    return Result(
        study=plan.name,
        study_dir=str(plan.folder),
        sampler=plan.sampler,
        pruner=plan.pruner,
        metric=f"valid_{plan.metric}",
        run_id=notes["run_id"],
        best=rows[0],
        command=redact(shlex.join(["recsys", "train", *plan.options, *rows[0].overrides])),
        trials=rows,
        logged_at=notes["logged_at"],
        how_to_open=notes["how_to_open"],
    )


def _row(plan: Plan, trial: Trial) -> Row:
    return Row(
        number=trial.number,
        state=trial.state,
        value=trial.value,
        seconds=trial.facts["seconds"],
        params={axis.name: _plain(axis.text(trial.point[axis.key])) for axis in plan.space.axes},
        overrides=plan.space.overrides(trial.point),
        run_id=trial.facts["run_id"],
        run_dir=str(plan.trial_folder(trial.number)),
    )


def _plain(text: str) -> Any:
    """The value of an override's text where it is a number or the like, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text

"""What a comparison of tuned models found: a table, and the sentence that a person can quote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from recsys_cli.comparisons.runs import Row, to_json
from recsys_cli.redact import redact_all

Kind = Literal["tuned", "yardstick"]


@dataclass(frozen=True)
class Standing:
    """One model in the table.

    Attributes:
        model: Its name.
        kind: Whether it was tuned here, or stands there to be beaten.
        seed_values: The test value of the first metric, by seed; one where nothing is random.
        valid: The validation value of the best trial, else of the run.
        trials: Of its search.
        search_seconds: Of all trials together.
        train_seconds: Of one training with the best setting, the median over seeds.
        parameters: Numbers that are learnt.
        command: Repeats the first of the measured runs.
        run_dirs: The measured runs.
        mark: What to beware of; empty where there is nothing.
        setting: Searched key -> best value.
        trial_values: Validation value of each trial in order; None where it has none.
        search_page: The page of its search; empty where there is none.
        curve: Epoch and validation value of the first measured run, where it was trained in epochs.
    """

    model: str
    kind: Kind
    seed_values: tuple[float, ...]
    valid: float
    trials: int
    search_seconds: float
    train_seconds: float
    parameters: int
    command: str
    run_dirs: tuple[str, ...]
    mark: str = ""
    setting: Mapping[str, Any] = field(default_factory=dict)
    trial_values: tuple[float | None, ...] = ()
    search_page: str = ""
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def spread(self) -> float | None:
        """Standard deviation between seeds; None of a single one."""
        return float(np.std(self.seed_values, ddof=1)) if len(self.seed_values) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """What `recsys compare` ends with; `comparison.json` and `--json` hold the same.

    Attributes:
        name: That of its folder.
        folder: Where it is.
        split: Its name, hash and leaks, by those words.
        reference: The model that the others are set against.
        standings: The table, best first.
        rows: Means, intervals and differences, metric by metric.
        left_out: Model -> why it is not in the table.
        environment: Versions and hardware.
        higher: Whether a higher value of the metric is better.
        run_id: The tracked run of the comparison.
        logged_at: Where the runs are recorded.
        how_to_open: The command that shows them.
    """

    name: str
    folder: str
    split: Mapping[str, str]
    reference: str
    standings: Sequence[Standing]
    rows: Sequence[Row]
    left_out: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    higher: bool = True
    run_id: str = ""
    logged_at: str = ""
    how_to_open: str = ""

    @property
    def metric(self) -> str:
        """The one that was tuned for."""
        return self.rows[0].metric

    def row(self, model: str, metric: str | None = None) -> Row:
        """What a model's values of a metric say; None = the first metric."""
        wanted = metric or self.metric
        return next(row for row in self.rows if (row.name, row.metric) == (model, wanted))

    @property
    def references(self) -> str:
        """The models that others are set against, in words."""
        return " or ".join(dict.fromkeys(row.against for row in self.rows if row.against))

    @property
    def verdicts(self) -> list[str]:
        """A sentence for each tuned model against the reference, or against the one that it is set against."""
        tuned = [each.model for each in self.standings if each.kind == "tuned"]
        return [self._verdict(model) for model in tuned if model != self.reference]

    def _verdict(self, model: str) -> str:
        row = self.row(model)
        d = row.difference
        assert d is not None
        amount = f"{d.mean:+.4f} [{d.interval.low:+.4f}, {d.interval.high:+.4f}] {self.metric}"
        if not row.told_apart:
            return f"{model} and {row.against} cannot be told apart: {amount}"
        word = row.sentence.split(":")[0].removesuffix(row.against).strip()
        chance = self._of_chance({model, row.against}, d.mean)
        return f"{model} is {word} {row.against}: {amount}{chance}"

    def _of_chance(self, models: set[str], difference: float) -> str:
        """A caution where seeds differ as much as the models do."""
        spreads = [e.spread or 0.0 for e in self.standings if e.model in models]
        within = abs(difference) < float(np.linalg.norm(spreads))
        return "; seeds alone differ as much" if within else ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields, without secrets."""
        told = asdict(self) | {
            "standings": [asdict(each) | {"spread": each.spread} for each in self.standings],
            "rows": to_json(self.rows),
            "metric": self.metric,
            "verdicts": self.verdicts,
        }
        return dict(redact_all(told))


def marked(mean: float, yardsticks: Mapping[str, float], *, higher: bool) -> str:
    """`probably underfit` where a tuned model is below one that had nothing to tune.

    Args:
        mean: The tuned model's value.
        yardsticks: Model -> value.
        higher: Whether a higher value is better.
    """
    above = [
        name for name, value in yardsticks.items() if value != mean and (value > mean) == higher
    ]
    return f"probably underfit: below {', '.join(above)}" if above else ""

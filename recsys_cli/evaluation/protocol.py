"""What is asked of a ranking: the settings of a full-ranking evaluation, checked before any data is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from recsys_cli.errors import ConfigError, nearest
from recsys_cli.evaluation.catalogue import METRICS, Metric, find_metric
from recsys_cli.evaluation.dialects import DIALECTS, DialectName


@dataclass(frozen=True, kw_only=True)
class RankingProtocol:
    """Rank the whole catalogue for each user who has a target, and measure the top of the list.

    Attributes:
        cutoffs: Lengths of the list that metrics are computed for.
        metrics: Names from `METRICS` that judge a ranking.
        primary: The value that validation and comparisons go by, such as `ndcg_at_10`.
        exclude_seen: Whether items that the user already had are taken out of the ranking.
        dialect: Whose definitions the names of metrics have; "recsys" means our own.

    Raises:
        ConfigError: A name is unknown or twice there, a cut-off is not positive or twice there, or `primary` is
            not among the computed values or not one that is better when higher.
    """

    cutoffs: Annotated[list[Annotated[int, Ge(1), Le(1000)]], MinLen(1)]
    metrics: Annotated[list[str], MinLen(1)]
    primary: str
    exclude_seen: bool
    dialect: DialectName

    def __post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise ConfigError(
                f"evaluation.dialect={self.dialect!r} is not known",
                nearest(self.dialect, list(DIALECTS)),
            )
        self._check_cutoffs()
        self._check_metrics()
        self._check_primary()

    @property
    def better(self) -> Literal["higher"]:
        """Which direction of `primary` is an improvement."""
        return "higher"

    @property
    def longest(self) -> int:
        """The length of the lists that are made, which serves all cut-offs."""
        return max(self.cutoffs)

    @property
    def keys(self) -> list[str]:
        """The names of all values, metric by metric."""
        return [key for name in self.metrics for key in METRICS[name].keys(self.cutoffs)]

    def variant(self, name: str) -> str:
        """The metric that is computed under this name, in the protocol's dialect."""
        return DIALECTS[self.dialect].variant(name)

    def in_words(self) -> str:
        """Which of the asked metrics another library defines otherwise; empty where none is."""
        dialect = DIALECTS[self.dialect]
        told = [f"{n} is {v}" for n in self.metrics if (v := dialect.variant(n)) != n]
        if self.dialect == "recsys":
            return ""
        what = ", ".join(told) or "for these names the same as ours"
        return (
            f"metrics as {dialect.library} defines them: {what} (evaluation.dialect={self.dialect})"
        )

    def _check_cutoffs(self) -> None:
        for k in self.cutoffs:
            if not 1 <= k <= 1000 or self.cutoffs.count(k) > 1:
                raise ConfigError(
                    f"evaluation.cutoffs={self.cutoffs}: {k} is not a length of a list, from 1 to 1000, named once",
                    "give different whole numbers, such as [5, 10, 20]",
                )
        if not self.cutoffs:
            raise ConfigError("evaluation.cutoffs is empty", "give at least one, such as [10]")

    def _check_metrics(self) -> None:
        if not self.metrics:
            raise ConfigError("evaluation.metrics is empty", "give at least one, such as [ndcg]")
        for name in self.metrics:
            if name not in _RANKING:
                hint = (
                    f"it judges values, not rankings; there are: {', '.join(sorted(_RANKING))}"
                    if name in METRICS
                    else nearest(name, list(_RANKING))
                )
                raise ConfigError(f"evaluation.metrics: {name!r} is not a metric of rankings", hint)
            if self.metrics.count(name) > 1:
                raise ConfigError(f"evaluation.metrics: {name!r} stands twice", "name it once")

    def _check_primary(self) -> None:
        if self.primary not in self.keys:
            raise ConfigError(
                f"evaluation.primary={self.primary!r} is not among the computed metrics",
                nearest(self.primary, self.keys),
            )
        metric = find_metric(self.primary.split("_at_")[0])
        if metric.better != "higher":
            raise ConfigError(
                f"evaluation.primary={self.primary!r} is not better when higher, so it can't choose a model",
                "name one that is, such as ndcg_at_10",
            )


_RANKING: dict[str, Metric] = {name: m for name, m in METRICS.items() if m.of == "ranking"}

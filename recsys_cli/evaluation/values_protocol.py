"""What is asked of predicted values: the settings of an evaluation of ratings, checked before any data is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MinLen

from recsys_cli.errors import ConfigError, nearest
from recsys_cli.evaluation.catalogue import METRICS


@dataclass(frozen=True, kw_only=True)
class ValuesProtocol:
    """Predict the value of each held-out event, and measure how far off the predictions are.

    Attributes:
        metrics: Names from `METRICS` that judge predicted values.
        primary: The one of them that validation and comparisons go by.
        low: The smallest value there is, to which lower predictions are raised; None = no limit.
        high: The largest value there is, to which higher predictions are lowered; None = no limit.

    Raises:
        ConfigError: A name is unknown or twice there, `primary` is not among them, or low is not below high.
    """

    metrics: Annotated[list[str], MinLen(1)]
    primary: str
    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in _VALUES:
                hint = (
                    f"it judges rankings, not values; there are: {', '.join(_VALUES)}"
                    if name in METRICS
                    else nearest(name, _VALUES)
                )
                raise ConfigError(f"evaluation.metrics: {name!r} is not a metric of values", hint)
            if self.metrics.count(name) > 1:
                raise ConfigError(f"evaluation.metrics: {name!r} stands twice", "name it once")
        if self.primary not in self.metrics:
            raise ConfigError(
                f"evaluation.primary={self.primary!r} is not among the computed metrics",
                nearest(self.primary, self.metrics),
            )
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ConfigError(
                f"evaluation.low={self.low:g} is not below evaluation.high={self.high:g}",
                "give the smallest and the largest rating, such as 1 and 5",
            )

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which direction of `primary` is an improvement."""
        return "lower" if METRICS[self.primary].better == "lower" else "higher"


_VALUES = [name for name, metric in METRICS.items() if metric.of == "values"]

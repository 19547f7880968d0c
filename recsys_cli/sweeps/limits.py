"""How much a sweep may spend: wall time of a command, and training time of all its trials."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from recsys_cli.errors import ConfigError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(rf"(\d+(?:\.\d+)?)([{''.join(_UNITS)}])")


def seconds(text: str, option: str) -> float:
    """A duration in seconds: `90s`, `10m`, `1.5h`, `2d`, or several parts as in `1h30m`.

    Raises:
        ConfigError: It is none, or is 0.
    """
    parts = _DURATION.findall(text)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not total:
        raise ConfigError(f"{option} {text!r} is not a duration", "write it like 90s, 10m or 1h30m")
    return total


@dataclass(frozen=True)
class Limits:
    """No trial is begun when one of them is reached; one that has begun ends.

    Attributes:
        timeout: Wall time since the command was started, in seconds; None = no limit.
        budget: Seconds of all trials together, those of earlier commands too; None = no limit.
        started: When the command was started, by the monotonic clock.
    """

    timeout: float | None = None
    budget: float | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.timeout is not None or self.budget is not None

    def reached(self, spent: float) -> str:
        """What has been reached after so many seconds of training, in words; empty where nothing has."""
        if self.timeout is not None and time.monotonic() - self.started >= self.timeout:
            return f"the timeout of {self.timeout:g} s"
        if self.budget is not None and spent >= self.budget:
            return f"the budget of {self.budget:g} s"
        return ""

    def left(self, spent: float) -> float:
        """Seconds until the first of them."""
        until = [] if self.timeout is None else [self.started + self.timeout - time.monotonic()]
        until += [] if self.budget is None else [self.budget - spent]
        return max(0.0, min(until))

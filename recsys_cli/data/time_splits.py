"""Splits by the clock: the future from the past, for everybody at the same moment."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import numpy as np
from annotated_types import Gt, Lt
from pydantic import AfterValidator

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import DAY_SECONDS, TEST, TRAIN, VALID, Split, assemble, clock
from recsys_cli.errors import ConfigError, DataError


def _check_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ConfigError(
            f"split: {text!r} is not a day of the calendar", "write it like 2015-03-01"
        ) from None


Day = Annotated[str, AfterValidator(_check_day)]
Share = Annotated[float, Gt(0), Lt(1)]


def global_time(
    *,
    interactions: Interactions,
    test_days: Annotated[float, Gt(0), Lt(100_000)],
    valid_days: Annotated[float, Gt(0), Lt(100_000)],
) -> Split:
    """The future from the past: the last days are test, the days before them validation.

    Each user with an event in a part is asked once, at their first event there; later events of the part are
    targets too.

    Raises:
        DataError: The data has no times, or a part is empty.
    """
    test_from = int(clock(interactions, "global_time").max()) + 1 - round(test_days * DAY_SECONDS)
    return cut(
        interactions,
        valid_from=test_from - round(valid_days * DAY_SECONDS),
        test_from=test_from,
        name=f"global_time(test {test_days:g} days, validation {valid_days:g} days)",
    )


def cut(interactions: Interactions, *, valid_from: int, test_from: int, name: str) -> Split:
    """Cut at two moments, in seconds since 1970-01-01 UTC: an event at the moment itself falls behind it.

    Raises:
        DataError: The data has no times, or a part is empty.
    """
    times = clock(interactions, name)
    part = np.where(times >= test_from, TEST, np.where(times >= valid_from, VALID, TRAIN))
    return assemble(interactions, part, name=name, leaks="")


def global_date(*, interactions: Interactions, valid_from: Day, test_from: Day) -> Split:
    """The same, cut at the midnights (UTC) at which two days begin.

    Raises:
        ConfigError: Validation does not begin before the test.
        DataError: The data has no times, or a part is empty.
    """
    if not valid_from < test_from:
        raise ConfigError(
            f"split.valid_from={valid_from} is not before split.test_from={test_from}",
            "let validation lie before the test",
        )
    return cut(
        interactions,
        valid_from=_midnight(valid_from),
        test_from=_midnight(test_from),
        name=f"global_date(validation from {valid_from}, test from {test_from}, UTC)",
    )


def global_time_quantile(
    *, interactions: Interactions, valid_share: Share, test_share: Share
) -> Split:
    """The same, cut where shares of all events lie behind.

    Events of the moment of a cut fall behind it, so a part may be a little larger than its share.

    Raises:
        DataError: The data has no times, the shares leave nothing to learn from, or a part is empty.
    """
    if valid_share + test_share >= 1:
        raise DataError(
            f"split.valid_share + split.test_share is {valid_share + test_share:g}: nothing is left for training",
            "let them add up to less than 1",
        )
    ordered = np.sort(clock(interactions, "global_time_quantile"))
    before_test = int((1 - test_share) * len(ordered))
    before_valid = int((1 - test_share - valid_share) * len(ordered))
    return cut(
        interactions,
        valid_from=int(ordered[before_valid]),
        test_from=int(ordered[before_test]),
        name=f"global_time_quantile(test {test_share:g}, validation {valid_share:g} of all events)",
    )


def _midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())

"""What a sweep may spend."""

from __future__ import annotations

import time

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.sweeps.limits import Limits, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172_800), ("0.5s", 0.5)],
)
def test_durations(text, expected):
    assert seconds(text, "--budget") == expected


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-1m", "1w", "0m", "10m x", "1e3s", "nan"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        seconds(text, "--budget")
    assert (
        caught.value.line == f"--budget {text!r} is not a duration; write it like 90s, 10m or 1h30m"
    )


def test_a_timeout_counts_from_the_start_and_a_budget_what_trials_took():
    now = time.monotonic()

    assert not Limits().given
    assert Limits().reached(1e9) == ""
    assert Limits(timeout=10, started=now - 11).reached(0) == "the timeout of 10 s"
    assert Limits(timeout=1000, started=now - 11).reached(0) == ""
    assert Limits(budget=10, started=now - 11).reached(9) == ""
    assert Limits(budget=10).reached(10) == "the budget of 10 s"


def test_what_is_left_is_up_to_the_first_of_them():
    limits = Limits(timeout=1000, budget=60)

    assert limits.given
    assert limits.left(spent=20) == 40
    assert limits.left(spent=100) == 0
    assert 900 < Limits(timeout=1000).left(spent=5000) <= 1000

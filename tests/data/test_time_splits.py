"""Cuts in time: where they fall, and what they need."""

import time

import numpy as np
import pytest

from recsys_cli.config import bind
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.split import DAY_SECONDS as DAY
from recsys_cli.data.time_splits import cut, global_date, global_time, global_time_quantile
from recsys_cli.errors import ConfigError, DataError


def events(part: Interactions) -> set[int]:
    return set(part.rows.tolist())


@pytest.fixture
def month() -> Interactions:
    """Three users, an event a day for 40 days, in turn; the first at noon of 2001-01-01."""
    days = np.arange(40)
    return from_columns(users=days % 3, items=days, times=978_350_400 + days * DAY)


def test_the_last_days_are_test(month):
    split = global_time(interactions=month, test_days=10, valid_days=5)
    assert events(split.test.targets) == set(range(30, 40))
    assert events(split.valid.targets) == set(range(25, 30))
    assert events(split.valid.history) == set(range(25))
    assert events(split.test.history) == set(range(30))


@pytest.mark.parametrize("days", [0.5, 1.25])
def test_days_may_be_fractions(month, days):
    split = global_time(interactions=month, test_days=days, valid_days=1)
    assert len(split.test.targets) == np.ceil(days)


def test_an_event_at_the_moment_of_a_cut_falls_behind_it(month):
    at = int(month.times.min()) + 20 * DAY
    split = cut(month, valid_from=at - 5 * DAY, test_from=at, name="x")
    assert min(events(split.test.targets)) == 20
    assert min(events(split.valid.targets)) == 15


def test_a_span_of_days_ends_with_the_latest_event_and_is_full():
    """Of the two days that end with the event at 0: what was a second less than two days before is in them."""
    seconds = np.array([-5 * DAY, -2 * DAY - 1, -2 * DAY, -2 * DAY + 1, -1, 0]) + 10**9
    x = from_columns(users=np.zeros(6, int), items=np.arange(6), times=seconds)
    split = global_time(interactions=x, test_days=2, valid_days=1)
    assert events(split.test.targets) == {3, 4, 5}
    assert events(split.valid.targets) == {1, 2}


def test_days_of_the_calendar_begin_at_midnight_utc(month):
    split = global_date(interactions=month, valid_from="2001-01-10", test_from="2001-01-20")
    assert min(events(split.valid.targets)) == 9
    assert min(events(split.test.targets)) == 19
    assert "2001-01-20" in split.name


def test_a_day_begins_at_the_same_moment_wherever_the_program_runs(month, monkeypatch):
    here = global_date(interactions=month, valid_from="2001-01-10", test_from="2001-01-20").hash
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        there = global_date(interactions=month, valid_from="2001-01-10", test_from="2001-01-20")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert there.hash == here


def test_validation_lies_before_the_test(month):
    for day in ("2001-01-20", "2001-01-21"):
        with pytest.raises(ConfigError) as caught:
            global_date(interactions=month, valid_from=day, test_from="2001-01-20")
        assert caught.value.line == (
            f"split.valid_from={day} is not before split.test_from=2001-01-20; let validation lie before the test"
        )


@pytest.mark.parametrize("day", ["2001-02-30", "yesterday", "2001-1-5", "20010105x", ""])
def test_what_is_no_day_is_refused_before_any_data_is_read(day):
    node = {
        "_target_": "recsys_cli.data.time_splits.global_date",
        "valid_from": "2001-01-01",
        "test_from": day,
    }
    with pytest.raises(ConfigError) as caught:
        bind(node, key="split")
    assert (
        caught.value.line
        == f"split: {day!r} is not a day of the calendar; write it like 2015-03-01"
    )


def test_shares_of_all_events_lie_behind_the_cuts(month):
    split = global_time_quantile(interactions=month, valid_share=0.2, test_share=0.1)
    assert events(split.test.targets) == set(range(36, 40))
    assert events(split.valid.targets) == set(range(28, 36))


def test_a_cut_does_not_part_events_of_one_moment():
    times = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7, 7]) * DAY
    x = from_columns(users=np.zeros(10, int), items=np.arange(10), times=times)
    split = global_time_quantile(interactions=x, valid_share=0.4, test_share=0.1)
    assert events(split.test.targets) == {7, 8, 9}
    assert events(split.valid.targets) == {5, 6}


def test_shares_that_leave_nothing_are_refused(month):
    with pytest.raises(DataError, match="nothing is left"):
        global_time_quantile(interactions=month, valid_share=0.5, test_share=0.5)
    with pytest.raises(DataError) as caught:
        global_time_quantile(interactions=month, valid_share=0.75, test_share=0.5)
    assert caught.value.line == (
        "split.valid_share + split.test_share is 1.25: nothing is left for training; let them add up to less than 1"
    )


def test_a_clock_is_needed():
    timeless = from_columns(users=np.array([1, 1]), items=np.array([1, 2]))
    for rule, settings in (
        (global_time, {"test_days": 1, "valid_days": 1}),
        (global_date, {"valid_from": "2001-01-01", "test_from": "2001-01-02"}),
        (global_time_quantile, {"valid_share": 0.1, "test_share": 0.1}),
    ):
        with pytest.raises(DataError, match="needs times"):
            rule(interactions=timeless, **settings)


def test_an_empty_part_is_an_error(month):
    with pytest.raises(DataError, match="train part of split global_time"):
        global_time(interactions=month, test_days=39, valid_days=39)

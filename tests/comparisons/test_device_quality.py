"""Training until it is good, on a device whose time is on paper."""

import pytest

from recsys_cli import devices
from recsys_cli.comparisons import device_quality
from recsys_cli.comparisons.device_quality import Course, Epoch, follow, target
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_trials import Plan
from recsys_cli.devices import Device
from tests.comparisons.stand_ins import (
    COLD_SECONDS,
    LOADING_SECONDS,
    SCORING_SECONDS,
    STEP_SECONDS,
    Clock,
    FakeAccelerator,
    TimedMF,
    TimedTrainer,
    mf_settings,
    subject,
)

STEPS = 9
EPOCH = STEPS * (STEP_SECONDS + LOADING_SECONDS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(devices, "perf_counter", clock.read)
    return clock


def course(clock: Clock, seconds: float, **settings: object) -> Course:
    what = subject(TimedMF(clock, **mf_settings()), TimedTrainer)
    for name, value in {"epochs": 50, "patience": 2, **settings}.items():
        object.__setattr__(what.ready.trainer, name, value)
    found = Course(Setup(FakeAccelerator("fake", 1, clock=clock)))
    follow(what, found, Plan(warmup=1, steps=1, repeats=3, quality_seconds=seconds))
    return found


def test_seconds_are_of_training_alone(clock: Clock) -> None:
    found = course(clock, 1e9, epochs=3, patience=9)
    cold = 2 * (COLD_SECONDS - STEP_SECONDS)
    assert [epoch.seconds for epoch in found.epochs] == [EPOCH + cold, EPOCH, EPOCH]
    assert found.epochs[-1].trained_seconds == 3 * EPOCH + cold
    assert found.epoch_seconds == EPOCH
    assert clock.seconds > found.epochs[-1].trained_seconds + SCORING_SECONDS


@pytest.mark.parametrize(
    ("seconds", "compiled", "counted"),
    [
        ([9.0, 1.0, 2.0, 2.0], False, 2.0),
        ([9.0], False, 9.0),
        ([9.0], True, None),
        ([9.0, 2.0], True, 2.0),
        ([], False, None),
    ],
)
def test_the_first_epoch_warms_up(seconds, compiled, counted) -> None:
    epochs = [Epoch(each, each, 0.1) for each in seconds]
    assert Course(Setup(Device("cpu", 1), compiled=compiled), epochs).epoch_seconds == counted


def test_it_ends_when_its_time_is_used_up(clock: Clock) -> None:
    assert len(course(clock, 250.0, patience=99).epochs) == 3  # with the validation after each


def test_an_epoch_that_takes_too_long_is_given_up(clock: Clock) -> None:
    found = course(clock, COLD_SECONDS / 2, patience=99)
    assert found.epochs == []
    assert found.failure == ""
    assert clock.seconds < COLD_SECONDS + 2 * STEP_SECONDS


def test_it_ends_for_lack_of_progress(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.1, 0.3, 0.2, 0.2, 0.4])

    monkeypatch.setattr(device_quality, "evaluate", lambda *_, **__: Fixed(next(values)))
    assert [epoch.metric for epoch in course(clock, 1e9).epochs] == [0.1, 0.3, 0.2, 0.2]


class Fixed:
    def __init__(self, primary: float) -> None:
        self.primary = primary


def test_a_device_that_fails_says_why_and_keeps_its_epochs(clock: Clock) -> None:
    what = subject(TimedMF(clock, **mf_settings()), TimedTrainer)
    object.__setattr__(what.ready.trainer, "epochs", 5)
    small = Course(Setup(FakeAccelerator("small", 1, clock=clock, steps_in_memory=STEPS + 1)))
    follow(what, small, Plan(warmup=1, steps=1, repeats=3, quality_seconds=1e9))
    assert small.failure.startswith("out of memory")
    assert len(small.epochs) == 1


def test_the_target_is_95_percent_of_the_best_of_all() -> None:
    one, two = Setup(Device("cpu", 1)), Setup(Device("cpu", 2))
    slow = Course(one, [Epoch(1.0, 1.0, 0.1), Epoch(1.0, 2.0, 0.5)])
    fast = Course(two, [Epoch(0.5, 0.5, 0.49)])
    assert target([slow, fast]) == 0.475
    assert (slow.seconds_to(0.475), fast.seconds_to(0.475)) == (2.0, 0.5)
    assert fast.seconds_to(0.5) is None
    assert target([Course(one)]) is None

"""Training waits for a store at its beginning and end only, and not long."""

import threading
import time

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.tracking.sender import Condition, Sender
from tests.tracking.servers import eventually


class Delivery:
    """Tells what it is given, unless it is told to fail or to hang."""

    def __init__(self):
        self.started = False
        self.steps = self.sending = 0
        self.given, self.told = 1, 0
        self.fails: Exception | None = None
        self.at: list[float] = []
        self.well = threading.Event()
        self.well.set()

    @property
    def complete(self):
        return self.told == self.given

    def advance(self):
        self.at.append(time.monotonic())
        self.well.wait(10)
        if self.fails is not None:
            raise self.fails
        while not self.complete:
            self.told += 1
            self.steps += 1
        self.started = True


@pytest.fixture
def delivery():
    made = Delivery()
    yield made
    made.well.set()


@pytest.fixture
def make(delivery):
    ends: list[bool] = []

    def made(seconds=0.0, condition=None, patience=60.0):
        kept = condition or Condition()
        one = Sender(
            delivery, kept, seconds=seconds, patience=patience, last=lambda: ends.append(True)
        )
        one.condition, one.ends = kept, ends
        return one

    return made


def test_the_run_is_known_after_the_start_and_all_is_told_at_the_end(make, delivery):
    one = make(seconds=3600.0)
    one.start()
    assert delivery.told == 1
    delivery.given = 3
    one.wake()
    assert delivery.told == 1
    one.close()
    assert delivery.told == 3
    assert len(delivery.at) == 2
    assert one.ends == [True]
    assert one.condition.failure == ""


def test_zero_seconds_are_at_once(make, delivery):
    one = make()
    one.start()
    for given in (2, 3, 4):
        delivery.given = given
        one.wake()
        eventually(lambda: delivery.complete)
    one.close()


def test_a_store_that_fails_is_asked_again_until_it_is_well(make, delivery):
    delivery.fails = OSError("no route")
    one = make()
    one.start()
    assert one.condition.failure == "no route"
    eventually(lambda: len(delivery.at) > 3)
    delivery.fails = None
    eventually(lambda: delivery.complete)
    assert one.condition.failure == ""
    one.close()
    assert one.ends == [True]


def test_a_store_that_hangs_is_not_waited_for(make, delivery):
    delivery.well.clear()
    one = make(patience=0.1)
    one.start()
    assert one.condition.failure.startswith("no answer within ")
    one.close()
    assert one.ends == []
    delivery.well.set()
    eventually(lambda: one.ends)


def test_one_that_is_known_to_fail_is_not_waited_for_at_all(make, delivery):
    delivery.well.clear()
    one = make(patience=3600.0, condition=Condition(failure="no answer"))
    one.start()
    one.close()
    assert not delivery.started


def test_a_large_file_is_given_its_time(make, delivery):
    delivery.started, delivery.told = True, 1
    one = make(patience=0.1)
    one.start()
    delivery.well.clear()
    delivery.sending, delivery.given = 60_000_000, 2
    threading.Timer(0.5, delivery.well.set).start()
    one.close()
    assert delivery.complete


def test_a_slow_start_is_gone_on_from_and_is_no_failure(make, delivery):
    delivery.well.clear()
    ticking = threading.Event()

    def tick():
        while not ticking.wait(0.02):
            delivery.steps += 1

    threading.Thread(target=tick, daemon=True).start()
    one = make(patience=2.0)
    one.start()
    assert not delivery.started
    assert one.condition.failure == ""
    delivery.well.set()
    one.close()
    ticking.set()
    assert delivery.complete


def test_a_refusal_ends_it(make, delivery):
    delivery.fails = ConfigError("deleted")
    one = make()
    one.start()
    assert one.refusal is delivery.fails
    assert one.ends == [True]
    assert len(delivery.at) == 1


def test_what_is_known_of_a_store_is_shared_by_its_runs():
    assert Condition.of("http://a") is Condition.of("http://a")
    assert Condition.of("http://a") is not Condition.of("http://b")

"""Signals wait for the end of a step, once."""

import signal
import threading

import pytest

from recsys_cli.training.interruption import deferred

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """What a handler of the program raises."""


@pytest.fixture(autouse=True)
def handlers():
    """Both signals raise, as in the program; put back after the test."""

    def stop(number, frame):
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_noted_and_acted_on_when_asked(number):
    with deferred() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(Stopped) as raised:
            stop.act()
    assert raised.value.args == (number,)
    with pytest.raises(Stopped):
        signal.raise_signal(number)


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_stops_at_once(second):
    with deferred():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            signal.raise_signal(second)


def test_where_nothing_is_half_changed_the_first_stops_at_once():
    with deferred() as stop:
        with pytest.raises(Stopped), stop.at_once():
            signal.raise_signal(signal.SIGINT)
        assert stop.requested


def test_what_was_noted_before_is_acted_on_there():
    entered = []
    with deferred() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped), stop.at_once():
            entered.append(1)
    assert entered == []


def test_a_handler_that_returns_does_not_keep_the_loop_going():
    signal.signal(signal.SIGINT, lambda number, frame: None)
    with deferred() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.act()


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_signal_that_is_not_the_programs_is_left_alone(handler):
    signal.signal(signal.SIGTERM, handler)
    with deferred():
        assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGINT) is not handler


def test_outside_the_main_thread_there_is_nothing_to_note():
    seen = []

    def work():
        with deferred() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]

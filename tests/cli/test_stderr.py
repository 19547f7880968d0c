"""What libraries and tracebacks write to standard error, without secrets."""

import io
import sys

import pytest

from recsys_cli.cli import stderr
from recsys_cli.cli.stderr import Discreet


@pytest.fixture
def guarded(monkeypatch):
    """Called inside a test, because the runner sets its own stream after the fixtures: the stream below."""

    def install() -> io.StringIO:
        below = io.StringIO()
        monkeypatch.setattr(sys, "stderr", below)
        stderr.guard()
        return below

    return install


def test_what_is_written_has_no_secrets(guarded):
    below = guarded()
    assert sys.stderr.write("at http://u:word@h\n") == len("at http://u:word@h\n")
    sys.stderr.writelines(["token=abc\n", "rank=3\n"])
    assert below.getvalue() == "at http://***@h\ntoken=***\nrank=3\n"


def test_a_traceback_has_no_secrets(guarded):
    below = guarded()
    sys.excepthook(ValueError, ValueError("cannot reach http://u:word@h"), None)
    assert below.getvalue() == "ValueError: cannot reach http://***@h\n"


def test_all_else_is_as_the_stream_has_it(guarded):
    below = guarded()
    assert sys.stderr.isatty() is False
    assert isinstance(sys.stderr, Discreet)
    stderr.guard()  # a second time changes nothing
    assert sys.stderr._stream is below


def test_where_there_is_no_stream_there_is_nothing_to_guard(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    stderr.guard()
    assert sys.stderr is None

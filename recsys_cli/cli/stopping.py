"""Ctrl-C and SIGTERM, from the first import to the last line.

The first one is raised as an exception, so that all that is open is closed on the way out. Whatever libraries make of
that exception, the process ends as interrupted. The second one ends it where it stands.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from recsys_cli.cli import output

CODE = 128  # plus the signal's number: 130 for Ctrl-C, 143 for SIGTERM
INTERRUPTED, TERMINATED = CODE + signal.SIGINT, CODE + signal.SIGTERM
LINE = "recsys: interrupted"


class Terminated(KeyboardInterrupt):
    """SIGTERM came: like Ctrl-C, so that a run is closed as killed on the way out."""


class Stop:
    """The handler of both signals.

    Attributes:
        signal: The number of the one that came; None before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._over = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise the first; end the process at the second, and where its work is over."""
        if self._over or self.signal is not None:
            os._exit(CODE + number)
        self.signal = number
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    @contextmanager
    def obeyed(self) -> Iterator[None]:
        """Handle both signals from here on; a process in which a signal is ignored goes on ignoring it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self)
        try:
            yield
        except BaseException as error:
            if self.signal is None:
                raise
            if not isinstance(error, SystemExit):  # which has been told of already
                output.complain(LINE)
            self._leave(CODE + self.signal)
        finally:
            self._over = True

    def _leave(self, code: int) -> NoReturn:
        """End now: all is closed, and what Python would still do takes time and may put another code over ours."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)

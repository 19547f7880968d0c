"""Standard error as this program leaves it to others: tracebacks, warnings and logs of libraries, without secrets."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any, cast

from recsys_cli.redact import redact


class Discreet:
    """A text stream that takes secrets out of what is written to it; all else is as the stream below has it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write without secrets; the length of the text as it was given."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> None:
    """Let nothing secret out of this process's standard error from here on."""
    if sys.stderr is not None and not isinstance(sys.stderr, Discreet):
        sys.stderr = cast(IO[str], Discreet(sys.stderr))

"""Results on standard output: tables on a terminal, lines of tab-separated values in a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from recsys_cli.redact import printable, redact

LONGEST_LINE = 4_000  # characters of an error: a name may have any length


def write(text: str) -> None:
    """Print results. A reader that has gone away (`| head -1`) had what it wanted: no error."""
    if sys.stdout is None:  # closed by whoever started the program
        return
    if on_terminal():
        text = printable(text)
    try:
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(line: str) -> None:
    """Print one line to standard error, where there is one that can be written; without secrets."""
    shown = printable(redact(line))
    if len(shown) > LONGEST_LINE:
        shown = f"{shown[: LONGEST_LINE // 2]} ... {shown[-LONGEST_LINE // 2 :]}"
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{shown}\n")
        sys.stderr.flush()


def on_terminal() -> bool:
    """Whether a person reads the results as they are printed."""
    return sys.stdout is not None and sys.stdout.isatty()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> None:
    """Print rows under column heads.

    Args:
        columns: The heads.
        rows: Cells of text, as many a row as there are heads.
        numbers: All columns but the first hold numbers and stand flush right on a terminal.
    """
    if not on_terminal():
        write("\n".join("\t".join(cells) for cells in (columns, *rows)))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for position, head in enumerate(columns):
        side: Literal["left", "right"] = "right" if numbers and position else "left"
        drawn.add_column(Text(head), justify=side, no_wrap=position == 0, overflow="fold")
    for cells in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in cells))
    Console().print(drawn)


def facts(pairs: Sequence[tuple[str, str]], *, wrap: bool = False) -> None:
    """Print named facts, a line each; those without a value are left out.

    Args:
        pairs: The names and values.
        wrap: On a terminal, break values that are sentences between words; not for what is copied, such as a path.
    """
    told = [(name, printable(value)) for name, value in pairs if value]
    if on_terminal():
        width = max((len(name) for name, _ in told), default=0)
        if wrap:
            told = [(name, _hanging(value, width + 2)) for name, value in told]
        told = [(f"{name:{width}} ", value) for name, value in told]
    mark = " " if on_terminal() else "\t"
    write("\n".join(f"{name}{mark}{value}" for name, value in told))


def _hanging(text: str, indent: int) -> str:
    """Text broken to the terminal's width, each further line as far in as the first."""
    width = max(shutil.get_terminal_size().columns - indent, 20)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)

"""Progress is seen on a terminal, readable in a log, and never in the way of the work."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from recsys_cli.tracking import console as module
from recsys_cli.tracking.console import Console

WORK = """
import sys
from recsys_cli.tracking.console import Console
console = Console(bars=bars, seconds_between_lines=0.0)
console.note("data: 100 events")
with console.bar("train", total=3000, unit="epochs") as bar:
    for epoch in range(3000):
        bar.advance(loss=0.5)
    print("result")
"""


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@contextmanager
def terminal() -> Iterator[tuple[io.TextIOWrapper, "list[str]"]]:
    """A stream that is a terminal, and a list that holds what was on it afterwards."""
    reader, writer = pty.openpty()
    seen: list[str] = []
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield stream, seen
        stream.flush()
        os.set_blocking(reader, False)
        data = b""
        while True:
            try:
                data += os.read(reader, 65536)
            except BlockingIOError:
                break
    os.close(reader)
    seen.append(data.decode())


def lines_of(
    total: int, clock: list[float], *, seconds: float, every: float, **shown: float
) -> list[str]:
    stream = io.StringIO()
    console = Console(stream=stream, seconds_between_lines=every)
    with console.bar("train", total=total, unit="epochs") as bar:
        for _ in range(total):
            clock[0] += seconds
            bar.advance(**shown)
    return stream.getvalue().splitlines()


def test_without_a_terminal_there_is_a_line_now_and_then_and_at_the_end(clock):
    lines = lines_of(
        10, clock, seconds=2.0, every=5.0, valid_ndcg_at_10=0.123456, loss=2.0, more=1.0
    )
    assert lines == [
        "train: 3/10 epochs  0:00:06, 0:00:14 left  valid_ndcg_at_10 0.1235  loss 2",
        "train: 6/10 epochs  0:00:12, 0:00:08 left  valid_ndcg_at_10 0.1235  loss 2",
        "train: 9/10 epochs  0:00:18, 0:00:02 left  valid_ndcg_at_10 0.1235  loss 2",
        "train: 10/10 epochs  0:00:20  valid_ndcg_at_10 0.1235  loss 2",
    ]


def test_short_work_is_one_line(clock):
    assert lines_of(1000, clock, seconds=0.001, every=5.0) == ["train: 1,000/1,000 epochs  0:00:01"]


def test_the_last_line_tells_where_work_was_cut_off(clock):
    stream = io.StringIO()

    def interrupted() -> None:
        with Console(stream=stream).bar("train", 10, "epochs") as bar:
            bar.advance(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue() == "train: 3/10 epochs  0:00:00\n"


def test_work_without_steps_is_no_trouble(clock):
    assert lines_of(0, clock, seconds=1.0, every=1.0) == ["train: 0/0 epochs  0:00:00"]
    with terminal() as (stream, seen), Console(stream=stream).bar("train", 0, "epochs"):
        pass
    assert "0/0" in seen[0]


def test_inner_work_ends_without_a_line_of_its_own(clock):
    stream = io.StringIO()
    console = Console(stream=stream, seconds_between_lines=5.0)
    with console.bar("train", 2, "epochs") as epochs:
        for _ in range(2):
            with console.bar("evaluate", 3, "users") as users:
                for _ in range(3):
                    clock[0] += 2.0
                    users.advance()
            epochs.advance()
    assert stream.getvalue().splitlines() == [
        "evaluate: 3/3 users  0:00:06, 0:00:00 left",
        "train: 1/2 epochs  0:00:06, 0:00:06 left",
        "evaluate: 3/3 users  0:00:06, 0:00:00 left",
        "train: 2/2 epochs  0:00:12, 0:00:00 left",
        "train: 2/2 epochs  0:00:12",
    ]


def test_on_a_terminal_there_is_a_bar_with_counts_times_and_numbers():
    with terminal() as (stream, seen):
        console = Console(stream=stream)
        console.note("before [bold]")
        with console.bar("train [x]", total=4, unit="epochs") as bar:
            bar.advance(2, valid_ndcg_at_10=0.123456)
            console.note("within [bold]")
            with console.bar("evaluate", total=9, unit="users") as users:
                users.advance(9)
            bar.advance(2)
    assert "before [bold]" in seen[0]
    assert "within [bold]" in seen[0]
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen[0]).rstrip().splitlines()[-1]
    assert re.search(r"train \[x\] ━+ 4/4 epochs 0:00:0\d 0:00:00 valid_ndcg_at_10 0\.1235", last)
    assert "\x1b[?25h" in seen[0], "the cursor was not given back"


@pytest.mark.parametrize("columns", [20, 60, 200])
def test_a_bar_fits_its_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    with terminal() as (stream, seen), Console(stream=stream).bar("train", 4, "epochs") as bar:
        bar.advance(4, valid_ndcg_at_10=0.5, loss=0.25)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen[0]))
    assert max(len(line) for line in lines) == columns


def test_a_table_stands_under_the_bars_until_the_last_one_ends():
    with terminal() as (stream, seen):
        console = Console(stream=stream)
        with console.bar("sweep", total=2, unit="trials"):
            console.table(("trial", "value"), [("trial-001", "0.5"), ("a[bold]b", "\x1b[31m")])
            console.table(("trial", "value"), [("trial-002", "0.7")])
    text = seen[0]
    assert "trial-001" in text
    assert "a[bold]b" in text
    assert "\x1b[31m" not in text
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[text.rindex("trial-002") :])
    assert "trial-001" not in last
    assert re.search(r"sweep .*0/2 trials", last)  # drawn once more, without rows


def test_where_lines_are_printed_there_is_no_table():
    stream = io.StringIO()
    console = Console(stream=stream)
    with console.bar("sweep", total=2, unit="trials"):
        console.table(("trial", "value"), [("trial-001", "0.5")])
    assert "trial-001" not in stream.getvalue()


def test_the_time_that_is_left_is_told_for_steps_of_minutes(clock):
    with terminal() as (stream, seen):
        console = Console(stream=stream)
        with console.bar("sweep", total=4, unit="trials") as bar:
            for _ in range(2):
                clock[0] += 100
                bar.advance()
    assert "0:03:20" in seen[0]


def test_bars_can_be_forced_and_forbidden():
    with terminal() as (stream, seen), Console(stream=stream, bars=False).bar("a", 1, "b") as bar:
        bar.advance()
    assert "a: 1/1 b  0:00:00" in seen[0]
    assert "\x1b" not in seen[0]
    piped = io.StringIO()
    with Console(stream=piped, bars=True).bar("train", 1, "epochs") as bar:
        bar.advance()
    assert "━" in piped.getvalue()


def test_one_display_follows_another():
    with terminal() as (stream, seen):
        console = Console(stream=stream)
        for what in ("first", "second"):
            with console.bar(what, total=1, unit="epochs") as bar:
                bar.advance()
    assert "first" in seen[0]
    assert "second" in seen[0]


def test_steps_are_drawn_rarely(clock):
    stream = io.StringIO()
    console = Console(stream=stream, seconds_between_lines=1.0)
    with console.bar("train", total=100_000, unit="steps") as bar:
        for _ in range(100_000):
            clock[0] += 0.0001
            bar.advance()
    assert 10 <= len(stream.getvalue().splitlines()) <= 11


def work(bars: bool, redirect: str) -> subprocess.CompletedProcess[str]:
    script = WORK.replace("bars=bars", f"bars={bars}")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -c '{script}' {redirect}"],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("bars", [True, False])
def test_results_alone_are_on_standard_output(bars):
    result = work(bars, "")
    assert (result.returncode, result.stdout) == (0, "result\n")
    assert "3,000/3,000" in result.stderr or "3000/3000" in result.stderr


@pytest.mark.parametrize("bars", [True, False])
@pytest.mark.parametrize(
    "redirect", ["2>&-", "2> >(head -c 1 >/dev/null)", "2>/dev/full", "2>/dev/null"]
)
def test_work_goes_on_where_nobody_can_read_its_progress(bars, redirect):
    result = work(bars, redirect)
    assert (result.returncode, result.stdout) == (0, "result\n")


def test_a_closed_stream_is_no_trouble():
    stream = io.StringIO()
    console = Console(stream=stream)
    stream.close()
    console.note("x")
    assert not Console(stream=stream)._bars

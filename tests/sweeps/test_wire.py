"""What goes from a worker to the command."""

from __future__ import annotations

import io
import json

from recsys_cli.sweeps import wire
from recsys_cli.sweeps.wire import Wire


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_notes_and_the_outermost_bar_are_sent(monkeypatch):
    monkeypatch.setattr(wire, "SECONDS_BETWEEN", 0)
    stream = io.StringIO()
    out = Wire(stream)

    out.note("a")
    with out.bar("train", 9, "step") as bar:
        bar.advance(4, loss=0.5)
        with out.bar("valid", 3, "user") as inner:
            inner.advance()
        bar.advance(5)

    messages = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert messages[0] == {"note": "a"}
    assert messages[1] == {"bar": ["train", 9, "step"]}
    assert messages[2] == {"steps": 4, "shown": {"loss": 0.5}}
    assert sum(message.get("steps", 0) for message in messages) == 9
    assert messages[-1] == {"bar": None}


def test_steps_are_counted_and_told_now_and_then(monkeypatch):
    monkeypatch.setattr(wire, "SECONDS_BETWEEN", 1e9)
    stream = io.StringIO()
    with Wire(stream).bar("train", 1000, "step") as bar:
        for _ in range(1000):
            bar.advance()

    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"bar": ["train", 1000, "step"]},
        {"steps": 1000, "shown": {}},
        {"bar": None},
    ]


def test_a_reader_that_is_gone_stops_no_work():
    out = Wire(Broken())
    out.note("a")
    with out.bar("train", 1, "step") as bar:
        bar.advance()
    Wire(None).note("b")

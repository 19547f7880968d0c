"""`recsys doctor`: the page, the JSON and the exit code."""

import json

import pytest

from recsys_cli.doctor import examination
from recsys_cli.doctor.finding import Finding

NOTE = Finding("runs", "cut off", "runs/a", "note", "recsys train --resume=runs/a")
OK = Finding("program", "version", "1.0")
MEND = Finding("store", "database", "http://me:hidden@host\nbroken", "mend", "mv a b")


@pytest.fixture
def finding(monkeypatch):
    def give(*found):
        monkeypatch.setattr(examination, "examine", lambda **how: list(found))

    return give


def test_a_page_with_what_is_to_be_done(recsys, finding):
    finding(OK, NOTE, MEND)
    ended = recsys("doctor")
    assert ended.code == 2
    assert ended.out.splitlines() == [
        "program",
        "  ok   version   1.0",
        "runs",
        "  note cut off   runs/a",
        "                 -> recsys train --resume=runs/a",
        "store",
        "  mend database  http://***@host\\nbroken",
        "                 -> mv a b",
        "1 thing is to be mended",
    ]
    assert ended.err == ""


def test_notes_alone_are_no_failure(recsys, finding):
    finding(OK, NOTE)
    ended = recsys("doctor")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "all is well")


def test_as_json(recsys, finding):
    finding(OK, MEND, MEND)
    ended = recsys("doctor", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["ok"], len(told["findings"])) == (2, False, 3)
    assert told["findings"][1]["text"] == "http://***@host\nbroken"
    assert told["findings"][1]["command"] == "mv a b"


def test_for_real_it_creates_nothing(recsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    ended = recsys("doctor", "--root", "my runs")
    assert "torch" in ended.out
    assert not list(tmp_path.iterdir())

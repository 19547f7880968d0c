"""All parts are looked at, whatever becomes of one of them, and nothing is changed."""

import pytest

from recsys_cli.doctor import cache, packages
from recsys_cli.doctor.examination import examine

PARTS = ["program", "machine", "store", "runs", "cache"]


@pytest.fixture
def around(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_every_part_is_there_and_nothing_is_made(around):
    found = examine(root=around / "runs")
    assert list(dict.fromkeys(one.section for one in found)) == PARTS
    assert not list(around.iterdir())


def test_a_part_that_breaks_off_spoils_no_other(around, monkeypatch):
    def broken(**_):
        raise ImportError("numpy is\nbroken")

    monkeypatch.setattr(packages, "look", broken)
    monkeypatch.setattr(cache, "look", broken)
    found = examine(root=around / "runs")
    assert list(dict.fromkeys(one.section for one in found)) == PARTS
    broke = [(one.section, one.state) for one in found if one.what == "examination"]
    assert broke == [("program", "mend"), ("cache", "mend")]
    assert all(one.command for one in found if one.what == "examination")
    assert "could not go on: numpy is broken" in [one.text for one in found]


def test_a_uri_that_names_no_store_is_told(around):
    found = examine(root=around / "runs", uri="file:///srv/x")
    (told,) = [one for one in found if one.section == "store"]
    assert told.state == "mend"
    assert "tracking.uri=file:///srv/x" in told.text

"""The events of a run: on disk, in order, each once, and locked while the run is under way."""

import json
import os
import subprocess
import sys

import pytest

from recsys_cli.errors import DataError, ResourceError
from recsys_cli.tracking.events import EVENTS, PENDING, Events, InUseError, new_key

START = {"key": "local-1", "alone": False}


def begun(folder, **changed):
    events = Events(folder)
    events.add("start", **(START | changed))
    return events


def test_events_are_on_disk_in_their_order_and_come_back(tmp_path):
    events = begun(tmp_path)
    events.add("metrics", step=1, values={"loss": 0.5}, time_ms=7)
    events.add("finish", status="FINISHED")
    told = [json.loads(line) for line in (tmp_path / EVENTS).read_text().splitlines()]
    assert [line["seq"] for line in told] == [1, 2, 3]
    assert all(line.pop("crc32") for line in told)
    assert told == events.entries
    assert (told[1]["kind"], told[1]["time_ms"], told[1]["values"]) == ("metrics", 7, {"loss": 0.5})
    assert told[0]["time_ms"] > 1_700_000_000_000
    events.close()
    again = Events(tmp_path)
    assert again.entries == told
    again.close()


def test_a_run_under_way_is_left_alone(tmp_path):
    events = begun(tmp_path)
    with pytest.raises(InUseError, match="is under way"):
        Events(tmp_path)
    events.close()
    Events(tmp_path).close()


def test_a_dead_process_holds_nothing(tmp_path):
    code = (
        "import os, pathlib, sys; from recsys_cli.tracking.events import Events\n"
        "Events(pathlib.Path(sys.argv[1])).add('start', key='local-1', alone=False); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    events = Events(tmp_path)
    assert events.begun
    assert not events.ended
    events.close()


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_was_cut_off_is_cut(tmp_path, cut):
    events = begun(tmp_path)
    events.add("metrics", step=1, values={})
    events.add("metrics", step=2, values={})
    events.close()
    path = tmp_path / EVENTS
    path.write_bytes(path.read_bytes()[:-cut])
    events = Events(tmp_path)
    assert [entry["seq"] for entry in events.entries] == [1, 2]
    events.add("finish", status="KILLED")
    events.close()
    assert [json.loads(line)["seq"] for line in path.read_bytes().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_damaged_line_is_named_and_the_file_left_as_it_is(tmp_path, line):
    events = begun(tmp_path)
    events.add("metrics", step=1, values={})
    events.add("finish", status="FINISHED")
    events.close()
    path = tmp_path / EVENTS
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"seq"', b'"sep"')
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=rf"events\.jsonl:{line}: the line is damaged"):
        Events(tmp_path)
    assert path.read_bytes() == b"".join(lines)


def test_half_a_line_is_taken_back_when_the_disk_is_full(tmp_path, monkeypatch):
    events = begun(tmp_path)
    before = (tmp_path / EVENTS).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match=r"events\.jsonl"):
        events.add("metrics", step=1, values={})
    monkeypatch.undo()
    assert (tmp_path / EVENTS).read_bytes() == before
    events.add("finish", status="FAILED")
    assert [entry["seq"] for entry in events.entries] == [1, 2]
    events.close()


def test_how_far_the_store_has_been_told(tmp_path):
    events = begun(tmp_path)
    assert (events.run_id, events.told, events.ended, events.delivered) == (None, 0, False, False)
    events.add("created", run_id="a")
    events.add("metrics", step=1, values={})
    events.add("told", events=3)
    assert (events.run_id, events.told, events.ended) == ("a", 3, False)
    events.add("finish", status="FINISHED")
    assert (events.ended, events.delivered) == (True, False)
    events.add("told", events=5)
    assert (events.ended, events.delivered) == (True, True)
    events.add("created", run_id="b")  # another store, or the first one lost it
    assert (events.run_id, events.told, events.ended, events.delivered) == ("b", 0, True, False)
    events.add("resume", process={})
    assert (events.ended, events.delivered) == (False, False)
    events.close()


def test_numbers_of_the_same_moment_are_kept_once(tmp_path):
    events = begun(tmp_path)
    events.add_metrics({"loss": 0.5, "x": 1.0}, 1, 7)
    events.close()
    events = Events(tmp_path)
    events.add_metrics({"x": 1.0, "loss": 0.5}, 1, 7)
    assert len(events.entries) == 2
    for values, step, moment in [
        ({"loss": 0.25, "x": 1.0}, 1, 7),
        ({"loss": 0.5, "x": 1.0}, 2, 7),
        ({"loss": 0.5, "x": 1.0}, 1, 8),
        ({"loss": 0.5, "x": 1.0}, 1, None),
    ]:
        events.add_metrics(values, step, moment)
    assert len(events.entries) == 6
    events.close()


def test_a_file_of_the_run_is_named_and_another_one_copied(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "own").write_text("own")
    (tmp_path / "other").write_text("other")
    events = begun(folder)
    events.keep(folder / "own")
    events.keep(tmp_path / "other")
    assert [entry["path"] for entry in events.entries[1:]] == ["own", "other"]
    assert (folder / "other").read_text() == "other"
    events.close()


def test_a_run_without_a_folder_leaves_nothing_once_it_is_delivered(tmp_path):
    folder = tmp_path / PENDING / new_key()
    folder.mkdir(parents=True)
    events = begun(folder, alone=True)
    events.add("finish", status="FINISHED")
    events.close()
    assert (folder / EVENTS).exists()
    events = Events(folder)
    events.add("told", events=2)
    events.close()
    events.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_never_began_is_removed(tmp_path):
    folder = tmp_path / PENDING / new_key()
    folder.mkdir(parents=True)
    begun(folder, alone=True).discard()
    begun(tmp_path).discard()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_events(tmp_path):
    (tmp_path / EVENTS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Events(tmp_path)
    assert not (tmp_path / "elsewhere").exists()

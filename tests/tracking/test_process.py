"""A run names its process so that nobody can take another one for it, nor a living one for dead."""

import json
import os
import platform
import subprocess
import sys

import pytest

from recsys_cli.tracking import process
from recsys_cli.tracking.process import is_dead, process_tags

HOST, PROCESS = process.HOST, process.PROCESS


def changed(tags, **facts):
    return tags | {PROCESS: json.dumps(json.loads(tags[PROCESS]) | facts)}


@pytest.fixture
def dead():
    """The tags of a process that has ended."""
    script = "import json; from recsys_cli.tracking.process import process_tags; print(json.dumps(process_tags()))"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout)


def test_a_process_says_the_same_each_time():
    assert process_tags() == process_tags()
    assert json.loads(process_tags()[PROCESS])["pid"] == os.getpid()


def test_another_process_differs_in_more_than_its_id(dead):
    own, other = json.loads(process_tags()[PROCESS]), json.loads(dead[PROCESS])
    assert own.keys() == other.keys()
    assert own["pid"] != other["pid"]
    if "start" in own:
        assert own["start"] < other["start"]
        assert own["boot_id"] == other["boot_id"]


def test_a_process_that_has_ended_is_dead_and_this_one_is_not(dead):
    assert is_dead(dead)
    assert not is_dead(process_tags())


def test_a_process_id_that_is_used_again_is_told_apart():
    assert is_dead(changed(process_tags(), start=1))


@pytest.mark.parametrize(
    "facts",
    [
        {"machine": "another"},
        {"namespace": "pid:[1]"},
        {"machine": "another", "boot_id": "another"},
    ],
)
def test_one_that_cannot_be_seen_from_here_may_be_alive(dead, facts):
    assert not is_dead(changed(dead, **facts))


def test_after_a_boot_all_are_dead_where_the_machine_is_known(dead, monkeypatch, tmp_path):
    number = tmp_path / "machine-id"
    number.write_text("0123456789abcdef\n")
    monkeypatch.setattr(process, "MACHINE", number)
    before = changed(process_tags(), boot_id="before")
    assert is_dead(before)
    assert "0123456789abcdef" not in before[PROCESS]
    monkeypatch.setattr(process, "MACHINE", tmp_path / "none")
    assert not is_dead(changed(process_tags(), boot_id="before"))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {HOST: platform.node()},
        {HOST: platform.node(), PROCESS: "{"},
        {HOST: platform.node(), PROCESS: "[]"},
        {HOST: platform.node(), PROCESS: '{"pid": 1}'},
    ],
)
def test_tags_that_tell_nothing_are_of_no_dead_process(tags):
    assert not is_dead(tags)


def test_another_host_is_not_judged(dead):
    assert not is_dead(dead | {HOST: "another"})


def test_without_proc_nothing_is_judged(dead, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "PROC", tmp_path)
    assert json.loads(process_tags()[PROCESS]) == {"pid": os.getpid()}
    assert not is_dead(dead)

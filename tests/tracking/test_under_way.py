"""The mark, the lock and the journal of a run that is under way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_cli.errors import CheckpointError, ConfigError
from recsys_cli.tracking.lines import line_of
from recsys_cli.tracking.under_way import LOCK, RUNNING, Journal, Running, held, numbers_of


def test_the_mark_comes_back(tmp_path):
    assert Running.read(tmp_path) is None
    running = Running("abc", {"model": "mf"}, ["model=mf", "model.rank=8"])
    running.write(tmp_path)
    assert Running.read(tmp_path) == running


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"run_id": 1, "choices": {}, "overrides": []}', "\x00"]
)
def test_a_damaged_mark_is_refused(tmp_path, text):
    (tmp_path / RUNNING).write_text(text)
    with pytest.raises(CheckpointError, match=RUNNING):
        Running.read(tmp_path)


def test_a_held_folder_is_refused_with_the_process(tmp_path):
    with (
        held(tmp_path),
        pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"),
        held(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path):
        pass


def test_a_dead_process_holds_nothing(tmp_path):
    code = (
        "import os, pathlib, sys; from recsys_cli.tracking.under_way import held\n"
        "with held(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == 9
    assert (tmp_path / LOCK).exists()
    with held(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())


def test_a_link_is_no_lock(tmp_path):
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be used"), held(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def journal_of(path: Path, epochs: int) -> list[dict]:
    journal = Journal(path)
    for epoch in range(1, epochs + 1):
        journal.add(epoch, {"loss": 1 / epoch, "epoch_seconds": 0.5})
    journal.close()
    return journal.entries


def test_epochs_are_on_disk_and_read_back(tmp_path):
    path = tmp_path / "history.jsonl"
    entries = journal_of(path, 3)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.pop("crc32") > 0 for line in told)
    assert told == entries
    again = Journal(path)
    assert again.entries == entries
    assert numbers_of(entries[1]) == {"loss": 0.5, "epoch_seconds": 0.5}
    assert entries[0]["time_ms"] > 1_700_000_000_000
    again.close()


def test_an_epoch_that_is_repeated_is_not_written_twice(tmp_path):
    path = tmp_path / "history.jsonl"
    journal_of(path, 3)
    before = path.read_bytes()
    journal = Journal(path)
    assert journal.add(2, {"loss": 1 / 2, "epoch_seconds": 99.0}) is None
    assert path.read_bytes() == before
    assert journal.add(4, {"loss": 1 / 4, "epoch_seconds": 0.5}) is not None
    journal.close()
    assert len(path.read_text().splitlines()) == 4


def test_an_epoch_that_comes_out_differently_replaces_what_followed(tmp_path):
    path = tmp_path / "history.jsonl"
    journal_of(path, 3)
    journal = Journal(path)
    journal.add(2, {"loss": 0.75, "epoch_seconds": 0.5})
    journal.close()
    assert [json.loads(line)["loss"] for line in path.read_text().splitlines()] == [1.0, 0.75]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data[:-20],
        lambda data: data.replace(b'"epoch": 3', b'"epoch": 4'),
        lambda data: data.replace(b'"epoch": 3', b'"epoch":  3'),
        lambda data: data + b'{"epoch": 4}\n',
        lambda data: data + line_of({"epoch": 5, "time_ms": 1}),
        lambda data: data + line_of({"epoch": 4, "time_ms": 1, "loss": "text"}),
        lambda data: data + b"\xff\n",
        lambda data: data + b"[]\n",
    ],
)
def test_what_is_cut_off_or_not_the_next_epoch_is_dropped(tmp_path, change):
    path = tmp_path / "history.jsonl"
    entries = journal_of(path, 3)
    data = path.read_bytes()
    path.write_bytes(change(data))
    journal = Journal(path)
    assert journal.entries == entries[: len(journal.entries)]
    assert len(journal.entries) in (2, 3)
    journal.add(len(journal.entries) + 1, {"loss": 9.0})
    journal.close()
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == list(
        range(1, len(journal.entries) + 1)
    )


def test_a_flipped_bit_before_the_last_line_is_named_and_nothing_is_cut(tmp_path):
    path = tmp_path / "history.jsonl"
    journal_of(path, 3)
    data = bytearray(path.read_bytes())
    data[data.index(b"0.5")] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"history\.jsonl:1: the line is damaged"):
        Journal(path)
    assert path.read_bytes() == data


def test_a_missing_epoch_is_refused(tmp_path):
    journal = Journal(tmp_path / "history.jsonl")
    with pytest.raises(CheckpointError, match="epoch 1 is missing"):
        journal.add(2, {"loss": 1.0})
    journal.close()

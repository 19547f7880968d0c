"""A file that is there whole or not at all."""

import os

import pytest

from recsys_cli.durable import write_whole


def test_it_replaces_and_leaves_nothing_else(tmp_path):
    for data in (b"one", b"two"):
        write_whole(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_both_the_file_and_its_folder_are_brought_to_disk(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda at: synced.append(os.fstat(at).st_ino) or fsync(at))
    write_whole(tmp_path / "file", b"data")
    assert synced == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]


def test_where_it_cannot_be_written_what_was_there_stays(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", b"old")

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

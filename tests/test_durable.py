"""A file that is there whole or not at all."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(contents=st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_whatever_is_written_last_is_read(contents, tmp_path):
    for data in contents:
        write_whole(tmp_path / "any", data)
    assert (tmp_path / "any").read_bytes() == contents[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["any"]


@given(old=st.binary(max_size=50), new=st.binary(max_size=50), at=st.integers(0, 3))
def test_an_interruption_at_any_point_leaves_the_old_or_the_new(old, new, at, tmp_path):
    """Not only errors of the disk: Ctrl-C, too, takes away what is half written."""
    path = tmp_path / "any"
    write_whole(path, old)
    steps = [(os, "fsync"), (os, "open"), (os, "close"), (type(path), "replace")]
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        patch.setattr(*steps[at], interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_whole(path, new)
    assert path.read_bytes() in (old, new)
    assert [path.name for path in tmp_path.iterdir()] == ["any"]


def test_a_private_file_is_for_its_owner_alone(tmp_path):
    write_whole(tmp_path / "file", b"data", private=True)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600

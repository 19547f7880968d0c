"""Processors, memory, disks and the environment."""

import os
from pathlib import Path

import pytest

from recsys_cli import devices
from recsys_cli.doctor import machine
from recsys_cli.doctor.finding import Finding
from recsys_cli.errors import ResourceError
from recsys_cli.resources import Memory


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """None of the variables that are looked at."""
    for name in machine.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")


def found(what: str) -> Finding:
    return {one.what: one for one in machine.look()}[what]


def test_the_devices_are_those_that_are_there():
    assert found("devices").text.startswith(", ".join(devices.available()))
    assert found("threads").text == f"{devices.usable_cores()} usable cores"


def test_a_torch_that_does_not_load_is_to_be_mended(monkeypatch):
    def broken():
        raise ImportError("libtorch.so: cannot open shared object file\nmore")

    monkeypatch.setattr(devices, "available", broken)
    assert found("devices").state == "mend"
    assert found("devices").text.endswith("libtorch.so: cannot open shared object file")
    assert "memory" in {one.what for one in machine.look()}


def test_torch_is_not_loaded_where_it_would_abort(monkeypatch):
    def no_room():
        raise ResourceError("700 MB are taken", "raise the limit")

    monkeypatch.setattr(machine, "expect_room_to_start", no_room)
    assert (found("devices").state, found("devices").command) == ("mend", "raise the limit")


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("OMP_NUM_THREADS", "1", "ok"),
        ("OMP_NUM_THREADS", "4096", "note"),
        ("OMP_WAIT_POLICY", "PASSIVE", "ok"),
        ("OMP_WAIT_POLICY", "active", "note"),
    ],
)
def test_threads_that_would_hurt(monkeypatch, name, value, state):
    monkeypatch.setenv(name, value)
    assert found("threads").state == state
    assert found("threads").command == ("" if state == "ok" else f"unset {name}")


@pytest.mark.parametrize(
    ("there", "state"),
    [(Memory(8 << 30, "x"), "ok"), (Memory(1 << 20, "x"), "note"), (None, "note")],
)
def test_memory(monkeypatch, there, state):
    monkeypatch.setattr(machine, "memory", lambda: there)
    assert found("memory").state == state


@pytest.mark.parametrize(
    ("free", "state"), [(1 << 40, "ok"), (1 << 28, "note"), (1 << 20, "mend"), (None, "ok")]
)
def test_a_disk_that_is_nearly_full(monkeypatch, tmp_path, free, state):
    monkeypatch.setattr(machine, "free_on_disk", lambda path: free)
    told = machine.disk("runs", tmp_path / "not" / "yet", "root=DIR")
    assert told.state == state
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    told = machine.disk("runs", tmp_path / "runs", "root=DIR")
    assert (told.state, told.command) == ("mend", "name another: root=DIR")
    assert f"{tmp_path} cannot be written" in told.text


def test_variables_that_are_not_read_and_folders_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host")
    monkeypatch.setenv("RECSYS_DATA", str(tmp_path / "gone"))
    monkeypatch.setenv("RECSYS_CONFIG_DIR", f"{tmp_path}:{tmp_path / 'absent'}")
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path))
    monkeypatch.delenv("HOME")
    assert found("MLFLOW_TRACKING_URI").state == "note"
    assert found("RECSYS_DATA").state == "mend"
    assert found("RECSYS_DATA").command == "unset RECSYS_DATA"
    assert str(tmp_path / "absent") in found("RECSYS_CONFIG_DIR").text
    assert found("RECSYS_CACHE").state == "ok"
    assert found("HOME").state == "note"

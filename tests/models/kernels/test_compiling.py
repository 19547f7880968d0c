"""Kernels are compiled once for a machine where that can be kept, and work where it cannot."""

import math
import os
import stat
import subprocess
import sys
import threading

import pytest

from recsys_cli.models.kernels import compiling
from recsys_cli.progress import Silent

USE = """
import torch
from recsys_cli.data.batches import Pairs
from recsys_cli.models.first_try.mf import MF
from recsys_cli.models.kernels.compiling import warm
from recsys_cli.progress import Silent
model = MF(n_users=2, n_items=3, rank=2, biases=True, loss="bpr", negatives=1, l2=0.0, init_sd=0.0)
one = Pairs(torch.tensor([1]), torch.tensor([0]), torch.tensor([[2]]))
warm(Silent(), lambda: model.descend(one, 0.1, None))
print(round(model.descend(one, 0.1, None), 3))
"""
# From nothing, half of lr = .1 goes to the bias of each of the two items: they are .1 apart.
AFTER_A_STEP = f"{math.log1p(math.exp(-0.1)):.3f}"


class Notes(Silent):
    def __init__(self):
        self.notes = []
        self.noted = threading.Event()

    def note(self, text):
        self.notes.append(text)
        self.noted.set()


def begin(cache) -> subprocess.Popen:
    environment = os.environ | {"RECSYS_CACHE": str(cache)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", USE], env=environment, **pipes)


def ended(process: subprocess.Popen) -> str:
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    return said.strip()


def test_the_folder_is_for_this_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    folder = compiling.kept_at()
    assert folder == tmp_path / "cache" / "kernels"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(folder.iterdir())


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "file"))
    assert compiling.kept_at() is None


def test_the_folder_of_another_user_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 12_345_678)
    assert compiling.kept_at() is None


def test_only_what_takes_its_time_is_told(monkeypatch):
    notes = Notes()
    monkeypatch.setattr(compiling, "NOTED_AFTER_SECONDS", 3_600)
    compiling.warm(notes, lambda: None)
    assert notes.notes == []
    monkeypatch.setattr(compiling, "NOTED_AFTER_SECONDS", 0.01)
    compiling.warm(notes, lambda: notes.noted.wait(60))
    assert notes.notes == [compiling.COMPILING]


def test_what_cannot_be_read_is_compiled_anew(tmp_path, monkeypatch):
    damaged = tmp_path / "kernels"
    damaged.mkdir()
    (damaged / "index").write_text("")
    monkeypatch.setattr(compiling, "KEPT_AT", damaged)
    tried = []

    def call():
        tried.append(damaged.exists())
        if damaged.exists():
            raise EOFError

    compiling.warm(Silent(), call)
    assert tried == [True, False]
    monkeypatch.setattr(compiling, "KEPT_AT", None)
    damaged.mkdir()
    with pytest.raises(EOFError):
        compiling.warm(Silent(), call)


@pytest.mark.slow
def test_four_processes_compile_at_once_and_a_fifth_loads(tmp_path):
    assert {ended(process) for process in [begin(tmp_path) for _ in range(4)]} == {AFTER_A_STEP}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").rglob("*.nb*")}
    assert kept
    assert ended(begin(tmp_path)) == AFTER_A_STEP
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    for path in kept:
        path.write_bytes(path.read_bytes()[:20])
    assert ended(begin(tmp_path)) == AFTER_A_STEP


@pytest.mark.slow
def test_nothing_but_a_kernel_waits_for_numba():
    modules = (
        "recsys_cli.experiment, recsys_cli.models.first_try.mf, recsys_cli.models.baselines.ials"
    )
    check = f"import sys, {modules}; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.slow
def test_without_a_cache_it_compiles_each_time():
    assert ended(begin("/dev/null")) == AFTER_A_STEP

"""What an exception means to the one who typed the command."""

import errno
import os
import resource

import pytest

from recsys_cli import config, experiment
from recsys_cli.cli.endings import told
from recsys_cli.errors import ConfigError, DataError, ResourceError, TrackingError
from recsys_cli.progress import Silent


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


FULL = OSError(errno.ENOSPC, "No space left on device", "file")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("row 3", "mend it"), 2, "row 3; mend it"),
        (FULL, 4, "file: cannot be written: No space left on device"),
        (caused_by(RuntimeError("a library gave up"), FULL), 4, "No space left on device"),
        (caused_by(TrackingError("store.db: no"), FULL), 4, "store.db: no; make room"),
        (caused_by(ResourceError("a checkpoint", "go on"), FULL), 4, "a checkpoint; go on"),
        (OSError(errno.EFBIG, "File too large", "file"), 4, "ulimit -f"),
        (OSError(errno.EIO, "Input/output error", "file"), 4, "the disk failed"),
        (
            caused_by(ConfigError("cannot import"), ImportError("failed to map segment")),
            4,
            "cannot import; choose",
        ),
        (MemoryError(), 4, "out of memory; choose a smaller model"),
        (MemoryError("Unable to allocate 9. TiB"), 4, "out of memory: Unable to allocate 9. TiB;"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 4, "out of memory: Default"),
        (RuntimeError("std::bad_alloc"), 4, "out of memory"),
        (RuntimeError("can't start new thread"), 4, "out of memory"),
        (ImportError("libx.so: failed to map segment from shared object"), 4, "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 4, "out of memory"),
        (PermissionError(errno.EACCES, "Permission denied", "file"), 2, "file: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "file"), 2, "file: Read-only file system"),
    ],
)
def test_an_error_that_is_not_a_bug(error, code, words):
    found = told(error)
    assert found.exit_code == code
    assert words in found.line


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        RuntimeError("shape mismatch"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "file"),
        PermissionError("without a name"),
        ImportError("cannot import name 'x'"),
    ],
)
def test_a_bug_is_not_explained_away(error):
    assert told(error) is None


def test_a_cause_that_was_set_aside_does_not_count():
    error = ValueError("a bug")
    error.__context__ = FULL
    assert told(error) is not None
    error.__suppress_context__ = True
    assert told(error) is None


def test_a_folder_that_was_removed_under_the_program(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        os.getcwd()  # noqa: PTH109  # what libraries call
    found = told(raised.value)
    assert isinstance(found, ConfigError)
    assert found.line == "the current folder has been removed; change to one that is there"


@pytest.mark.parametrize(
    ("model", "largest", "file"),
    [
        ("popularity", 512, "config.yaml"),
        ("popularity", 3_000, "per_user.parquet"),
        ("ease", 12_000, "model.safetensors"),
        ("mf", 8_000, "checkpoint"),
    ],
)
def test_whichever_file_finds_no_room_the_run_ends_with_one_line(tmp_path, model, largest, file):
    """A limit on the length of files takes the part of a full disk."""
    said = ["data=demo", "data.events=2000", "tracking=none", "device=cpu", "device.threads=1"]
    settings = config.load([*said, f"model={model}"])
    if model == "mf":
        settings.tree["trainer"] |= {"epochs": 1, "checkpoint_seconds": 0}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        with pytest.raises((OSError, ResourceError)) as raised:
            experiment.run(settings, run_dir=tmp_path / "run", progress=Silent())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = told(raised.value)
    assert found.exit_code == 4
    assert str(tmp_path / "run" / file) in found.line
    left = {path.name for path in tmp_path.rglob("*")}
    assert not any(name.startswith(".tmp") or name.endswith(".part") for name in left)
    assert file == "checkpoint" or file not in left

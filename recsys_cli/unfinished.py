"""A run's folder, looked at before a run begins in it: empty, cut off, or finished; and whether it is the same run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recsys_cli import config as settings
from recsys_cli.config import Config
from recsys_cli.durable import PART
from recsys_cli.errors import ConfigError
from recsys_cli.tracking.events import EVENTS
from recsys_cli.tracking.run_folder import METRICS, SETTINGS, open_run
from recsys_cli.tracking.under_way import CHECKPOINT, LOCK, RUNNING, Running
from recsys_cli.training.checkpoint import differences

FIRST_FILES = {LOCK, SETTINGS, EVENTS}  # what is there before the mark that a run has begun


@dataclass(frozen=True)
class Begun:
    """A run that has begun in a folder.

    Attributes:
        folder: Where its files are.
        config: Its settings.
        running: The mark of a run whose record is not complete; None = it is finished.
        recorded: What `metrics.json` says; None where it is not there yet.
    """

    folder: Path
    config: Config
    running: Running | None
    recorded: Mapping[str, Any] | None

    @property
    def run_id(self) -> str | None:
        """Under which it is tracked; None where it is not."""
        return self.running.run_id or None if self.running is not None else None

    def check_same(self, config: Config) -> None:
        """Refuse to go on with other settings.

        Raises:
            ConfigError: Naming what differs.
        """
        if other := differences(self.config.measured, config.measured):
            raise ConfigError(
                f"the run {self.folder} has other settings: {other}",
                "go on with the same, or train anew in another --run-dir",
            )


def find(folder: Path) -> Begun | None:
    """The run that has begun in a folder; None where none has.

    Raises:
        ConfigError: There is something else in it.
        RecsysError: The files of the run are damaged.
    """
    running, finished = Running.read(folder), (folder / METRICS).is_file()
    if running is None and not finished:
        odd = sorted(path.name for path in folder.iterdir() if not _comes_first(path.name))
        if odd:
            raise ConfigError(
                f"{folder} is neither an empty folder nor that of a run: it holds {odd[0]}",
                "name another with --run-dir",
            )
        return None
    recorded = open_run(str(folder), folder).recorded if finished else None
    choices = running.choices if running is not None else (recorded or {})["choices"]
    config = settings.from_file(folder / SETTINGS, choices)
    if running is not None:
        config = replace(config, overrides=running.overrides)
    return Begun(folder, config, running, recorded)


def named(name: str, root: Path) -> Begun:
    """The run of this folder, or of this name under `root`.

    Raises:
        ConfigError: There is none.
    """
    for folder in (Path(name), root / name):
        if name and folder.is_dir() and (begun := find(folder)) is not None:
            return begun
    raise ConfigError(
        f"--resume={name}: no run has begun there",
        "name the folder of a run, or say auto (with --run-dir) or never",
    )


def sweep(folder: Path) -> None:
    """Remove files that a process was killed over while it wrote them."""
    for path in (*folder.glob(f"*{PART}"), *folder.glob(".tmp*")):
        path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove what a run needs only while it is under way; the mark goes last."""
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    (folder / RUNNING).unlink(missing_ok=True)


def _comes_first(name: str) -> bool:
    return name in FIRST_FILES or name.endswith(PART)

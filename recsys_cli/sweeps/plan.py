"""What a sweep is going to do, checked before anything is read or written."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from recsys_cli import config
from recsys_cli.errors import ConfigError
from recsys_cli.sweeps import space as spaces
from recsys_cli.sweeps.cluster import Cluster
from recsys_cli.sweeps.limits import Limits
from recsys_cli.sweeps.pruning import PrunerName
from recsys_cli.sweeps.ready import with_ready
from recsys_cli.sweeps.store import Store, locate
from recsys_cli.sweeps.study import SamplerName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Plan:
    """A sweep that has been checked and not begun.

    Attributes:
        name: The study's name, which is that of its folder too.
        space: What is searched.
        settings: Those of the first point.
        sampler: What proposes points.
        pruner: What gives trials up before their last epoch.
        total: Number of trials; None = as many as the limits let begin.
        limits: What may be spent.
        options: What `recsys train` must be told besides a trial's overrides.
        folders: The user's own configuration folders.
        workers: Processes that run trials, on this machine or on the cluster.
        storage: Address of a store that other commands may share; None = a file of this sweep's own.
        cluster: Where the processes run; None = on this machine.
    """

    name: str
    space: spaces.Space
    settings: config.Config
    sampler: SamplerName
    pruner: PrunerName
    total: int | None
    limits: Limits
    options: tuple[str, ...]
    folders: tuple[Path, ...]
    workers: int = 1
    storage: str | None = None
    cluster: Cluster | None = None

    @property
    def store(self) -> Store:
        """Where the study is kept."""
        return locate(self.storage, self.folder, self.name)

    @property
    def by_itself(self) -> bool:
        """Whether the command runs its trials in its own process."""
        return self.workers == 1 and self.cluster is None

    @property
    def alone(self) -> bool:
        """Whether one process runs all trials."""
        return self.by_itself and self.storage is None

    def job(self) -> dict[str, Any]:
        """The same as plain values, for another process of this machine; the address of the store is as it was given."""
        return {
            "overrides": [*self.space.fixed, *(axis.typed for axis in self.space.axes)],
            "config_dirs": [str(folder) for folder in self.folders],
            "sampler": self.sampler,
            "pruner": self.pruner,
            "trials": None if self.sampler == "grid" else self.total,
            "limits": asdict(self.limits),
            "name": self.name,
            "options": list(self.options),
            "workers": self.workers,
            "storage": self.storage,
            "cluster": None if self.cluster is None else asdict(self.cluster),
        }

    @property
    def folder(self) -> Path:
        """Where the study and the trials' files are."""
        return Path(self.settings.tree["root"]) / "sweeps" / self.name

    def trial_folder(self, number: int) -> Path:
        """Where the files of one trial are."""
        return self.folder / f"trial-{number:03d}"

    @property
    def epochs(self) -> int:
        """Most epochs of a trial; 0 where the model learns in one go."""
        return int(self.settings.tree["trainer"].get("epochs", 0))

    @property
    def metric(self) -> str:
        """The validation metric that the search goes by."""
        return str(self.settings.tree["evaluation"]["primary"])

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which direction of it is an improvement."""
        protocol = config.build(self.settings.tree["evaluation"], key="evaluation")
        better: Literal["higher", "lower"] = protocol.better
        return better


def make_plan(
    overrides: Sequence[str],
    *,
    config_dirs: Sequence[Path] = (),
    ready: str | None = None,
    sampler: SamplerName | None = None,
    pruner: PrunerName = "none",
    trials: int | None = None,
    limits: Limits | None = None,
    name: str | None = None,
    options: Sequence[str] = (),
    workers: int = 1,
    storage: str | None = None,
    cluster: Cluster | None = None,
) -> Plan:
    """Check everything about a sweep that can be checked without reading data.

    Args:
        overrides: Hydra overrides, of which at least one holds several values where no ready space is named.
        config_dirs: The user's own configuration folders.
        ready: Name of a ready space; what the overrides give is left to them.
        sampler: None = the grid of a finite space when `trials` is not given, else tpe.
        pruner: What gives trials up before their last epoch.
        trials: How many; None = all points of the grid, or as many as the limits let begin.
        limits: What may be spent; None = no limit.
        name: Of a study to begin or to go on with; None = a new one.
        options: What `recsys train` must be told besides the overrides.
        workers: Processes that run trials, on this machine or on the cluster.
        storage: Address of a store that other commands may share; None = a file of this sweep's own.
        cluster: Where the processes run; None = on this machine.

    Raises:
        ConfigError: Naming the override, the value and what to write instead.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise ConfigError(
            f"--study {name!r} is not a name", "use letters, digits, '-', '_' and '.'"
        )
    if ready is not None:
        overrides = with_ready(overrides, ready, config_dirs)
    space = spaces.read(overrides, config_dirs)
    if storage is not None and name is None:
        raise ConfigError(
            "--storage: by its name other commands find the study in it", "give --study NAME"
        )
    locate(storage, Path(), "")
    if cluster is not None:
        cluster.check()
    limits = limits or Limits()
    sampler = sampler or ("grid" if trials is None and space.size is not None else "tpe")
    total = _total(space, sampler, trials, limits)
    settings = spaces.check(space, config_dirs)
    _check_pruner(pruner, space, settings)
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return Plan(
        name=name or f"{settings.choices['model']}-{settings.choices['data']}-{stamp}",
        space=space,
        settings=settings,
        sampler=sampler,
        pruner=pruner,
        total=total,
        limits=limits,
        options=tuple(options),
        folders=tuple(config_dirs),
        workers=workers,
        storage=storage,
        cluster=cluster,
    )


def from_job(job: Mapping[str, Any]) -> Plan:
    """The plan of another process."""
    told = dict(job)
    folders = [Path(folder) for folder in told.pop("config_dirs")]
    cluster = told.pop("cluster")
    return make_plan(
        config_dirs=folders,
        cluster=None if cluster is None else Cluster(**cluster),
        **told | {"limits": Limits(**told["limits"])},
    )


def _check_pruner(pruner: PrunerName, space: spaces.Space, settings: config.Config) -> None:
    if pruner == "none":
        return
    if "epochs" not in settings.tree["trainer"]:
        raise ConfigError(
            f"--pruner {pruner}: {settings.choices['model']} learns in one go, without epochs to compare",
            "leave it out",
        )
    if pruner == "hyperband" and any(axis.name == "trainer.epochs" for axis in space.axes):
        raise ConfigError(
            "--pruner hyperband shares out trainer.epochs, and that is searched",
            "give it one value, the most epochs that a trial may take",
        )


def _total(
    space: spaces.Space, sampler: SamplerName, trials: int | None, limits: Limits
) -> int | None:
    if sampler == "grid":
        if space.size is None:
            endless = next(axis.typed for axis in space.axes if axis.values is None)
            raise ConfigError(f"{endless}: an interval has no grid", "use --sampler tpe or random")
        if trials is not None:
            raise ConfigError(
                f"--trials {trials}: a grid runs all its {space.size} points",
                "leave it out, or draw some of them with --sampler random",
            )
        return space.size
    if trials is None and limits.given:
        return space.size
    if trials is None:
        endless = next(
            (axis.typed for axis in space.axes if axis.values is None), f"--sampler {sampler}"
        )
        raise ConfigError(
            f"{endless}: how many trials?", "give --trials N, or --budget or --timeout"
        )
    if space.size is not None and trials > space.size:
        raise ConfigError(
            f"--trials {trials}: the space has only {space.size} points",
            "leave --trials and --sampler out to run them all",
        )
    return trials

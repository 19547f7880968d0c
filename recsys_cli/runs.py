"""A finished run, opened again: its settings checked, its data and split rebuilt, its weights loaded and proven.

Nothing in the folder is taken on trust. The record must have its seal and the files that are read their recorded
SHA-256. The settings pass the checks of the command line and must have the recorded hash, the events of the split
too, and the weights are read as plain tensors, compared with the recorded SHA-256 and with the shapes that the model
of these settings has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from recsys_cli import config as settings
from recsys_cli import integrity
from recsys_cli.config import Config
from recsys_cli.data.split import Split
from recsys_cli.errors import CheckpointError, ConfigError, DataError
from recsys_cli.evaluation.evaluate import Result, evaluate
from recsys_cli.outcome import tensors_digest
from recsys_cli.preparation import Prepared, load_and_split, prepare
from recsys_cli.progress import Progress
from recsys_cli.tracking.run_folder import METRICS, SEALED, SETTINGS, WEIGHTS, RunFolder

RESTORE = "restore the file, or train again"
OTHER = "the run cannot be opened with other {}: restore them, or train again"


@dataclass(frozen=True)
class Agreement:
    """How far new numbers are from the recorded ones.

    Attributes:
        largest: The largest absolute difference; 0 = equal bit for bit.
        at: The metric that has it, like `test ndcg_at_10`; empty where all are equal.
        primary: The largest absolute difference of the metric that `evaluation.primary` names.
    """

    largest: float
    at: str
    primary: float


def read_settings(folder: RunFolder, *, device: str | None = None) -> Config:
    """The settings of a run, checked like those of the command line.

    Args:
        folder: The run.
        device: A device to use instead of the run's.

    Raises:
        CheckpointError: The record or the settings were changed.
        ConfigError: They are not to be trusted, or not those that the run had.
    """
    check_record(folder)
    _check_whole(folder, SETTINGS)
    config = settings.from_file(folder.path / SETTINGS, folder.recorded["choices"])
    if config.hash != folder.recorded["config_hash"]:
        raise ConfigError(
            f"{folder.path / SETTINGS} is not as the run had it: hash {config.hash[:12]}, recorded "
            f"{folder.recorded['config_hash'][:12]}",
            OTHER.format("settings"),
        )
    if device is None:
        return config
    chosen = settings.load([f"device={device}"]).tree["device"]
    return replace(config, tree=config.tree | {"device": chosen})


def check_record(folder: RunFolder) -> None:
    """Refuse a record that is not as it was written, or does not say how the other files were.

    Raises:
        CheckpointError: It is such a one.
    """
    if not integrity.is_sealed(folder.recorded):
        raise CheckpointError(f"{folder.path / METRICS}: it was changed", RESTORE)
    if not lists_files(folder.recorded):
        raise CheckpointError(f"{folder.path / METRICS}: it lists other files", "train again")


def lists_files(record: Mapping[str, Any]) -> bool:
    """Whether a record says how each file of a run was when it was written."""
    files = record.get("files")
    return (
        isinstance(files, dict)
        and files.keys() == set(SEALED)
        and all(
            isinstance(then, dict) and then.keys() == {"bytes", "sha256"} for then in files.values()
        )
    )


def read_split(config: Config, folder: RunFolder, *, progress: Progress) -> Split:
    """The data of a run, split as it was.

    Raises:
        DataError: The data cannot be had, or is not what the run was measured on.
    """
    _, split = load_and_split(config, progress=progress)
    _check_split(split, folder)
    return split


def reopen(config: Config, folder: RunFolder, *, progress: Progress) -> Prepared:
    """Everything that the run had, with the weights that it ended with.

    Raises:
        DataError: As `read_split`.
        CheckpointError: The weights are missing, corrupt, or not those of the run.
    """
    ready = replace(prepare(config, progress=progress), tested=folder.tested)
    _check_split(ready.split, folder)
    _check_whole(folder, WEIGHTS)
    load_weights(ready.model, folder.path / WEIGHTS, folder.recorded["weights_sha256"])
    return ready


def load_weights(model: Any, path: Path, sha256: str) -> None:
    """Put saved weights into a model.

    Args:
        model: Built from the settings that the weights were trained with.
        path: A safetensors file.
        sha256: What `tensors_digest` said when they were saved.

    Raises:
        CheckpointError: The file is missing or corrupt, has another hash, or does not fit the model.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path}: cannot be read: {reason}", "train again") from error
    if (found := tensors_digest(tensors)) != sha256:
        raise CheckpointError(
            f"{path}: the weights have SHA-256 {found[:12]} and the run recorded {sha256[:12]}",
            "they were changed or belong to another run: train again",
        )
    own = model.state_dict()
    try:
        other = [name for name, tensor in tensors.items() if tensor.dtype != own[name].dtype]
        model.load_state_dict(tensors)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: does not fit the model that {SETTINGS} describes: {reason}", "train again"
        ) from error
    if other:
        raise CheckpointError(
            f"{path}: {other[0]} is {tensors[other[0]].dtype}, the model has {own[other[0]].dtype}",
            "train again",
        )


def remeasure(ready: Prepared, *, progress: Progress) -> dict[str, Result]:
    """Evaluate an opened run again, by part of the data."""
    with ready.device.active():
        return {
            part: evaluate(
                ready.model,
                holdout,
                ready.protocol,
                device=ready.device.torch,
                progress=progress,
                what=part,
            )
            for part, holdout in ready.parts.items()
        }


def agreement(metrics: Mapping[str, Mapping[str, float]], folder: RunFolder) -> Agreement:
    """How far new metrics, by part of the data, are from what the run recorded.

    Raises:
        DataError: They are not the same metrics.
    """
    largest, at, primary = 0.0, "", 0.0
    for part, recorded in folder.metrics.items():
        found = metrics.get(part, {})
        if found.keys() != recorded.keys():
            odd = sorted(found.keys() ^ recorded.keys())[0]
            raise DataError(
                f"{folder.path}: {part} {odd} is not both recorded and computed", "train again"
            )
        for key, value in found.items():
            distance = _distance(value, recorded[key])
            if distance > largest:
                largest, at = distance, f"{part} {key}"
            if key == folder.evaluation.get("primary"):
                primary = max(primary, distance)
    return Agreement(largest, at, primary)


def _distance(new: float, recorded: float) -> float:
    """How far apart two numbers are; one that is none is as far as can be from one that is."""
    if math.isnan(new) or math.isnan(recorded):
        return 0.0 if math.isnan(new) and math.isnan(recorded) else math.inf
    return abs(new - recorded)


def _check_whole(folder: RunFolder, name: str) -> None:
    """Refuse a file that is not as the run wrote it."""
    then = folder.recorded["files"][name]
    if wrong := integrity.damage(folder.path / name, then):
        raise CheckpointError(f"{folder.path / name}: {wrong}", RESTORE)


def _check_split(split: Split, folder: RunFolder) -> None:
    recorded = folder.recorded["split_hash"]
    if split.hash != recorded:
        raise DataError(
            f"the data or its split is not what the run {folder.name} had: hash {split.hash[:12]}, "
            f"recorded {recorded[:12]}",
            OTHER.format("events"),
        )

"""What an experiment ends with, and how it is written down: in its folder and with the tracker."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from torch import Tensor, nn

from recsys_cli import integrity
from recsys_cli.config import Config
from recsys_cli.data.columnar import to_disk
from recsys_cli.data.interactions import Interactions
from recsys_cli.durable import write_whole
from recsys_cli.errors import CheckpointError, DataError
from recsys_cli.evaluation.evaluate import Result
from recsys_cli.preparation import Prepared, Stopwatch
from recsys_cli.redact import redact
from recsys_cli.resources import writing
from recsys_cli.tracking.contract import Tracker
from recsys_cli.tracking.run_folder import (
    HISTORY,
    LISTS,
    METRICS,
    PER_USER,
    SEALED,
    SETTINGS,
    WEIGHTS,
    save_lists,
    save_per_user,
)
from recsys_cli.training.loop import n_parameters
from recsys_cli.training.state import History


@dataclass(frozen=True)
class Outcome:
    """What an experiment ends with; `to_json` is what `--json` prints and `metrics.json` holds.

    Of its fields, `promise` says how exactly the run repeats (`promises.promise`), and `files` has size and SHA-256
    of each other file of the run.
    """

    run_id: str
    run_dir: Path
    config_hash: str
    split_hash: str
    weights_sha256: str
    device: dict[str, str]
    promise: dict[str, str]
    files: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, float]]
    timings: dict[str, float]
    counts: dict[str, int]
    choices: dict[str, str]
    split: str
    leaks: str
    why_split: str
    logged_at: str = ""
    how_to_open: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields, and a seal over them all."""
        return integrity.sealed(asdict(self) | {"run_dir": str(self.run_dir)})

    @classmethod
    def from_json(cls, told: Mapping[str, Any] | None, run_dir: Path) -> Outcome:
        """What `to_json` gave.

        Raises:
            DataError: It is not complete.
            CheckpointError: It was changed.
        """
        names = {part.name for part in fields(cls)}
        if told is None or told.keys() != names | {integrity.SEAL}:
            raise DataError(f"{run_dir / METRICS}: is not the record of a run", "train it again")
        if not integrity.is_sealed(told):
            raise CheckpointError(f"{run_dir / METRICS}: was changed", "train it again")
        return cls(**{name: told[name] for name in names} | {"run_dir": run_dir})


def save_weights(model: nn.Module, path: Path) -> str:
    """Write a model's parameters and buffers; their SHA-256.

    Raises:
        ResourceError: The disk is full, or fails.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    with writing(path, sum(tensor.nbytes for tensor in tensors.values())):
        save_file(tensors, path)
    return weights_digest(model)


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and bits of all parameters and buffers."""
    return tensors_digest(model.state_dict())


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """The same of tensors by name."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return sha.hexdigest()


def title(config: Config) -> str:
    """`mf on ml-100k, model.rank=32`: what tells runs apart in a list."""
    groups = {*config.choices, "root"}
    said = [text for text in config.overrides if text.split("=")[0] not in groups]
    return redact(", ".join([f"{config.choices['model']} on {config.choices['data']}", *said]))


def tags(config: Config, ready: Prepared) -> dict[str, str]:
    """Facts that tell a run's numbers apart from another's: hashes, versions, hardware, and the command."""
    return {
        "recsys.config_hash": config.hash,
        "recsys.split_hash": ready.split.hash,
        "recsys.split": ready.split.name,
        "command": shlex.join(["recsys", "train", *config.overrides]),
        "description": ready.split.name
        + (f"; leaks: {ready.split.leaks}" if ready.split.leaks else ""),
        **{f"recsys.{name}": value for name, value in ready.environment.items()},
    }


def describe_data(config: Config, interactions: Interactions) -> dict[str, str]:
    """What is told of the data to the tracker: its name, digest, settings and size."""
    profile = {
        "events": len(interactions),
        "users": interactions.n_users,
        "items": interactions.n_items,
    }
    data = config.tree["data"]
    return {
        "name": config.choices["data"],
        "digest": interactions.digest()[:16],
        "source": str(data.get("source") or data.get("path") or config.choices["data"]),
        "profile": json.dumps(profile),
    }


def timings(clock: Stopwatch, history: History) -> dict[str, float]:
    """Seconds of each piece of work, of an epoch, and the training speed."""
    epoch = float(np.median(history.epoch_seconds))
    extra = {
        "epoch_seconds_median": epoch,
        "examples_per_second": history.examples / max(epoch, 1e-9),
    }
    if history.validation_seconds:
        extra["validation_seconds_median"] = float(np.median(history.validation_seconds))
    before = {"fit_seconds": clock.seconds["fit_seconds"] + history.earlier_seconds}
    return clock.seconds | before | extra


def model_counts(model: nn.Module, history: History) -> dict[str, int]:
    """How large the model is, and how long it was trained."""
    return {
        "parameters": n_parameters(model),
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
    }


def save_users(ready: Prepared, folder: Path, results: Mapping[str, Result]) -> None:
    """What significance and other programs need: each user's values, and the lists of the last part, the test."""
    users = {
        part: ready.parts[part].targets.user_ids.decode(result.users)
        for part, result in results.items()
    }
    save_per_user(folder, {part: (users[part], results[part].per_user) for part in results})
    last = list(results)[-1]
    save_lists(folder / LISTS, users[last], results[last].ranked, ready.interactions.item_ids)


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file of a run, by name, but of the record that is to hold them."""
    return {name: integrity.noted(folder / name) for name in SEALED}


def record(outcome: Outcome, tracker: Tracker, folder: Path) -> None:
    """Write the outcome into the run's folder, safe on disk, and tell the tracker."""
    numbers = dict(outcome.timings)
    for part, metrics in outcome.metrics.items():
        numbers |= {f"{part}_{name}": value for name, value in metrics.items()}
    path = folder / METRICS
    data = (json.dumps(outcome.to_json(), indent=2) + "\n").encode()
    if not path.exists() or path.read_bytes() != data:
        for name in (HISTORY, WEIGHTS, PER_USER, LISTS):
            to_disk(folder / name)
        write_whole(path, data)
    moment = (
        path.stat().st_mtime_ns // 1_000_000
    )  # the same when a process that died here is gone on with
    tracker.metrics(numbers, step=int(outcome.counts["epochs"]), time_ms=moment)
    for name in (SETTINGS, METRICS, HISTORY, WEIGHTS, PER_USER, LISTS):
        tracker.artifact(folder / name)

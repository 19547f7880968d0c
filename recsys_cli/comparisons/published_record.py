"""What a row of a published table came to, kept as a small file: numbers, command, seeds, versions and hashes.

A row that trains for an hour is not run again for every reader: its record is. Verdicts are not kept, they follow from
the numbers and the table. A row that is run again takes the place of its older record; the other rows stay.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recsys_cli import plain_yaml
from recsys_cli.comparisons.published_table import Table
from recsys_cli.config import Config
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError
from recsys_cli.outcome import Outcome
from recsys_cli.resources import writing

PLACE, SEED = "data.source", "seed"  # what a run of a row may have otherwise than the table says


@dataclass(frozen=True)
class KeptRun:
    """One run of a row.

    Attributes:
        seed: From which all its randomness came.
        settings_hash: SHA-256 of all settings that can move a number; where the data lies is none of them.
        split_hash: That of the events of each part.
        weights_sha256: That of what it learnt.
        epochs: How many it trained.
        best_epoch: The one whose weights were measured; 0 where there are no epochs.
        fit_seconds: How long it trained.
        metrics: The table's metrics on the test part.
        environment: Versions, hardware and threads.
    """

    seed: int
    settings_hash: str
    split_hash: str
    weights_sha256: str
    epochs: int
    best_epoch: int
    fit_seconds: float
    metrics: dict[str, float]
    environment: dict[str, str]


@dataclass(frozen=True)
class KeptRow:
    """What a row came to: the command that runs it again, and its runs, one for each repeat of the table."""

    command: str
    runs: list[KeptRun]


@dataclass(frozen=True)
class Record:
    """Rows of one published table, by model."""

    table: str
    rows: dict[str, KeptRow]


def kept_row(
    name: str, model: str, table: Table, configs: Sequence[Config], outcomes: Sequence[Outcome]
) -> KeptRow:
    """What is kept of the runs of a row.

    Args:
        name: Of the table.
        model: The row.
        table: What is printed.
        configs: The settings of each run.
        outcomes: What each ended with.
    """
    command = ["recsys", "reproduce", name, f"--only={model}"]
    seeds = [int(config.tree[SEED]) for config in configs]
    if not table.repeats and seeds[0]:
        command.append(f"{SEED}={seeds[0]}")
    kept = [
        KeptRun(
            seed=seed,
            settings_hash=settings_hash(config),
            split_hash=outcome.split_hash,
            weights_sha256=outcome.weights_sha256,
            epochs=outcome.counts["epochs"],
            best_epoch=outcome.counts["best_epoch"],
            fit_seconds=outcome.timings["fit_seconds"],
            metrics={key: outcome.metrics["test"][key] for key in table.metrics},
            environment=outcome.device,
        )
        for seed, config, outcome in zip(seeds, configs, outcomes, strict=True)
    ]
    return KeptRow(shlex.join(command), kept)


def settings_hash(config: Config) -> str:
    """SHA-256 of all settings that can move a number, wherever the data lies."""
    data = {key: value for key, value in config.tree["data"].items() if key != "source"}
    return replace(config, tree=config.tree | {"data": data}).hash


def difference(found: Config, wanted: Config) -> str:
    """The first setting in which a run is not one of a row, as `key=found, not wanted`; empty where it is one.

    A run may read its data from anywhere and have any seed.
    """
    here, there = _of_row(found), _of_row(wanted)
    for key in sorted(here.keys() | there.keys()):
        if here.get(key) != there.get(key):
            return f"{key}={here.get(key)}, not {there.get(key)}"
    return ""


def _of_row(config: Config) -> dict[str, Any]:
    return {k: value for k, value in config.measured.items() if k not in (PLACE, SEED)}


def read(path: Path) -> Record:
    """The record in a file.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    try:
        return TypeAdapter(Record).validate_json(plain_yaml.read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        told = ": ".join([".".join(map(str, first["loc"])), first["msg"].lower()])
        raise ConfigError(
            f"{path}: is no record of a published table: {told.removeprefix(': ')}",
            "name another file, or delete this one",
        ) from error


def expect_place(path: Path, name: str) -> None:
    """See that a record of this table can be kept there, before an hour is spent on it.

    Raises:
        ConfigError: The file holds something else, or there is no such folder.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"--record {path}: no folder {path.parent}", "make it first")
    if path.exists() and (there := read(path).table) != name:
        raise ConfigError(
            f"--record {path}: it holds the table {there}", f"name another file for {name}"
        )


def keep(path: Path, name: str, rows: Mapping[str, KeptRow]) -> None:
    """Write rows down; those of other models that the file has already stay as they are.

    Raises:
        ConfigError: As `expect_place`.
        ResourceError: The disk is full, or fails.
    """
    expect_place(path, name)
    older = read(path).rows if path.exists() else {}
    record = Record(name, dict(sorted({**older, **rows}.items())))
    with writing(path):
        write_whole(path, (json.dumps(asdict(record), indent=2) + "\n").encode())

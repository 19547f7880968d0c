"""What a finished run leaves in its folder beside its weights: the value of each user, and the list of each user.

Both are columns with raw ids, so that other programs can read them, and both are read back here. Nothing in a folder
is trusted: what is missing, cut off or belongs to another run is one line.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli import plain_yaml
from recsys_cli.data.interactions import Vocabulary
from recsys_cli.errors import CheckpointError, ConfigError, DataError
from recsys_cli.resources import disk_full

SETTINGS, METRICS, HISTORY = "config.yaml", "metrics.json", "history.jsonl"
WEIGHTS = "model.safetensors"
PER_USER, LISTS = "per_user.parquet", "recommendations.parquet"
SEALED = (SETTINGS, HISTORY, WEIGHTS, PER_USER, LISTS)  # those whose SHA-256 the record holds
PARTS = ("valid", "test")
RECORD_BYTES = 1 << 26  # a record is some kilobytes; more than this is not read
TRAIN_AGAIN = "train it again"

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class PerUser:
    """The value of each user in one part of the data.

    Attributes:
        users: Raw ids of the users who have a target, in the order of their codes.
        values: (users,) by metric key; NaN where a user has no value.
    """

    users: Array
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class RunFolder:
    """The folder of a finished run.

    Attributes:
        path: Where it is.
        recorded: What `metrics.json` says.
    """

    path: Path
    recorded: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """How the run was measured, as its settings say; read as data, nothing is built from it.

        Raises:
            DataError: The settings cannot be read.
        """
        path = self.path / SETTINGS
        try:
            return dict(plain_yaml.load(path)["evaluation"])
        except (ConfigError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: has no readable section 'evaluation'", TRAIN_AGAIN) from error

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The recorded metrics, by part of the data."""
        return {part: dict(self.recorded["metrics"][part]) for part in PARTS}

    @property
    def tested(self) -> bool:
        """Whether the test part was measured; a trial of a search leaves it alone."""
        return bool(self.metrics["test"])

    def per_user(self, part: str) -> PerUser:
        """The value of each user of a part.

        Raises:
            DataError: The part was not measured, or the file is missing, broken, or does not have the recorded means.
        """
        if not self.metrics[part]:
            raise DataError(
                f"the run {self.name} was not measured on its {part} part",
                "a trial of a search leaves the test alone: train its settings with recsys train",
            )
        table = _read(self.path / PER_USER)
        _has(table, ("part", "user"), self.path / PER_USER)
        rows = np.flatnonzero(np.asarray(table["part"].to_numpy()) == part)
        columns = {name: table[name].to_numpy()[rows] for name in table.column_names}
        users = _ids(columns.pop("user"))
        del columns["part"]
        if odd := [key for key, column in columns.items() if column.dtype != np.float64]:
            raise DataError(
                f"{self.path / PER_USER}: column {odd[0]!r} is not numbers", TRAIN_AGAIN
            )
        found = PerUser(users, {key: v for key, v in columns.items() if key in self.metrics[part]})
        self._check_means(found, part)
        return found

    def _check_means(self, found: PerUser, part: str) -> None:
        for key, values in found.values.items():
            mean, recorded = np.nanmean(values), self.metrics[part][key]
            if not np.isclose(mean, recorded, rtol=1e-9, atol=1e-12):
                raise DataError(
                    f"{self.path / PER_USER}: the mean {key} of the {part} users is {mean:.6f} and {METRICS} "
                    f"says {recorded:.6f}",
                    f"the files are not of one run: {TRAIN_AGAIN}",
                )


def save_per_user(
    folder: Path, parts: Mapping[str, tuple[Array, Mapping[str, NDArray[np.float64]]]]
) -> Path:
    """Write the value of each user.

    Args:
        folder: The run's folder.
        parts: Raw user ids and values by metric key, by part of the data.

    Returns:
        The file: columns `part`, `user`, and one for each metric.
    """
    import pyarrow as pa

    tables = [
        pa.table({"part": pa.array([part] * len(users)), "user": users, **values})
        for part, (users, values) in parts.items()
    ]
    _write(pa.concat_tables(tables), folder / PER_USER)
    return folder / PER_USER


def save_lists(path: Path, users: Array, ranked: Array, items: Vocabulary) -> Path:
    """Write what is recommended to each user, a row an item.

    Args:
        path: The file, `.parquet` or `.csv`.
        users: (users,) raw ids.
        ranked: (users, k) item codes, best first; -1 where a list is shorter.
        items: The catalogue.

    Returns:
        The file: columns `user`, `item` and `rank` (1 = best).

    Raises:
        DataError: The file's name ends in neither, or it cannot be written.
    """
    import pyarrow as pa

    row, column = np.nonzero(ranked >= 0)
    table = pa.table(
        {
            "user": users[row],
            "item": items.decode(ranked[row, column]),
            "rank": (column + 1).astype(np.int32),
        }
    )
    _write(table, path)
    return path


def open_run(named: str, root: Path) -> RunFolder:
    """The folder of a finished run.

    Args:
        named: A path, the name of a folder in `root`, or the id under which a run in `root` was tracked.
        root: The folder of runs.

    Raises:
        DataError: There is no such run, or it is not finished.
        CheckpointError: Its record is broken.
    """
    for path in (Path(named), root / named):
        if named and path.is_dir():
            return RunFolder(path, _recorded(path))
    for record in sorted([*root.glob(f"*/{METRICS}"), *root.glob(f"*/*/{METRICS}")]):
        if named and _recorded(record.parent)["run_id"] == named:
            return RunFolder(record.parent, _recorded(record.parent))
    known = sorted(path.parent.name for path in root.glob(f"*/{METRICS}"))
    close = difflib.get_close_matches(named, known, n=1, cutoff=0.4)
    raise DataError(
        f"no run {named!r}: neither a folder, nor the name or id of one of the {len(known):,} runs in {root}",
        f"did you mean {close[0]!r}?"
        if close
        else "name its folder, or where the runs are: --root",
    )


def _recorded(folder: Path) -> dict[str, Any]:
    """What `metrics.json` says, as far as it is read here, checked."""
    if not (folder / SETTINGS).is_file():
        raise DataError(f"{folder} is not a run: it has no {SETTINGS}", "name the folder of a run")
    if not (folder / METRICS).is_file():
        raise DataError(
            f"the run {folder} is not finished: it has no {METRICS}",
            f"let it end, or {TRAIN_AGAIN}",
        )
    told = read_record(folder / METRICS)
    try:
        texts = [told[name] for name in ("run_id", "config_hash", "split_hash", "weights_sha256")]
        texts += [told["choices"][name] for name in ("model", "data")]
        numbers = [told["metrics"][part].values() for part in PARTS]
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / METRICS}: cannot be read: {type(error).__name__}: {error}", TRAIN_AGAIN
        ) from error
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(number, float | int) for values in numbers for number in values
    ):
        raise CheckpointError(
            f"{folder / METRICS}: ids must be text and metrics numbers", TRAIN_AGAIN
        )
    return told


def read_record(path: Path) -> dict[str, Any]:
    """What `metrics.json` says; of its content nothing is checked yet.

    Raises:
        CheckpointError: It is missing, no plain file, larger than any record, or not JSON.
    """
    if path.is_symlink() or not path.is_file():
        raise CheckpointError(f"{path}: it is missing or no plain file", TRAIN_AGAIN)
    if (size := path.stat().st_size) > RECORD_BYTES:
        raise CheckpointError(
            f"{path}: it has {size:,} bytes, and a record at most {RECORD_BYTES:,}", TRAIN_AGAIN
        )
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise CheckpointError(f"{path}: cannot be read: {reason}", TRAIN_AGAIN) from error
    if not isinstance(told, dict):
        raise CheckpointError(f"{path}: cannot be read: it is no record", TRAIN_AGAIN)
    return told


def _read(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise DataError(f"{path}: the run has no such file", TRAIN_AGAIN)
    try:
        return parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: {_first_line(error)}", f"the file is broken: {TRAIN_AGAIN}"
        ) from error


def _write(table: Any, path: Path) -> None:
    from pyarrow import csv, parquet

    try:
        if path.suffix == ".parquet":
            parquet.write_table(table, path, compression="zstd")
        elif path.suffix == ".csv":
            csv.write_csv(table, path, csv.WriteOptions(quoting_style="needed"))
        else:
            raise DataError(f"{path}: lists are written as .parquet or .csv", "name such a file")
    except OSError as error:
        path.unlink(missing_ok=True)
        if (full := disk_full(error, path)) is not None:
            raise full from error
        raise DataError(
            f"{path}: cannot be written: {_first_line(error)}", "name another file"
        ) from error


def _has(table: Any, names: tuple[str, ...], path: Path) -> None:
    if missing := [name for name in names if name not in table.column_names]:
        raise DataError(
            f"{path}: no column {missing[0]!r}", f"the file is not of a run: {TRAIN_AGAIN}"
        )


def _ids(column: Array) -> Array:
    return column if column.dtype.kind in "iu" else column.astype(np.str_)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""Checkpoints: what a training needs to go on, on disk, either whole or not at all.

A checkpoint is two files: tensors as safetensors, and a manifest in JSON with everything else, the size and SHA-256
of the tensors, and a SHA-256 of itself. Both are written under another name, brought to disk and then renamed; the
manifest comes last, so that a checkpoint is there when its manifest is. The one before it is kept until then. Formats
for tensors do not notice a flipped bit: the hashes do.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from recsys_cli import integrity
from recsys_cli.durable import PART, write_whole
from recsys_cli.errors import CheckpointError, ConfigError, ResourceError
from recsys_cli.progress import Progress

SCHEMA = 2
KEPT = 2
MANIFEST_BYTES = 1 << 26  # a manifest is some kilobytes; more than this is not read
DIFFERENCES_SHOWN = 5


@dataclass(frozen=True)
class Saved:
    """The state of a training.

    Attributes:
        tensors: By name.
        values: All that is not a tensor, as JSON has it.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


class Checkpoints:
    """The latest checkpoints of one training.

    Args:
        folder: Holds nothing else; made when the first is saved.
        made_with: Settings and data: what makes it another training.
        made_where: Versions, threads and machine: what the bits of the same training hang on.
        allow_mismatch: Whether it may go on where `made_where` is other than it was; `mismatches` then says so.

    Attributes:
        mismatches: What changed each time that the training went on elsewhere, also in processes before this one.
    """

    def __init__(
        self,
        folder: Path,
        made_with: Mapping[str, Any],
        made_where: Mapping[str, Any] | None = None,
        *,
        allow_mismatch: bool = False,
    ) -> None:
        self.mismatches: list[str] = []
        self._folder = folder
        self._made_with = dict(made_with)
        self._made_where = dict(made_where or {})
        self._allow_mismatch = allow_mismatch

    def save(self, state: Saved) -> None:
        """Write a checkpoint; until it is whole and on disk the one before it stays.

        Raises:
            ResourceError: There is no room, or the disk fails; the checkpoints before it are intact.
        """
        number = max(self._numbers(), default=0) + 1
        data = save({name: tensor.contiguous().cpu() for name, tensor in state.tensors.items()})
        body = {
            "schema": SCHEMA,
            "file": self._tensors(number).name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "made_with": self._made_with,
            "made_where": self._made_where,
            "mismatches": self.mismatches,
            "state": dict(state.values),
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._tensors(number), data)
            text = json.dumps(integrity.sealed(body), indent=1)
            write_whole(self._manifest(number), text.encode())
        except BaseException as error:
            if not self._manifest(number).exists():
                _delete(self._tensors(number))
            if not isinstance(error, OSError):
                raise
            raise ResourceError(
                f"{self._folder}: a checkpoint of {len(data):,} bytes cannot be written: "
                f"{error.strerror or error}",
                "make room; the run goes on from the checkpoint before it with --resume",
            ) from error
        self._remove_older()

    def newest(self, progress: Progress) -> Saved | None:
        """The newest good checkpoint; None where none was ever saved.

        What is passed over on the way to it is told.

        Raises:
            CheckpointError: There are checkpoints and all are corrupt.
            ConfigError: It was made with other settings or data; or elsewhere, and that is not allowed.
        """
        self.sweep()
        failed: CheckpointError | None = None
        for number in sorted(self._numbers(), reverse=True):
            try:
                body = self._read(number)
                tensors = self._read_tensors(number, body)
            except CheckpointError as error:
                progress.note(f"passed over: {error}")
                failed = failed or error
                continue
            self._check_same(number, body, progress)
            if failed is not None:
                progress.note(f"going on from the checkpoint before it, {self._manifest(number)}")
                self._remove_newer(number)
            return Saved(tensors, body["state"])
        if failed is not None:
            raise failed
        return None

    def sweep(self) -> None:
        """Remove what a process that was killed while it saved has left."""
        whole = {path.name for number in self._numbers() for path in self._files(number)}
        for path in self._folder.glob("*"):
            if path.name not in whole and path.suffix in {".safetensors", PART}:
                _delete(path)

    def remove(self) -> None:
        """Remove all: the training has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _numbers(self) -> list[int]:
        names = [path.name for path in self._folder.glob("*.json")]
        return [int(name[:8]) for name in names if re.fullmatch(r"[0-9]{8}\.json", name)]

    def _manifest(self, number: int) -> Path:
        return self._folder / f"{number:08d}.json"

    def _tensors(self, number: int) -> Path:
        return self._folder / f"{number:08d}.safetensors"

    def _files(self, number: int) -> tuple[Path, Path]:
        """The manifest first: what has none is no checkpoint."""
        return self._manifest(number), self._tensors(number)

    def _remove_older(self) -> None:
        for number in sorted(self._numbers())[:-KEPT]:
            for path in self._files(number):
                _delete(path)

    def _remove_newer(self, good: int) -> None:
        """A corrupt checkpoint must not push a good one out when the next is saved."""
        for number in self._numbers():
            if number > good:
                for path in self._files(number):
                    _delete(path)

    def _read(self, number: int) -> dict[str, Any]:
        path = self._manifest(number)
        text = _bytes(path, at_most=MANIFEST_BYTES)
        try:
            body = json.loads(text)
            whole = integrity.is_sealed(body)
        except (ValueError, TypeError, AttributeError, RecursionError):
            _corrupt(path, "it is not a manifest")
        if not whole:
            _corrupt(path, "its SHA-256 is not the one that it holds")
        if body.get("schema") != SCHEMA:
            _corrupt(path, f"schema {body.get('schema')!r}, this version reads {SCHEMA}")
        wanted = {
            "file": str,
            "bytes": int,
            "sha256": str,
            "made_with": dict,
            "made_where": dict,
            "mismatches": list,
            "state": dict,
        }
        for key, kind in wanted.items():
            if not isinstance(body.get(key), kind):
                _corrupt(path, f"no {key}")
        return dict(body)

    def _read_tensors(self, number: int, body: Mapping[str, Any]) -> dict[str, Tensor]:
        path = self._tensors(number)
        if body["file"] != path.name:
            _corrupt(path, f"its manifest is of {body['file']!r}")
        data = _bytes(path, at_most=body["bytes"])
        if len(data) != body["bytes"]:
            _corrupt(path, f"{len(data):,} bytes, its manifest says {body['bytes']:,}")
        if hashlib.sha256(data).hexdigest() != body["sha256"]:
            _corrupt(path, "its SHA-256 is not the one in its manifest")
        try:
            return load(data)
        except (SafetensorError, ValueError, KeyError) as error:
            _corrupt(path, (str(error).splitlines() or ["no tensors"])[0])

    def _check_same(self, number: int, body: Mapping[str, Any], progress: Progress) -> None:
        """Refuse another training, and the same one elsewhere unless that is allowed; then it is noted for good."""
        path = self._manifest(number)
        if other := differences(body["made_with"], self._made_with):
            raise ConfigError(
                f"{path} was made with other settings: {other}",
                "go on with the same, or train anew in another --run-dir",
            )
        self.mismatches = [str(text) for text in body["mismatches"]]
        if elsewhere := differences(body["made_where"], self._made_where):
            if not self._allow_mismatch:
                raise ConfigError(
                    f"{path} was made under other conditions: {elsewhere}",
                    "go on under the same, or with --allow-mismatch, which marks the run as not exact",
                )
            progress.note(f"not exact any more: {elsewhere}")
            self.mismatches.append(elsewhere)


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What differs between two sets of facts, like `model.rank is 8 there and 16 here`; empty where nothing does."""
    keys = [
        key
        for key in sorted({*there, *here})
        if (key in there) != (key in here) or there.get(key) != here.get(key)
    ]
    shown = [
        f"{key} is {there.get(key, 'absent')} there and {here.get(key, 'absent')} here"
        for key in keys[:DIFFERENCES_SHOWN]
    ]
    more = len(keys) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _delete(path: Path) -> None:
    """Remove a file, if it can be; one that stays is only in the way."""
    with suppress(OSError):
        path.unlink()


def _bytes(path: Path, *, at_most: int) -> bytes:
    """A file's content; what is no plain file, or is larger than it should be, is not opened or read."""
    try:
        if path.is_symlink() or not path.is_file():
            _corrupt(path, "it is missing or no plain file")
        if (size := path.stat().st_size) > at_most:
            _corrupt(path, f"{size:,} bytes, expected at most {at_most:,}")
        return path.read_bytes()
    except OSError as error:
        _corrupt(path, error.strerror or str(error))


def _corrupt(path: Path, reason: str) -> NoReturn:
    raise CheckpointError(f"{path}: the checkpoint is corrupt: {reason}", "train again")

"""A data set of the user's own: read once from a delimited file, kept in a folder as checked columns.

The folder holds the columns and `manifest.json`: what was read and how, and the length and SHA-256 of every file.
It appears under its name only when all of it is on disk; whatever goes wrong before leaves nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recsys_cli.data import columnar
from recsys_cli.data.cache import Parsed
from recsys_cli.data.delimited import load_csv
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.new_folder import new_folder
from recsys_cli.data.sources import Member, typed
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.progress import Progress

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
AGAIN = "import the file again"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Import:
    """What an import wrote.

    Attributes:
        folder: The new folder, to be read with `data=imported data.path=FOLDER`.
        events: What is in it.
        manifest: The content of its manifest.
    """

    folder: Path
    events: Interactions
    manifest: dict[str, Any]


def import_csv(*, name: str, to: Path, settings: Mapping[str, Any], progress: Progress) -> Import:
    """Check a delimited file and write its events as columns.

    Args:
        name: What the data set is called, and its folder.
        to: Where that folder is made.
        settings: Arguments of `load_csv`, the path among them.
        progress: Shows a bar for large files, and says what was decided while reading.

    Raises:
        ConfigError: The name cannot be that of a folder, or there is one already.
        DataError: The file is not as it should be, or the folder cannot be written; nothing is left then.
        ResourceError: The disk is full; nothing is left then.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name {name!r} is no name of a data set",
            "give up to 100 letters, digits, - and _, a letter or digit first",
        )
    folder = typed(str(to)) / name
    if os.path.lexists(folder):
        raise ConfigError(f"{folder} is there already", "give another --name, or remove it")
    facts: dict[str, Any] = {"format": FORMAT, "name": name}

    def parsed_now(
        member: Member, options: Mapping[str, object], parse: Callable[[], Parsed], _: Progress
    ) -> Interactions:
        events, facts["notes"] = parse()
        facts["source"] = _source(member)
        facts["read_as"] = dict(options) | {"duplicates": settings["duplicates"]}
        return events

    events = load_csv(**settings, progress=progress, read=parsed_now)
    for note in facts["notes"]:
        progress.note(note)
    return Import(folder, events, _write(folder, events, facts))


def _source(member: Member) -> dict[str, Any]:
    """What file it was: its name without its place, length and hash."""
    with member.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"file": member.path.name, "bytes": file.tell(), "sha256": digest}


def _write(folder: Path, events: Interactions, facts: dict[str, Any]) -> dict[str, Any]:
    with new_folder(folder) as part:
        files = {}
        for column, array in columnar.columns(events).items():
            files[column] = columnar.save(part / f"{column}.npy", array)._asdict()
        manifest = facts | {
            "events": len(events),
            "users": events.n_users,
            "items": events.n_items,
            "digest": events.digest(),
            "files": files,
        }
        (part / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        columnar.to_disk(part / MANIFEST)
    return manifest


def load_imported(*, path: str, check: Literal["hashes", "sizes"]) -> Interactions:
    """The events of a folder that an import wrote, mapped into memory.

    Args:
        path: The folder.
        check: "hashes" compares the SHA-256 of every file and sees that the columns belong together; "sizes"
            compares the sizes of the files only, for data of which every second of loading counts.

    Raises:
        DataError: It is no such folder, or not as it was written.
    """
    folder = typed(path)
    files = _listed(folder / MANIFEST)
    try:
        if check == "hashes":
            for name, listed in files.items():
                if _sha256(folder / f"{name}.npy") != listed["sha256"]:
                    raise ValueError(f"{name}.npy has another SHA-256 than when it was written")
        events = columnar.read(folder, {name: listed["bytes"] for name, listed in files.items()})
        if check == "hashes":
            columnar.check_codes(events)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: cannot be read: {error.strerror or error}", AGAIN
        ) from error
    except ValueError as error:
        raise DataError(f"{folder}: {error}", AGAIN) from error
    return events


def _listed(manifest: Path) -> dict[str, dict[str, Any]]:
    """The files that a manifest lists, with the length and hash of each."""
    try:
        if not manifest.is_file():
            raise DataError(
                f"{manifest.parent}: holds no {MANIFEST}",
                "name the folder that `recsys data import` wrote",
            )
        with manifest.open("rb") as file:
            told = json.loads(file.read(MAX_MANIFEST_BYTES))
        if told["format"] != FORMAT:
            raise DataError(f"{manifest}: is of format {told['format']!r}, not {FORMAT}", AGAIN)
        files = {str(name): dict(listed) for name, listed in told["files"].items()}
        if not all(columnar.is_name(name) for name in files):
            raise ValueError("a name of a column is none")
        if not all(
            type(listed["bytes"]) is int and isinstance(listed["sha256"], str)
            for listed in files.values()
        ):
            raise ValueError("a length or hash is none")
    except OSError as error:
        raise DataError(f"{manifest}: cannot be read: {error.strerror or error}", AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{manifest}: is no manifest of an import: {error}", AGAIN) from error
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""SHA-256 of files and of records, noted when they are written: what was changed since is seen, not used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "seal"


def seal(record: Mapping[str, Any]) -> str:
    """SHA-256 over all of a record but its seal; the order of keys does not count.

    Args:
        record: Names and JSON values.
    """
    body = {name: value for name, value in record.items() if name != SEAL}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its seal."""
    return {**record, SEAL: seal(record)}


def is_sealed(record: Mapping[str, Any]) -> bool:
    """Whether a record is as it was when it was sealed."""
    return record.get(SEAL) == seal(record)


def noted(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def damage(path: Path, then: Mapping[str, Any]) -> str:
    """What is wrong with a file; empty where it is as it was.

    Args:
        path: The file. What is no plain file is not opened.
        then: What `noted` said when it was written.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return "it is no plain file"
    if not path.exists():
        return "it is missing"
    size = path.stat().st_size
    if size != then.get("bytes"):
        return f"it has {size:,} bytes and was written with {then.get('bytes')}"
    try:
        now = noted(path)["sha256"]
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if now != then.get("sha256"):
        return f"it was changed: SHA-256 {now[:12]}, and {str(then.get('sha256'))[:12]} was written"
    return ""

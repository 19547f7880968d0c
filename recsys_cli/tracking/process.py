"""Which process a run belongs to, so that another one can tell later that it has died."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOST, PROCESS = "recsys.host", "recsys.process"
PROC, MACHINE = Path("/proc"), Path("/etc/machine-id")


def process_tags() -> dict[str, str]:
    """Facts that no two processes share: the host, its boot, the process id and its start.

    A process id alone is used again after a while, after every boot, and in every container. What the system does
    not tell (it has no /proc) is left out; such a run is never taken for dead.

    Returns:
        `recsys.host` and `recsys.process`, the latter as JSON: one tag, since nobody reads it.
    """
    process: dict[str, str | int] = {"pid": os.getpid()}
    start = _start(os.getpid())
    if start is not None:
        process |= _place() | {"start": start}
    return {HOST: platform.node(), PROCESS: json.dumps(process)}


def is_dead(tags: Mapping[str, str]) -> bool:
    """Whether the process of a run has certainly ended; one that could be alive, or cannot be seen from here, has not.

    Args:
        tags: Those of the run, `process_tags` among them.
    """
    try:
        process = dict(json.loads(tags[PROCESS]))
    except (KeyError, ValueError, TypeError):
        return False
    here = _place()
    if tags.get(HOST) != platform.node() or not here or {*here, "pid", "start"} - {*process}:
        return False
    if process["machine"] != here["machine"]:
        return False
    if process["boot_id"] != here["boot_id"]:
        return bool(here["machine"])
    if process["namespace"] != here["namespace"]:
        return False
    return isinstance(process["pid"], int) and _start(process["pid"]) != process["start"]


def _place() -> dict[str, str]:
    """The machine, its boot, and the container whose process ids are seen here; empty without /proc."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = str((PROC / "self/ns/pid").readlink())
    except OSError:
        return {}
    return {"machine": _machine(), "boot_id": boot, "namespace": namespace}


def _machine() -> str:
    """The machine's own number, hashed because it is not meant to be told; empty where it has none."""
    try:
        number = MACHINE.read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(b"recsys" + number).hexdigest()[:16] if number else ""


def _start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where there is none of this id."""
    try:
        told: Any = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold blanks; the start is the twenty-second.
    return int(told.rpartition(")")[2].split()[19])

"""Which process a run belongs to, so that another one can tell later that it has died."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path


def process_tags() -> dict[str, str]:
    """Facts that no two processes share: the host, its boot, the process id and its start.

    A process id alone is used again after a while, and after every boot. The boot and the start are
    left out where the system does not tell them (it has no /proc); such a run is never taken for dead.

    Returns:
        `recsys.host` and `recsys.process`, the latter as JSON: one tag, since nobody reads it.
    """
    process: dict[str, str | int] = {"pid": os.getpid()}
    boot, own = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/stat")
    if boot.exists() and own.exists():
        process["boot_id"] = boot.read_text().strip()
        # The second field is the program's name in brackets and may hold blanks; the start, in clock
        # ticks since boot, is the twenty-second.
        process["start"] = int(own.read_text().rpartition(")")[2].split()[19])
    return {"recsys.host": platform.node(), "recsys.process": json.dumps(process)}

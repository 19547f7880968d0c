"""What a run would compute with and write to: processors, memory, disks, and what the environment says about them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recsys_cli.doctor.finding import Finding
from recsys_cli.errors import ResourceError
from recsys_cli.resources import expect_room_to_start, free_on_disk, in_words, memory

SECTION = "machine"
LITTLE_MEMORY, LITTLE_DISK, NO_DISK = 1 << 30, 1 << 30, 64 << 20
# What each variable does here; those that are not listed play no part.
VARIABLES = {
    "RECSYS_DATA": "data sets are looked for in it first",
    "RECSYS_CACHE": "downloads and parsed data are kept in it",
    "RECSYS_CONFIG_DIR": "folders of configuration of your own",
    "RECSYS_ALLOW": "packages of your own whose classes settings may name",
    "OMP_NUM_THREADS": "",
    "OMP_WAIT_POLICY": "",
    "MKL_NUM_THREADS": "",
    "CUDA_VISIBLE_DEVICES": "which GPUs are seen",
    "MLFLOW_TRACKING_URI": "is not read: say tracking.uri=...",
    "MLFLOW_EXPERIMENT_NAME": "is not read: say tracking.experiment=...",
}
FOLDERS = ("RECSYS_DATA", "RECSYS_CONFIG_DIR")
UNREAD = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")


def look() -> Iterator[Finding]:
    """Processors, memory, the disk of temporary files, and the environment."""
    yield from _devices()
    yield _memory()
    yield disk(SECTION, Path(tempfile.gettempdir()), "TMPDIR=DIR")
    yield from _environment()


def _devices() -> Iterator[Finding]:
    try:
        expect_room_to_start()
        from recsys_cli import devices

        names, cores = devices.available(), devices.usable_cores()
        processor = devices.processor()
    except ResourceError as error:
        yield Finding(SECTION, "devices", str(error), "mend", error.hint)
        return
    except Exception as error:  # whatever a broken installation raises
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        command = f"{sys.executable} -m pip install --force-reinstall torch"
        yield Finding(SECTION, "devices", f"torch does not load: {reason}", "mend", command)
        return
    yield Finding(SECTION, "devices", f"{', '.join(names)}; {processor}")
    yield _threads(cores)


def _threads(cores: int) -> Finding:
    said = os.environ.get("OMP_NUM_THREADS", "")
    text = f"{cores} usable cores"
    if said.isdecimal() and int(said) > cores:
        text += f"; OMP_NUM_THREADS={said} makes threads wait for each other"
        return Finding(SECTION, "threads", text, "note", "unset OMP_NUM_THREADS")
    if os.environ.get("OMP_WAIT_POLICY", "PASSIVE").upper() == "ACTIVE":
        text += "; OMP_WAIT_POLICY=ACTIVE lets waiting threads spin, which slows down busy machines"
        return Finding(SECTION, "threads", text, "note", "unset OMP_WAIT_POLICY")
    return Finding(SECTION, "threads", text)


def _memory() -> Finding:
    there = memory()
    if there is None:
        return Finding(SECTION, "memory", "the system does not tell how much is free", "note")
    text = f"{in_words(there.free)} free in {there.bound}"
    if there.free < LITTLE_MEMORY:
        return Finding(SECTION, "memory", f"{text}: little", "note", "end other programs")
    return Finding(SECTION, "memory", text)


def disk(section: str, folder: Path, elsewhere: str) -> Finding:
    """How much room there is where a folder lies or would lie, and whether it can be written.

    Args:
        section: What is kept there.
        folder: The folder.
        elsewhere: How to name another.
    """
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    except (OSError, StopIteration):
        text = f"{folder}: there is no such place"
        return Finding(section, "disk", text, "mend", f"name another: {elsewhere}")
    free = free_on_disk(there)
    text = f"{folder}: {'unknown room' if free is None else f'{in_words(free)} free'}"
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"{folder}: {there} cannot be written"
        return Finding(section, "disk", text, "mend", f"name another: {elsewhere}")
    if free is not None and free < NO_DISK:
        return Finding(section, "disk", text, "mend", f"make room, or {elsewhere}")
    if free is not None and free < LITTLE_DISK:
        return Finding(section, "disk", f"{text}: little", "note")
    return Finding(section, "disk", text)


def _environment() -> Iterator[Finding]:
    for name, meaning in VARIABLES.items():
        if (value := os.environ.get(name)) is None:
            continue
        shown = f"{value} ({meaning})" if meaning else value
        if name in FOLDERS and (missing := _missing(name, value)):
            text = f"{value}: {missing} is no folder"
            yield Finding(SECTION, name, text, "mend", f"unset {name}")
        else:
            yield Finding(SECTION, name, shown, "note" if name in UNREAD else "ok")
    if not os.environ.get("HOME"):
        yield Finding(SECTION, "HOME", "is not set", "note")


def _missing(name: str, value: str) -> str:
    """The first folder of a variable that is not there."""
    named = [value] if name == "RECSYS_DATA" else value.split(os.pathsep)
    return next((part for part in named if part and not Path(part).expanduser().is_dir()), "")

"""This program and what it stands on: versions against their floors, and other programs of the same name."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from recsys_cli import __version__
from recsys_cli.doctor.finding import Finding

DISTRIBUTION, COMMAND, OURS = "recsys-cli", "recsys", b"recsys_cli"
FIRST_BYTES = 4096  # of a command, enough for the few lines of a script
SECTION = "program"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(?:\[[^\]]*\])?\s*(?P<bounds>[^;]*)$")
_BOUND = re.compile(r"(?P<how>>=|<=|==|!=|<|>|~=)\s*(?P<version>[\w.+!-]+)")


def look() -> Iterator[Finding]:
    """The program, its packages, and what else answers to its name."""
    yield Finding(SECTION, "version", f"{__version__}, in {Path(__file__).parents[1]}")
    yield Finding(SECTION, "python", f"{platform.python_version()}, {sys.executable}")
    yield from _packages()
    yield from _commands()


def _packages() -> Iterator[Finding]:
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        text = "not installed, so the versions that it needs are not known"
        yield Finding(SECTION, DISTRIBUTION, text, "note")
        return
    for line in required:
        parts = _REQUIREMENT.match(line)
        if parts is not None and "extra" not in line:
            yield _package(parts["name"], parts["bounds"].strip().strip("()"))


def _package(name: str, bounds: str) -> Finding:
    command = f"{shlex.quote(sys.executable)} -m pip install {shlex.quote(name + bounds)}"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(SECTION, name, f"is not installed; needs {bounds}", "mend", command)
    if within(version, bounds):
        return Finding(SECTION, name, f"{version} ({bounds})" if bounds else version)
    return Finding(SECTION, name, f"{version} is not {bounds}", "mend", command)


def within(version: str, bounds: str) -> bool:
    """Whether a version lies in bounds such as `>=1.3.8,<1.4`, by its numbers: a release candidate counts as its release."""
    have = _numbers(version)
    for bound in _BOUND.finditer(bounds):
        wanted = _numbers(bound["version"])
        right = {
            ">=": have >= wanted,
            "~=": have >= wanted and have[: len(wanted) - 1] == wanted[:-1],
            ">": have > wanted,
            "<": have < wanted,
            "<=": have <= wanted,
            "==": have[: len(wanted)] == wanted,
            "!=": have != wanted,
        }
        if not right[bound["how"]]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    """2.13.0+cpu -> (2, 13), so that 2.13 and 2.13.0 are equal."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[+!a-z-]", version)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _commands() -> Iterator[Finding]:
    """All programs called `recsys` on the path, since another package installs one too."""
    found = list(_on_path())
    foreign = [path for path in found if not _is_ours(path)]
    ours = [path for path in found if path not in foreign]
    if not found:
        yield Finding(
            SECTION, "command", f"no {COMMAND} on the PATH: this is {sys.argv[0]}", "note"
        )
    for path in ours:
        yield Finding(SECTION, "command", str(path))
    for path in foreign:
        text = f"{path} is another program of the same name"
        if path == found[0] and ours:
            command = f"export PATH={shlex.quote(str(ours[0].parent))}:$PATH"
            yield Finding(SECTION, "command", f"{text}, and comes first", "mend", command)
        elif path == found[0]:
            command = f"call this one as {shlex.quote(sys.executable)} -m recsys_cli"
            yield Finding(SECTION, "command", f"{text}, and the only one", "note", command)
        else:
            yield Finding(SECTION, "command", f"{text}, and comes later", "note")


def _on_path() -> Iterator[Path]:
    seen = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder or ".") / COMMAND
        if path.is_file() and os.access(path, os.X_OK) and (real := path.resolve()) not in seen:
            seen.add(real)
            yield path


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return OURS in file.read(FIRST_BYTES)
    except OSError:
        return False

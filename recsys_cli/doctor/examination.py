"""The whole examination: each part is looked at even where another cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from recsys_cli.doctor.finding import Finding

Look = Callable[[], Iterator[Finding]]


def examine(*, root: Path, uri: str | None = None, deep: bool = False) -> list[Finding]:
    """All that was found, in the order in which it is read. Nothing is written or created.

    Args:
        root: Folder of the runs.
        uri: Tracking URI; None for the database in `root`.
        deep: Take the time to check large files to their end.
    """
    looks: dict[str, Look] = {
        "program": _packages,
        "machine": _machine,
        "store": partial(_store, uri, root, deep=deep),
        "runs": partial(_runs, root),
        "cache": partial(_cache, deep=deep),
    }
    return [finding for section, look in looks.items() for finding in _tried(section, look)]


def _tried(section: str, look: Look) -> Iterator[Finding]:
    """What a part gives; where it breaks off, how."""
    try:
        yield from look()
    except Exception as error:  # a doctor must not be ill itself
        reason = " ".join(str(error).split()) or type(error).__name__
        again = "install the package again that does not load"
        command = again if isinstance(error, ImportError) else ""
        yield Finding(section, "examination", f"could not go on: {reason}", "mend", command)


# Loaded one by one, so that a package that does not load spoils its own part only.


def _packages() -> Iterator[Finding]:
    from recsys_cli.doctor import packages

    yield from packages.look()


def _machine() -> Iterator[Finding]:
    from recsys_cli.doctor import machine

    yield from machine.look()


def _store(uri: str | None, root: Path, *, deep: bool) -> Iterator[Finding]:
    from recsys_cli.doctor import store

    yield from store.look(uri, root, deep=deep)


def _runs(root: Path) -> Iterator[Finding]:
    from recsys_cli.doctor import runs

    yield from runs.look(root)


def _cache(*, deep: bool) -> Iterator[Finding]:
    from recsys_cli.doctor import cache

    yield from cache.look(deep=deep)

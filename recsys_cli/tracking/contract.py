"""The four things that an experiment says to whoever writes it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker(Protocol):
    """A place where one run is recorded. Nothing is on the hot path: implementations buffer metrics."""

    def start(
        self,
        *,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        dataset: Mapping[str, str] | None = None,
        parent_id: str | None = None,
        run_id: str | None = None,
        folder: Path | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> str:
        """Open a run and return its id.

        Args:
            name: Shown to people; never used as a path.
            params: Flat settings.
            tags: Facts about the run: hashes, versions, device.
            dataset: `name`, `digest`, `source` and `profile` (JSON text) of the data.
            parent_id: The run that this one is a part of.
            run_id: A run of a process that died or stopped: it is opened again and keeps its settings, and
                those of its parts that never ended are closed as killed. Where it is gone a new run is made.
            folder: That of the run's files, where what is told is kept too; None = it has none. A run that has begun
                in it is gone on with.
            warn: Is told, in a line, when the place fails and what is told is kept in the folder only; None = it
                is written to standard error.
        """
        ...

    def metrics(
        self, values: Mapping[str, float], step: int = 0, time_ms: int | None = None
    ) -> None:
        """Note numbers of this step; keys like `valid_ndcg_at_10`, values finite.

        Args:
            values: Numbers by key.
            step: The epoch, or the place in another order.
            time_ms: When they were measured, in milliseconds since 1970; None = now. The same number of the same
                step and moment is kept once, however often it is noted.
        """
        ...

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file with the run."""
        ...

    def finish(self, status: Status = "FINISHED") -> None:
        """Write out what is pending and close the run."""
        ...

    @property
    def location(self) -> str:
        """Where the runs are, for people; after a run that is not there yet, how to deliver it; empty where nothing is kept."""
        ...

    @property
    def how_to_open(self) -> str:
        """The command that shows the runs; empty where nothing is kept."""
        ...


def keep_texts(tracker: Tracker, texts: Mapping[str, str]) -> None:
    """Keep files that are made for the run only: what each holds, by its name."""
    with TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            tracker.artifact(path)


class NoTracker:
    """Keeps nothing (`tracking=none`)."""

    location = ""
    how_to_open = ""

    def start(
        self,
        *,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        dataset: Mapping[str, str] | None = None,
        parent_id: str | None = None,
        run_id: str | None = None,
        folder: Path | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> str:
        """Return an empty id."""
        return ""

    def metrics(
        self, values: Mapping[str, float], step: int = 0, time_ms: int | None = None
    ) -> None:
        """Do nothing."""

    def artifact(self, path: Path) -> None:
        """Do nothing."""

    def finish(self, status: Status = "FINISHED") -> None:
        """Do nothing."""

"""Runs recorded with MLflow, or kept until they can be.

What is told of a run stands in its events, on disk, before MLflow is told of it, and a thread does the telling: a
server or database that is away, hangs or breaks stops no training and loses nothing. MLflow's client is used rather
than its global "active run", so that a parent and its children can be open in one process.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from recsys_cli.errors import DivergedError, RecsysError, TrackingError
from recsys_cli.redact import redact
from recsys_cli.tracking.contract import Status
from recsys_cli.tracking.delivery import Delivery, close_dead
from recsys_cli.tracking.description import dataset_of, params_of, reason, tags_of
from recsys_cli.tracking.events import LOCAL, PENDING, Events, new_key
from recsys_cli.tracking.opening import import_mlflow, open_store
from recsys_cli.tracking.process import process_tags
from recsys_cli.tracking.sender import LOCAL_PATIENCE_SECONDS, PATIENCE_SECONDS, Condition, Sender
from recsys_cli.tracking.store import DEFAULT_ROOT, AwayError, Store, expect_writable, locate


class MlflowTracker:
    """Records one run after another in an MLflow store.

    Args:
        uri: Tracking URI; None for a SQLite database in `root`.
        root: Folder of the database and of the files of runs, relative to the working folder.
        experiment: The MLflow experiment that lists the runs.
        flush_seconds: Metrics are written at most this often, and when the run ends.
    """

    def __init__(
        self,
        *,
        uri: str | None,
        root: str,
        experiment: Annotated[str, MinLen(1), MaxLen(500)],
        flush_seconds: Annotated[float, Ge(0), Le(3600)],
    ) -> None:
        self._store = locate(uri, root)
        self._root = root
        self._uri = uri
        self._experiment = experiment
        self._flush_seconds = flush_seconds
        self._condition = Condition.of(self._store.uri)
        self._warn: Callable[[str], object] = _to_standard_error
        self._events: Events | None = None
        self._sender: Sender | None = None
        self._pending = ""

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
        """Open a run and return its id: a key of ours where the store has not answered.

        The tags `description` and `command` are what MLflow shows as the run's description and source.

        Raises:
            TrackingError: The database is broken, or will never take such a run.
            ConfigError: The experiment has been deleted, or the run is under way in another process.
        """
        if self._events is not None:
            raise RuntimeError(f"run {self._events.start['key']} is still open")
        self._warn, self._pending = warn or _to_standard_error, ""
        _look_at(self._store, self._condition)
        events = Events(self._own_folder() if folder is None else folder)
        if new := not events.begun:
            key = new_key()
            events.add(
                "start",
                key=key,
                name=name,
                params=params_of(params),
                tags=tags_of(tags, key),
                dataset=None if dataset is None else dataset_of(dataset),
                parent=parent_id,
                alone=folder is None,
                experiment=self._experiment,
                **self._place(),
            )
        known = new and run_id is not None and not run_id.startswith(LOCAL)
        if known:
            events.add("created", run_id=run_id)
        if known or not new:
            events.add("resume", process=process_tags(), **self._place())
        self._send(events, parent_id, new=new)
        return events.run_id or str(events.start["key"])

    def _send(self, events: Events, parent_id: str | None, *, new: bool) -> None:
        """Begin to tell the store; where it refuses the run, nothing of it is left."""
        delivery = Delivery(events, self._store, None if parent_id else close_dead)
        sender = Sender(
            delivery,
            self._condition,
            seconds=self._flush_seconds,
            patience=PATIENCE_SECONDS if self._store.database is None else LOCAL_PATIENCE_SECONDS,
            last=events.close,
        )
        self._events, self._sender = events, sender
        try:
            sender.start()
        except BaseException:
            self.finish("KILLED")
            raise
        if sender.refusal is not None:
            self._events = self._sender = None
            self._condition.failure = ""
            if new:
                events.discard()
            raise sender.refusal
        self._tell_of_failure()

    def _place(self) -> dict[str, Any]:
        """Where the run is to go, for whoever delivers it later."""
        uri = None if self._uri is None else redact(self._uri)
        return {"uri": uri, "root": str(Path(self._root).absolute())}

    def _own_folder(self) -> Path:
        """A folder for a run that has none."""
        folder = Path(self._root).absolute() / PENDING / new_key()
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise TrackingError(
                f"{folder}: cannot be made: {error.strerror}",
                "give another folder as root=DIR, or tracking=none",
            ) from error
        return folder

    def metrics(
        self, values: Mapping[str, float], step: int = 0, time_ms: int | None = None
    ) -> None:
        """Note numbers of this step; they are sent within `flush_seconds`.

        Raises:
            DivergedError: A value is not a finite number.
            ResourceError: They cannot be kept: the disk is full, or fails.
        """
        events, sender = self._open_run()
        for key, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"metric {key} at step {step} is {float(value)}, expected a finite number",
                    "lower the learning rate or look for such values in the data",
                )
        if values:
            numbers = {key: float(value) for key, value in values.items()}
            events.add_metrics(numbers, step, time_ms)
            sender.wake()
        self._tell_of_failure()

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file with the run."""
        events, sender = self._open_run()
        events.keep(path)
        sender.wake()
        self._tell_of_failure()

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run and send what is left; nothing happens where none is open."""
        if self._events is None:
            return
        events, sender = self._open_run()
        try:
            events.add("finish", status=status)
        finally:
            sender.close()
            if not events.delivered:
                self._pending = self._how_to_deliver(events)
            self._tell_of_failure()
            self._events = self._sender = None

    def _open_run(self) -> tuple[Events, Sender]:
        if self._events is None or self._sender is None:
            raise RuntimeError("no run is open: call start() first")
        return self._events, self._sender

    def _tell_of_failure(self) -> None:
        """Say once that the store fails, what becomes of the numbers, and what to do."""
        if self._condition.failure and not self._condition.told and self._events is not None:
            self._condition.told = True
            self._warn(
                f"warning: cannot write to the tracking store {self._store.shown}: {self._condition.failure}; "
                f"all goes on and is kept in {self._events.path}; deliver it later with: "
                f"{self._how_to_deliver(self._events)}"
            )

    def _how_to_deliver(self, events: Events) -> str:
        if not events.start["alone"]:
            return f"recsys sync {quote(str(events.folder))}"
        return "recsys sync" + (
            "" if self._root == DEFAULT_ROOT else f" --root {quote(self._root)}"
        )

    @property
    def location(self) -> str:
        """The database file, or the URI of the server without credentials; after a run that it was not told all of, how to tell it."""
        if self._pending:
            return f"pending, for {self._store.shown}: {self._pending}"
        return self._store.shown

    @property
    def how_to_open(self) -> str:
        """The command that shows the runs; for a server its address."""
        if self._store.artifacts is None:
            return self._store.shown
        if self._uri is not None:
            return f"recsys ui --uri {quote(redact(self._uri))}"
        return (
            "recsys ui" if self._root == DEFAULT_ROOT else f"recsys ui --root {quote(self._root)}"
        )


def _look_at(store: Store, condition: Condition) -> None:
    """Create or check a local database before anything else is written; a server is only met by the thread.

    Raises:
        TrackingError: The database is broken, or cannot be created.
    """
    import_mlflow()
    if store.database is None or condition.failure:
        return
    try:
        open_store(store)
        expect_writable(store.database)
    except AwayError as error:
        condition.failure = reason(error)
    except RecsysError:
        raise
    except Exception as error:  # whatever MLflow and SQLAlchemy raise
        condition.failure = reason(error)


def _to_standard_error(text: str) -> None:
    sys.stderr.write(f"{text}\n")

"""The events of a run, told to MLflow: in order, as often as it takes, with nothing there twice in the end.

MLflow keeps the same number of the same key, step and moment once. A run is found again by its id or by its key, so
it is not made twice, and settings that are there are not written again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from recsys_cli.errors import TrackingError
from recsys_cli.tracking.description import KEY, PARENT, reason
from recsys_cli.tracking.events import LOCAL, NOTES, Events
from recsys_cli.tracking.lines import Entry
from recsys_cli.tracking.opening import experiment_of, open_store
from recsys_cli.tracking.process import HOST, PROCESS, is_dead, process_tags
from recsys_cli.tracking.store import Store, expect_writable

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

# What one call to MLflow takes.
METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100

Told = TypeVar("Told")


class RefusedError(TrackingError):
    """The store is well and will never take what it is told."""


class Delivery:
    """How far a store has been told of a run.

    Attributes:
        steps: How many calls to the store came back; it grows while there is progress.
        sending: Bytes of the file that is being copied now; 0 = none.

    Args:
        events: Those of the run.
        store: Where they go.
        beside: Called with the store and the id of the experiment when the run is about to be known.
    """

    def __init__(
        self,
        events: Events,
        store: Store,
        beside: Callable[[MlflowClient, str], object] | None = None,
    ) -> None:
        self.steps = 0
        self.sending = 0
        self._events = events
        self._store = store
        self._beside = beside
        self._told = 0
        self._opening = len(events.entries)
        self._run_id = ""

    @property
    def started(self) -> bool:
        """Whether the store knows all that was there at the beginning: the run, its settings, that it is resumed."""
        return self._told >= self._opening

    @property
    def complete(self) -> bool:
        """Whether the store has been told all that there is so far."""
        return not self._contents(self._told)

    def advance(self) -> None:
        """Tell all that the store has not been told; where that fails, the next call goes on from there.

        Raises:
            Exception: Whatever MLflow raises.
            RecsysError: The store cannot be opened.
        """
        if self.complete:
            return
        client = open_store(self._store)
        while not self.complete:
            entry = self._events.entries[self._told]
            match entry["kind"]:
                case "start":
                    self._told = self._start(client, entry)
                    continue
                case "metrics":
                    self._told += self._tell_metrics(client)
                    continue
                case "resume":
                    self._resume(client, entry)
                case "artifact":
                    self._copy(client, entry)
                case "finish":
                    self._step(
                        client.set_terminated, self._run_id, entry["status"], entry["time_ms"]
                    )
            self._told += 1
        if self._contents(self._events.told, self._told):
            self._events.add("told", events=self._told)

    def _contents(self, first: int, end: int | None = None) -> bool:
        """Whether there is something to tell among these events."""
        return any(entry["kind"] not in NOTES for entry in self._events.entries[first:end])

    def _step(self, call: Callable[..., Told], *given: Any, **named: Any) -> Told:
        """Call the store, and count it; MLflow would wait at each call for a database that is locked."""
        if self._store.database is not None:
            expect_writable(self._store.database)
        found = call(*given, **named)
        self.steps += 1
        return found

    def _start(self, client: MlflowClient, start: Entry) -> int:
        """Make the run, or find the one that was made, and write what it lacks; how many events it then has."""
        from mlflow.exceptions import MlflowException

        experiment_id = self._step(
            experiment_of, client, start["experiment"], self._store
        ).experiment_id
        run = self._found(client, experiment_id) or self._made(client, experiment_id, start)
        self._run_id = run.info.run_id
        if self._events.run_id != self._run_id:
            self._events.add("created", run_id=self._run_id)
        try:
            self._describe(client, start, {*run.data.params})
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            self._step(client.set_terminated, self._run_id, "FAILED")
            raise RefusedError(
                f"cannot describe the run to {self._store.shown}: {reason(error)}"
            ) from error
        if self._beside is not None:
            self._step(self._beside, client, experiment_id)
        return max(self._events.told, 1)

    def _describe(self, client: MlflowClient, start: Entry, known: set[str]) -> None:
        """Write the settings that are not known yet, and the data."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param
        from mlflow.exceptions import MlflowException

        lacking = [Param(key, text) for key, text in start["params"].items() if key not in known]
        for first in range(0, len(lacking), PARAMS_PER_CALL):
            chunk = lacking[first : first + PARAMS_PER_CALL]
            self._step(client.log_batch, self._run_id, params=chunk)
        if start["dataset"] is not None:
            context = InputTag("mlflow.data.context", "training")
            inputs = [DatasetInput(Dataset(**start["dataset"]), [context])]
            try:
                self._step(client.log_inputs, self._run_id, datasets=inputs)
            except MlflowException:
                # Another process may have noted the same data first; it is there now, and found.
                self._step(client.log_inputs, self._run_id, datasets=inputs)

    def _found(self, client: MlflowClient, experiment_id: str) -> Run | None:
        """The run that an earlier attempt made; None where there was none, or it is gone."""
        from mlflow.exceptions import MlflowException

        if self._events.run_id is not None:
            try:
                return self._step(client.get_run, self._events.run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        return self._step(_by_key, client, experiment_id, self._events.start["key"])

    def _made(self, client: MlflowClient, experiment_id: str, start: Entry) -> Run:
        tags = dict(start["tags"])
        if start["parent"]:
            tags[PARENT] = self._parent(client, experiment_id, start["parent"])
        return self._step(
            client.create_run, experiment_id, start["time_ms"], tags, run_name=start["name"]
        )

    def _parent(self, client: MlflowClient, experiment_id: str, parent: str) -> str:
        """The id of the parent, which may have gone by its key when the run began."""
        if not parent.startswith(LOCAL):
            return parent
        found = self._step(_by_key, client, experiment_id, parent)
        if found is None:
            raise TrackingError(f"the run {parent}, which this one is a part of, is not there yet")
        return str(found.info.run_id)

    def _resume(self, client: MlflowClient, entry: Entry) -> None:
        """Set the run to running in its new process, and close the parts that the old one left open."""
        # The process comes first: whoever looks in between must not take the run for a dead one.
        for name in (HOST, PROCESS):
            self._step(client.set_tag, self._run_id, name, entry["process"].get(name, ""))
        self._step(client.update_run, self._run_id, status="RUNNING")
        run = self._step(client.get_run, self._run_id)
        parts = f"tags.`{PARENT}` = '{self._run_id}' and attributes.status = 'RUNNING'"
        for part in self._step(client.search_runs, [run.info.experiment_id], parts):
            self._step(client.set_terminated, part.info.run_id, "KILLED")

    def _tell_metrics(self, client: MlflowClient) -> int:
        """Send the numbers that stand next, at most so many as a call takes; of how many events they are."""
        from mlflow.entities import Metric

        ahead = takewhile(
            lambda entry: entry["kind"] == "metrics", self._events.entries[self._told :]
        )
        batch: list[Metric] = []
        events = 0
        for entry in ahead:
            numbers = [
                Metric(key, value, entry["time_ms"], entry["step"])
                for key, value in entry["values"].items()
            ]
            if batch and len(batch) + len(numbers) > METRICS_PER_CALL:
                break
            batch += numbers
            events += 1
        for first in range(0, len(batch), METRICS_PER_CALL):
            chunk = batch[first : first + METRICS_PER_CALL]
            self._step(client.log_batch, self._run_id, metrics=chunk)
        return events

    def _copy(self, client: MlflowClient, entry: Entry) -> None:
        path = self._events.folder / entry["path"]
        if not path.is_file():
            raise TrackingError(f"{path}: the file is to be copied to the store and is gone")
        self.sending = path.stat().st_size
        try:
            self._step(client.log_artifact, self._run_id, str(path))
        finally:
            self.sending = 0


def close_dead(client: MlflowClient, experiment_id: str) -> list[str]:
    """Close as killed the running runs of an experiment whose process on this machine has died; their ids."""
    host = process_tags()[HOST].replace("'", "")
    running = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{host}'"
    closed = []
    for run in client.search_runs([experiment_id], running):
        # Looked at once more: it may have been gone on with in the meantime.
        if is_dead(run.data.tags) and is_dead(client.get_run(run.info.run_id).data.tags):
            client.set_terminated(run.info.run_id, "KILLED")
            closed.append(str(run.info.run_id))
    return closed


def _by_key(client: MlflowClient, experiment_id: str, key: str) -> Run | None:
    """The run of this key; None where there is none."""
    return next(iter(client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'")), None)

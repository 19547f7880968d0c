"""Runs recorded with MLflow: the only place that imports it, and only when a run starts.

The client interface is used rather than MLflow's global "active run", so that a parent and its
children can be open in one process. Metrics wait in memory and go out in one call at most every few
seconds, because a call costs milliseconds and an epoch may be as short as a tenth of a second.
"""

from __future__ import annotations

import getpass
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from recsys_cli.errors import ConfigError, DivergedError, RecsysError, TrackingError
from recsys_cli.tracking.contract import Status
from recsys_cli.tracking.process import process_tags
from recsys_cli.tracking.store import DEFAULT_ROOT, Store, ensure_database, locate, redact

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Metric
    from mlflow.tracking import MlflowClient

# What one call to MLflow takes, and the longest values it keeps.
METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100
PARAM_CHARACTERS = 6000
TAG_CHARACTERS = 8000
# MLflow keeps 36 characters of a data set's digest; its tables have room for about these.
DIGEST_CHARACTERS = 12
# Tells MLflow's pages that the experiment is about training, not about chats.
KIND = "custom_model_development"


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
        self._client: MlflowClient | None = None
        self._run_id = ""
        self._waiting: list[Metric] = []
        self._flushed_at = 0.0

    def start(
        self,
        *,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        dataset: Mapping[str, str] | None = None,
        parent_id: str | None = None,
        run_id: str | None = None,
    ) -> str:
        """Open a run and return its id.

        The tags `description` and `command` are what MLflow shows as the run's description and source.

        Raises:
            TrackingError: The store cannot be reached or is broken.
            ConfigError: The experiment has been deleted.
        """
        if self._run_id:
            raise RuntimeError(f"run {self._run_id} is still open")
        _import_mlflow()
        with self._reporting("open"):
            self._client = open_store(self._store)
            experiment = _experiment(self._client, self._experiment, self._store)
            if run_id and _reopen(self._client, run_id, str(experiment.experiment_id)):
                self._run_id, self._flushed_at = run_id, time.monotonic()
                return run_id
            run = self._client.create_run(
                experiment.experiment_id, run_name=name, tags=_tags(tags, parent_id)
            )
            self._run_id = str(run.info.run_id)
            self._flushed_at = time.monotonic()
            try:
                self._describe(params, dataset)
            except BaseException:
                with suppress(RecsysError):
                    self.finish("FAILED")
                raise
        return self._run_id

    def _describe(self, params: Mapping[str, Any], dataset: Mapping[str, str] | None) -> None:
        """Write the settings and the data of the run that was just opened."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        client = self._open_client()
        entries = [Param(key, _short(_text(v), PARAM_CHARACTERS)) for key, v in params.items()]
        for first in range(0, len(entries), PARAMS_PER_CALL):
            chunk = entries[first : first + PARAMS_PER_CALL]
            client.log_batch(self._run_id, params=chunk)
        if dataset is not None:
            source = redact(dataset["source"])
            is_url = source.startswith(("http://", "https://"))
            entity = Dataset(
                name=dataset["name"],
                digest=dataset["digest"][:DIGEST_CHARACTERS],
                source_type="http" if is_url else "local",
                source=json.dumps({"url" if is_url else "uri": source}),
                profile=dataset["profile"],
            )
            context = InputTag("mlflow.data.context", "training")
            client.log_inputs(self._run_id, datasets=[DatasetInput(entity, [context])])

    def metrics(
        self, values: Mapping[str, float], step: int = 0, time_ms: int | None = None
    ) -> None:
        """Note numbers of this step; they are written within `flush_seconds` of the next note.

        Raises:
            DivergedError: A value is not a finite number.
            TrackingError: They could not be written.
        """
        from mlflow.entities import Metric

        self._open_client()
        moment = int(time.time() * 1000) if time_ms is None else time_ms
        for key, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"metric {key} at step {step} is {float(value)}, expected a finite number",
                    "lower the learning rate or look for such values in the data",
                )
            self._waiting.append(Metric(key, float(value), moment, step))
        if time.monotonic() - self._flushed_at >= self._flush_seconds:
            self._flush()

    def _flush(self) -> None:
        """Write the metrics that wait."""
        client = self._open_client()
        with self._reporting("write metrics to"):
            while self._waiting:
                client.log_batch(self._run_id, metrics=self._waiting[:METRICS_PER_CALL])
                del self._waiting[:METRICS_PER_CALL]
        self._flushed_at = time.monotonic()

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file with the run."""
        client = self._open_client()
        with self._reporting(f"copy {path} to"):
            client.log_artifact(self._run_id, str(path))

    def finish(self, status: Status = "FINISHED") -> None:
        """Write out what is pending and close the run; nothing happens where none is open.

        Raises:
            TrackingError: Something could not be written; the run is then closed as FAILED.
        """
        if not self._run_id:
            return
        client, run_id = self._open_client(), self._run_id
        try:
            self._flush()
        except BaseException:
            status = "FAILED"
            raise
        finally:
            self._run_id, self._waiting = "", []
            with self._reporting("close the run in"):
                client.set_terminated(run_id, status)

    def _open_client(self) -> MlflowClient:
        if self._client is None or not self._run_id:
            raise RuntimeError("no run is open: call start() first")
        return self._client

    @contextmanager
    def _reporting(self, action: str) -> Iterator[None]:
        """Turn whatever MLflow raises into one line that names the store and hides credentials."""
        try:
            yield
        except RecsysError:
            raise
        except Exception as error:
            raise TrackingError(
                f"cannot {action} the tracking store {self._store.shown}: {_reason(error)}",
                "check that it is there and can be written, or use tracking=none",
            ) from error

    @property
    def location(self) -> str:
        """The database file, or the URI of the server without credentials."""
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


def open_store(store: Store) -> MlflowClient:
    """The one way to a store: a local database is created safely, or checked, before MLflow sees it.

    Raises:
        TrackingError: The database is broken or of another MLflow version.
    """
    _import_mlflow()
    from mlflow.tracking import MlflowClient

    if store.database is not None:
        from mlflow.store.db.utils import _get_latest_schema_revision

        schema = _get_latest_schema_revision()  # type: ignore[no-untyped-call]  # MLflow's
        ensure_database(store.database, migrate=_migrate, schema=schema)
    return MlflowClient(tracking_uri=store.uri)


def _import_mlflow() -> None:
    """Import MLflow as this program wants it: quiet, impatient, and deaf to pickles."""
    # Read by MLflow while it is imported. A server that hangs may cost seconds, not minutes.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    import mlflow.tracking  # noqa: F401  # here, after the environment and before the loggers

    # MLflow tells of each migration and each retry. Its database errors it raises as well as prints.
    for name in ("alembic", "mlflow", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _migrate(draft: Path) -> None:
    """Let MLflow create its tables in an empty file."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    artifacts = (draft.parent / "artifacts").as_uri()
    store = SqlAlchemyStore(f"sqlite:///{draft}", artifacts)  # type: ignore[no-untyped-call]  # MLflow's
    store.engine.dispose()


def _experiment(client: MlflowClient, name: str, store: Store) -> Experiment:
    """The experiment of this name, created where it is new."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            new = client.create_experiment(name, store.artifacts, {"mlflow.experimentKind": KIND})
            return client.get_experiment(new)
        except MlflowException:
            # Another process may have created it first; then the one that it made is ours too.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise ConfigError(
            f"tracking.experiment={name}: this experiment was deleted in {store.shown}",
            f"choose another name, or run: MLFLOW_TRACKING_URI={quote(redact(store.uri))} "
            f"mlflow experiments restore -x {experiment.experiment_id}",
        )
    return experiment


def _reopen(client: MlflowClient, run_id: str, experiment_id: str) -> bool:
    """Set a run to running again and close its parts that a dead process left open; False where it is gone."""
    from mlflow.exceptions import MlflowException

    parts = f"tags.`mlflow.parentRunId` = '{run_id}' and attributes.status = 'RUNNING'"
    try:
        client.update_run(run_id, status="RUNNING")
        for part in client.search_runs([experiment_id], parts):
            client.set_terminated(part.info.run_id, "KILLED")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def _tags(tags: Mapping[str, str], parent_id: str | None) -> dict[str, str]:
    """All tags of a new run, MLflow's own among them."""
    own = {"mlflow.source.name": "recsys", "mlflow.source.type": "LOCAL", **process_tags()}
    with suppress(KeyError, OSError):  # a user without a name, as in some containers
        own["mlflow.user"] = getpass.getuser()
    if parent_id is not None:
        own["mlflow.parentRunId"] = parent_id
    meant = {"description": "mlflow.note.content", "command": "mlflow.source.name"}
    own.update({meant.get(key, key): value for key, value in tags.items()})
    return {key: _short(redact(value), TAG_CHARACTERS) for key, value in own.items()}


def _reason(error: Exception) -> str:
    """What went wrong, in one line without credentials: the database's or the socket's own words."""
    own = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
    line = next(iter(redact(str(own)).splitlines()), type(own).__name__)
    return _short(line.partition("(Caused by ")[2] or line, 300)


def _text(value: object) -> str:
    """A setting as it is written in YAML and on the command line: null, true, 0.01, [1, 2], text."""
    return redact(value if isinstance(value, str) else json.dumps(value, default=str))


def _short(text: str, limit: int) -> str:
    """The text, or its beginning with a visible mark of how much was left out."""
    if len(text) <= limit:
        return text
    mark = f"... (cut, {len(text)} characters)"
    return text[: limit - len(mark)] + mark

"""The one way to a store of MLflow: a local database is whole before MLflow sees it, and MLflow comes up tame."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from recsys_cli.errors import ConfigError, TrackingError
from recsys_cli.redact import redact
from recsys_cli.tracking.store import AwayError, Store, ensure_database

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

# Tells MLflow's pages that the experiment is about training, not about chats.
KIND = "custom_model_development"
# The file that each database was when this process first opened it: MLflow goes on writing to that one.
_OPENED: dict[Path, int] = {}


def open_store(store: Store) -> MlflowClient:
    """A client of the store; a local database is created safely, or checked, first.

    Raises:
        AwayError: The database is locked, or was whole when this process first opened it and is not any more.
        TrackingError: It is broken, of another MLflow version, or cannot be created.
    """
    import_mlflow()
    from mlflow.tracking import MlflowClient

    if store.database is not None:
        from mlflow.store.db.utils import _get_latest_schema_revision

        _expect_same(store.database)
        schema = _get_latest_schema_revision()  # type: ignore[no-untyped-call]  # MLflow's
        try:
            ensure_database(store.database, migrate=_migrate, schema=schema)
        except TrackingError as error:
            if store.database not in _OPENED:
                raise
            raise AwayError(str(error), error.hint) from error
        _OPENED.setdefault(store.database, store.database.stat().st_ino)
    return MlflowClient(tracking_uri=store.uri)


def import_mlflow() -> None:
    """Import MLflow as this program wants it: quiet, impatient, and deaf to pickles."""
    # Read by MLflow while it is imported. What fails is tried again by us, never inside a call.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    import mlflow.tracking  # noqa: F401  # here, after the environment and before the loggers

    # MLflow tells of each migration and each retry. Its database errors it raises as well as prints.
    for name in ("alembic", "mlflow", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def experiment_of(client: MlflowClient, name: str, store: Store) -> Experiment:
    """The experiment of this name, created where it is new.

    Raises:
        ConfigError: It has been deleted.
        AwayError: Whatever answers is no MLflow.
    """
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
    if not experiment.experiment_id:
        raise AwayError(f"{store.shown} does not answer as MLflow does")
    if experiment.lifecycle_stage != "active":
        raise ConfigError(
            f"tracking.experiment={name}: this experiment was deleted in {store.shown}",
            f"choose another name, or run: MLFLOW_TRACKING_URI={quote(redact(store.uri))} "
            f"mlflow experiments restore -x {experiment.experiment_id}",
        )
    return experiment


def _expect_same(database: Path) -> None:
    """Refuse a file that took the place of the one that MLflow has open here: what it writes would be lost."""
    opened = _OPENED.get(database)
    if opened is not None and (not database.exists() or database.stat().st_ino != opened):
        raise AwayError(
            f"{database} was moved away or replaced", "put it back, or let this process end"
        )


def _migrate(draft: Path) -> None:
    """Let MLflow create its tables in an empty file."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    artifacts = (draft.parent / "artifacts").as_uri()
    store = SqlAlchemyStore(f"sqlite:///{draft}", artifacts)  # type: ignore[no-untyped-call]  # MLflow's
    store.engine.dispose()

"""Evaluation of predicted values: a model says what each held-out event's value is, and is told how far off it was.

Every event of the part counts once, also of users and items that training never saw; numbers without those are
called `warm_...` and are there only where the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError, ModelError
from recsys_cli.evaluation.scoring import evaluating
from recsys_cli.evaluation.values import BY_VALUES
from recsys_cli.evaluation.values_protocol import ValuesProtocol
from recsys_cli.models.contract import Model, Predicts
from recsys_cli.progress import Progress, Silent

SILENT = Silent()
EVENTS_AT_ONCE = 1 << 16

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What an evaluation of values found.

    Attributes:
        predicted: Of each event of the part, in its order, within the protocol's limits.
        users: Codes of the users who have an event, ascending.
        ranked: (users, 0): no lists are made.
        per_user: Empty: each event counts once, so the metrics are no means over users.
        metrics: Over all events, and `warm_...` over those whose user and item are known from training.
        primary: The value that validation and comparisons go by.
    """

    predicted: Values
    users: NDArray[np.int64]
    ranked: NDArray[np.int32]
    per_user: dict[str, Values]
    metrics: dict[str, float]
    primary: float


def evaluate_values(
    model: Model,
    holdout: Holdout,
    protocol: ValuesProtocol,
    *,
    device: torch.device,
    progress: Progress = SILENT,
    what: str = "test",
) -> Predictions:
    """Predict the value of each event of a holdout, and measure the errors.

    Args:
        model: Lies on `device` and has `predict`; it is switched to evaluation and back.
        holdout: Its targets are predicted.
        protocol: The metrics and the limits of values.
        device: Where the model computes; metrics are computed on the CPU in float64.
        progress: Shows a bar.
        what: Name of the part, for the bar.

    Raises:
        DataError: A value lies outside the protocol's limits.
        DivergedError: A prediction is NaN or infinite.
        ModelError: The model ranks only, or its predictions have the wrong shape.
    """
    actual = holdout.targets.values.astype(np.float64)
    _check_limits(actual, protocol)
    predicted = _predict(model, holdout, device=device, progress=progress, what=what)
    if np.isfinite(predicted).all():  # else the metrics name the first that is not
        predicted = np.clip(predicted, protocol.low, protocol.high)
    metrics = {name: BY_VALUES[name](predicted, actual) for name in protocol.metrics}
    events = holdout.targets
    warm = holdout.warm_users[events.users] & holdout.warm_items[events.items]
    if warm.any() and not warm.all():
        metrics |= {
            f"warm_{name}": BY_VALUES[name](predicted[warm], actual[warm])
            for name in protocol.metrics
        }
    return Predictions(
        predicted=predicted,
        users=holdout.users,
        ranked=np.empty((len(holdout.users), 0), dtype=np.int32),
        per_user={},
        metrics=metrics,
        primary=metrics[protocol.primary],
    )


def predictor(model: object) -> Predicts:
    """The same model, known to predict values.

    Raises:
        ModelError: It ranks only.
    """
    if not isinstance(model, Predicts):
        raise ModelError(
            f"{type(model).__name__} ranks items and predicts no values",
            "choose evaluation=full_ranking, or a model of ratings such as model=baseline",
        )
    return model


def _predict(
    model: Model, holdout: Holdout, *, device: torch.device, progress: Progress, what: str
) -> Values:
    """The model's prediction for each event, as it comes from the model."""
    predicts = predictor(model)
    events = holdout.targets
    users = np.where(holdout.warm_users[events.users], events.users, -1).astype(np.int64)
    items = events.items.astype(np.int64)
    predicted = np.empty(len(events))
    with evaluating(model), progress.bar(f"evaluate {what}", len(events), "events") as bar:
        for start in range(0, len(events), EVENTS_AT_ONCE):
            rows = slice(start, start + EVENTS_AT_ONCE)
            block = predicts.predict(
                torch.from_numpy(users[rows]).to(device), torch.from_numpy(items[rows]).to(device)
            )
            if block.shape != (len(users[rows]),):
                raise ModelError(
                    f"{type(model).__name__}.predict gives shape {tuple(block.shape)} for "
                    f"{len(users[rows])} pairs",
                    "predict one number for each pair of user and item",
                )
            predicted[rows] = block.cpu().double().numpy()
            bar.advance(len(block))
    return predicted


def _check_limits(actual: Values, protocol: ValuesProtocol) -> None:
    low, high = float(actual.min()), float(actual.max())
    for key, limit, beyond, value in (
        ("low", protocol.low, protocol.low is not None and low < protocol.low, low),
        ("high", protocol.high, protocol.high is not None and high > protocol.high, high),
    ):
        if beyond:
            raise DataError(
                f"the data has a value of {value:g}, beyond evaluation.{key}={limit:g}",
                f"give the limit of the data's values, or evaluation.{key}=null for none",
            )

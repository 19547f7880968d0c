"""Metrics of predicted values: ratings, and probabilities of a click.

All take one prediction and one truth an event and give one number, in float64.
Source of the calibration error: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using
Bayesian binning" (AAAI 2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys_cli.errors import DataError, DivergedError

N_BINS = 10


def rmse(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Root of the mean squared error, in the unit of the rating."""
    p, y = _pair(predicted, actual)
    return float(np.sqrt(np.mean((p - y) ** 2)))


def mae(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean absolute error, in the unit of the rating."""
    p, y = _pair(predicted, actual)
    return float(np.mean(np.abs(p - y)))


def log_loss(probability: ArrayLike, clicked: ArrayLike) -> float:
    """Mean negative log-likelihood of what happened, in nats; infinite where a sure prediction was wrong."""
    p, y = _clicks(probability, clicked)
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(np.where(y == 1, p, 1 - p))))


def calibration_error(probability: ArrayLike, clicked: ArrayLike) -> float:
    """Expected calibration error: the mean gap between predicted and observed rate over 10 bins of equal width."""
    p, y = _clicks(probability, clicked)
    bins = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
    gap = np.bincount(bins, weights=p - y, minlength=N_BINS)
    return float(np.abs(gap).sum() / len(p))


def auc(score: ArrayLike, clicked: ArrayLike) -> float:
    """Chance that a positive event scores above a negative one; equal scores count one half.

    Raises:
        DataError: All events are of one kind.
    """
    s, y = _pair(score, clicked)
    _check_binary(y)
    n_positive = int(y.sum())
    n_negative = len(y) - n_positive
    if not n_positive or not n_negative:
        raise DataError(
            f"AUC compares positive with negative events; here are {n_positive} and {n_negative}",
            "use data with both, or another metric",
        )
    ascending = np.sort(s)
    # Mean rank of equal scores, from 1.
    low = np.searchsorted(ascending, s[y == 1], side="left")
    high = np.searchsorted(ascending, s[y == 1], side="right")
    wins = (int(low.sum()) + int(high.sum()) + n_positive - n_positive * (n_positive + 1)) / 2
    return wins / (n_positive * n_negative)


BY_VALUES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "rmse": rmse,
    "mae": mae,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
    "auc": auc,
}


def _pair(
    predicted: ArrayLike, actual: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if p.shape != y.shape or p.ndim != 1 or not len(p):
        raise DataError(
            f"predictions of shape {p.shape} for truths of shape {y.shape}",
            "give one prediction an event, and at least one event",
        )
    if not np.isfinite(p).all():
        at = int(np.flatnonzero(~np.isfinite(p))[0])
        raise DivergedError(
            f"prediction {at} is {p[at]}, not a finite number", "lower the learning rate"
        )
    return p, y


def _clicks(
    probability: ArrayLike, clicked: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, y = _pair(probability, clicked)
    _check_binary(y)
    if p.min() < 0 or p.max() > 1:
        raise DataError(
            f"predictions from {p.min():g} to {p.max():g} are no probabilities",
            "use a model that predicts between 0 and 1",
        )
    return p, y


def _check_binary(y: NDArray[np.float64]) -> None:
    if not np.isin(y, (0, 1)).all():
        raise DataError(
            f"truths from {y.min():g} to {y.max():g} are not 0 or 1",
            "turn ratings into clicks with a threshold first",
        )

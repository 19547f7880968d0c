"""What a difference between two recommenders is worth, told from the values of each user.

Users are the sample: they are drawn again with replacement for an interval (Efron and Tibshirani 1993, BCa: corrected
for bias and skew, which values with many zeros have), and a difference's sign is flipped user by user for a test
(Fisher's randomisation: if two models are alike, either could have had either value). What another seed or another
training period would have given is not in these numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from recsys_cli.errors import DataError
from recsys_cli.seeds import numpy_generator

Values = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 5_000
MIN_USERS = 2
DRAWS_AT_ONCE = 1 << 22  # 32 MiB of values
GROUPED = 16  # drawing how often each distinct value comes pays off from so many users a value


@dataclass(frozen=True)
class Interval:
    """Where the mean over all users like these lies, at 95 % confidence."""

    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether a difference may as well be none."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Difference:
    """One recommender's values minus another's, over the same users.

    Attributes:
        mean: Mean difference.
        interval: Its bootstrap interval.
        effect_size: Cohen's d_z, the mean difference in standard deviations of the difference.
        p: Of the two-sided sign-flip test.
        higher: Share of the users whose value is higher.
        lower: Share of the users whose value is lower.
    """

    mean: float
    interval: Interval
    effect_size: float
    p: float
    higher: float
    lower: float


def paired(
    values: Values, reference: Values, *, seed: int, resamples: int = RESAMPLES
) -> Difference:
    """Set the values of the same users side by side.

    Args:
        values: (users,) of the recommender in question.
        reference: (users,) of the one that it is set against, in the same order.
        seed: Of the resampling: the same seed gives the same numbers.
        resamples: How often users are drawn again, and signs flipped.

    Raises:
        DataError: As `mean_interval`.
    """
    differences = values - reference
    return Difference(
        mean=float(differences.mean()),
        interval=mean_interval(differences, seed=seed, resamples=resamples),
        effect_size=effect_size(differences),
        p=sign_flip(differences, seed=seed, resamples=resamples),
        higher=float((differences > 0).mean()),
        lower=float((differences < 0).mean()),
    )


def mean_interval(values: Values, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """The bootstrap interval (BCa, 95 %) of a mean over users.

    Args:
        values: (users,) finite.
        seed: Of the resampling.
        resamples: How often as many users are drawn again.

    Raises:
        DataError: There are fewer than two users, or a value is not finite.
    """
    if len(values) < MIN_USERS or not np.isfinite(values).all():
        raise DataError(
            f"an interval needs the finite values of at least {MIN_USERS} users, here are {len(values)}",
            "choose a split with more test users",
        )
    centred = values - values.mean()
    squares = float((centred**2).sum())
    if squares == 0:
        return Interval(float(values[0]), float(values[0]))
    means = _resampled_means(values, numpy_generator(seed, "bootstrap"), resamples)
    below = (means < values.mean()).mean() + (means == values.mean()).mean() / 2
    bias = ndtri(np.clip(below, 1 / resamples, 1 - 1 / resamples))
    acceleration = float((centred**3).sum()) / (6 * squares**1.5)
    reach = bias + ndtri(np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    low, high = np.quantile(means, ndtr(bias + reach / (1 - acceleration * reach)))
    return Interval(float(low), float(high))


def sign_flip(differences: Values, *, seed: int, resamples: int = RESAMPLES) -> float:
    """How often chance alone gives a mean difference at least as far from 0, in either direction.

    Never 0: with `resamples` flips the smallest value is 1 / (resamples + 1).
    """
    present = np.abs(differences[differences != 0])
    if not len(present):
        return 1.0
    sums = np.abs(_flipped_sums(present, numpy_generator(seed, "sign flip"), resamples))
    observed = abs(float(differences.sum())) * (
        1 - 1e-12
    )  # sums in another order round differently
    return float(((sums >= observed).sum() + 1) / (resamples + 1))


def effect_size(differences: Values) -> float:
    """Cohen's d_z; 0 where nobody differs, infinite where all differ by the same."""
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread > 0:
        return mean / spread
    return math.copysign(math.inf, mean) if mean else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for several comparisons: one false alarm among them all stays as rare as alpha.

    Args:
        p_values: One a comparison.

    Returns:
        Corrected values in the same order, at most 1.
    """
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = least
    return corrected


def _resampled_means(values: Values, generator: np.random.Generator, resamples: int) -> Values:
    """The mean of as many users drawn with replacement, again and again.

    Metrics at a cut-off have few distinct values: then it is drawn how many users come with each, which is the same
    distribution at a cost that does not grow with the users.
    """
    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) * GROUPED <= n:
        return np.concatenate(
            [
                generator.multinomial(n, counts / n, size=rows) @ distinct / n
                for rows in _blocks(resamples, len(distinct))
            ]
        )
    return np.concatenate(
        [
            values[generator.integers(n, size=(rows, n), dtype=np.int32)].mean(axis=1)
            for rows in _blocks(resamples, n)
        ]
    )


def _flipped_sums(sizes: Values, generator: np.random.Generator, resamples: int) -> Values:
    """Sums of positive numbers whose signs are tossed, again and again."""
    distinct, counts = np.unique(sizes, return_counts=True)
    if len(distinct) * GROUPED <= len(sizes):
        return np.concatenate(
            [
                (2.0 * generator.binomial(counts, 0.5, size=(rows, len(counts))) - counts)
                @ distinct
                for rows in _blocks(resamples, len(counts))
            ]
        )
    return np.concatenate(
        [
            (2.0 * generator.integers(2, size=(rows, len(sizes)), dtype=np.int8) - 1) @ sizes
            for rows in _blocks(resamples, len(sizes))
        ]
    )


def _blocks(rows: int, width: int) -> list[int]:
    """So many rows in blocks that fit in memory."""
    size = max(1, min(rows, DRAWS_AT_ONCE // width))
    return [min(size, rows - start) for start in range(0, rows, size)]

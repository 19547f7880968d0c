"""Splits drawn over the whole file at once, bit for bit as other programs draw them.

The order of the file decides, so filters must have kept it (ours do).
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import TEST, TRAIN, VALID, Split, assemble, floor_share
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.seeds import numpy_generator

LEAKS = "events from after the test events are in training: times mean nothing in this split"
ValidRatio = Annotated[float, Ge(0), Lt(1)]


def k_fold(
    *,
    interactions: Interactions,
    folds: Annotated[int, Ge(2), Le(1000)],
    fold: Annotated[int, Ge(0), Le(999)],
    valid_ratio: ValidRatio,
    seed: Annotated[int, Ge(0), Le(2**32 - 1)],
) -> Split:
    """One fold of all events is test, drawn by shuffling the lines of the file, as Surprise's KFold does.

    Validation is drawn from the other folds.

    Raises:
        ConfigError: There is no fold of this number.
        DataError: A part is empty.
    """
    if fold >= folds:
        raise ConfigError(
            f"split.fold={fold} and split.folds={folds}: folds are counted from 0",
            f"give split.fold=0 to {folds - 1}",
        )
    n = len(interactions)
    in_file_order = np.argsort(interactions.rows, kind="stable")
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)
    # The first n % folds folds have one event more.
    start = fold * (n // folds) + min(fold, n % folds)
    stop = start + n // folds + (fold < n % folds)
    part = np.full(n, TRAIN)
    part[in_file_order[order[start:stop]]] = TEST
    part[drawn(part == TRAIN, valid_ratio, seed)] = VALID
    return assemble(
        interactions,
        part,
        name=f"k_fold(fold {fold} of {folds}, validation {valid_ratio:g}, seed {seed})",
        leaks=LEAKS,
        may_lack_validation=valid_ratio == 0,
    )


def drawn(candidates: NDArray[Any], ratio: float, seed: int) -> NDArray[np.int64]:
    """Positions of floor(ratio * n) of the n candidates, drawn without replacement."""
    at = np.flatnonzero(candidates)
    count = int(floor_share(ratio, np.array(len(at))))
    return numpy_generator(seed, "validation").choice(at, size=count, replace=False)


def recbole(
    *,
    interactions: Interactions,
    valid_ratio: Annotated[float, Gt(0), Lt(1)],
    test_ratio: Annotated[float, Gt(0), Lt(1)],
    seed: Annotated[int, Ge(0), Le(2**63 - 1)],
) -> Split:
    """RecBole's random ratio split: the file is shuffled, then each user's events are dealt in that order.

    Of a user's n events the last floor(test_ratio * n) are test and floor(valid_ratio * n) before them validation.
    The test asks with the training events alone; the validation events are seen all the same.

    Raises:
        DataError: The two ratios leave nothing to learn from, or a part is empty.
    """
    if valid_ratio + test_ratio >= 1:
        raise DataError(
            f"split.valid_ratio + split.test_ratio is {valid_ratio + test_ratio:g}: nothing is left for training",
            "let them add up to less than 1",
        )
    import torch

    n = len(interactions)
    in_file_order = np.argsort(interactions.rows, kind="stable")
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()
    order = in_file_order[shuffled]
    order = order[np.argsort(interactions.users[order], kind="stable")]
    size = np.diff(interactions.offsets)[
        interactions.users
    ]  # events are sorted by user in both orders
    rank = np.arange(n) - interactions.offsets[interactions.users]
    n_valid, n_test = floor_share(valid_ratio, size), floor_share(test_ratio, size)
    part = np.empty(n, dtype=np.int64)
    part[order] = np.where(
        rank >= size - n_test, TEST, np.where(rank >= size - n_test - n_valid, VALID, TRAIN)
    )
    return assemble(
        interactions,
        part,
        name=f"recbole(random, validation {valid_ratio:g}, test {test_ratio:g}, seed {seed})",
        leaks=LEAKS,
        test_asks_with_train_only=True,
    )

"""Which events a model may learn from, which choose its settings, and which it is judged by.

A split never looks at the order of the test events, never drops a user or item in silence, and has a hash.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.context import is_asked
from recsys_cli.data.interactions import Interactions, Vocabulary
from recsys_cli.errors import DataError

DAY_SECONDS = 86_400
TRAIN, VALID, TEST = 0, 1, 2
FEW_USERS = (
    500  # below this an interval of a hit rate is wider than most differences between models
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Holdout:
    """Questions with their answers: each user with a target is asked once.

    Attributes:
        history: The events that the questions are asked with.
        targets: The events to be predicted.
        warm_users: For each user code, whether the training data has an event of them.
        warm_items: For each item code, whether the training data has an event of it.
        excluded: The events whose items are taken out of the rankings; None = those of the history.
        askers: For each user code, the code by which training knows the user; None = the same. Another where a user is
            asked several times, each question under a code of its own.
    """

    history: Interactions
    targets: Interactions
    warm_users: Mask
    warm_items: Mask
    excluded: Interactions | None = None
    askers: NDArray[np.int64] | None = None

    @property
    def seen(self) -> Interactions:
        """The events whose items their user is not recommended again."""
        return self.history if self.excluded is None else self.excluded

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """Codes of the users with at least one target, ascending."""
        return np.flatnonzero(np.diff(self.targets.offsets))


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts of one data set.

    Attributes:
        name: The rule and its settings in words.
        leaks: What of the future this rule lets into training; empty where nothing.
        train: Events to learn from.
        valid: What settings are chosen by; without targets where the split has no validation part.
        test: What is reported, read once.
        dropped: Events that are in no part, counted by reason.
    """

    name: str
    leaks: str
    train: Interactions
    valid: Holdout
    test: Holdout
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """Users of the whole data set."""
        return self.train.n_users

    @property
    def n_items(self) -> int:
        """Items of the whole catalogue."""
        return self.train.n_items

    @cached_property
    def hash(self) -> str:
        """SHA-256 over every event and the part that it fell in, and over what the questions are asked with."""
        sha = hashlib.sha256()
        for part in (self.train, self.valid.targets, self.test.targets):
            sha.update(part.digest().encode())
        for known in (self.valid.history, self.test.history, self.test.excluded):
            sha.update(b"-" if known is None else np.ascontiguousarray(known.rows).data)
        if self.valid.excluded is not None:
            sha.update(np.ascontiguousarray(self.valid.excluded.rows).data)
        return sha.hexdigest()

    def counts(self) -> dict[str, int]:
        """Events, users and items of each part, and how many of them training never saw."""
        counts = {
            "users": self.n_users,
            "items": self.n_items,
            "train_events": len(self.train),
            "train_users": int((np.diff(self.train.offsets) > 0).sum()),
            "train_items": int((self.train.item_counts > 0).sum()),
            "dropped_events": sum(self.dropped.values()),
        }
        for name, part in (("valid", self.valid), ("test", self.test)):
            cold_item = ~part.warm_items[part.targets.items]
            counts |= {
                f"{name}_events": len(part.targets),
                f"{name}_users": len(part.users),
                f"{name}_cold_users": int((~part.warm_users[part.users]).sum()),
                f"{name}_cold_item_events": int(cold_item.sum()),
            }
        return counts

    def caution(self) -> str:
        """What few test users make of every interval; empty where there are enough.

        The users counted are those that training knows; a rule that asks only users it never saw counts them all.
        """
        counts = self.counts()
        n_warm = counts["test_users"] - counts["test_cold_users"]
        n_users, who = (n_warm, " that training knows") if n_warm else (counts["test_users"], "")
        if n_users >= FEW_USERS:
            return ""
        half = 1.96 * math.sqrt(0.1 * 0.9 / n_users)
        return (
            f"only {n_users:,} test users{who}: a hit rate of 0.1 over so few has a 95 % interval "
            f"of about +-{half:.3f}, so smaller differences between models mean nothing"
        )


def assemble(
    interactions: Interactions,
    part: NDArray[Any],
    *,
    name: str,
    leaks: str,
    test_asks_with_train_only: bool = False,
    may_lack_validation: bool = False,
) -> Split:
    """A split from a label (TRAIN, VALID or TEST) an event.

    Validation asks with the training events. The test asks with training and validation events, unless told
    otherwise; what is seen is both in any case.

    Raises:
        DataError: A part that must not be empty is.
    """
    train, known = part == TRAIN, part != TEST
    return from_masks(
        interactions,
        train=train,
        valid=(train, part == VALID),
        test=(train if test_asks_with_train_only else known, part == TEST),
        test_seen=known if test_asks_with_train_only else None,
        name=name,
        leaks=leaks,
        may_lack_validation=may_lack_validation,
    )


def from_masks(
    interactions: Interactions,
    *,
    train: Mask,
    valid: tuple[Mask, Mask],
    test: tuple[Mask, Mask],
    name: str,
    leaks: str,
    test_seen: Mask | None = None,
    dropped: Mapping[str, int] | None = None,
    may_lack_validation: bool = False,
) -> Split:
    """A split from what each part holds, one mask over the events each.

    Args:
        interactions: All events.
        train: What is learnt from.
        valid: What validation is asked with, and its targets.
        test: What the test is asked with, and its targets.
        name: The rule in words.
        leaks: What of the future is in training.
        test_seen: What is taken out of the test's rankings, where that is not what it is asked with.
        dropped: Events in no part, counted by reason.
        may_lack_validation: Whether the rule may leave no validation targets.

    Raises:
        DataError: A part that must not be empty is.
    """
    learnt = interactions.take(train)

    def holdout(known: Mask, targets: Mask, seen: Mask | None = None) -> Holdout:
        return Holdout(
            history=learnt if known is train else interactions.take(known),
            targets=interactions.take(targets),
            warm_users=np.diff(learnt.offsets) > 0,
            warm_items=learnt.item_counts > 0,
            excluded=None if seen is None else interactions.take(seen),
        )

    split = Split(
        name=name,
        leaks=leaks,
        train=learnt,
        valid=holdout(*valid),
        test=holdout(*test, test_seen),
        dropped=dropped or {},
    )
    check_parts(split, len(interactions), may_lack_validation=may_lack_validation)
    return split


def each_alone(holdout: Holdout) -> Holdout:
    """The same targets, each in a question of its own; the id of a question is the row of its target in the file.

    What a question takes out of its ranking is what its user had in the very context that it is asked in. Where the
    data tells no context, that is all that they had.
    """
    at = np.argsort(holdout.targets.rows)
    targets, history = holdout.targets, holdout.history
    who = targets.users[at]
    sizes = np.diff(history.offsets)[who]
    first = np.cumsum(sizes) - sizes
    rows = np.repeat(history.offsets[who] - first, sizes) + np.arange(int(sizes.sum()))
    ids, codes = Vocabulary(targets.rows[at]), np.arange(len(at), dtype=np.int32)
    asked = replace(targets.take(at), users=codes, user_ids=ids)
    known = replace(history.take(rows), users=np.repeat(codes, sizes), user_ids=ids)
    context = [name for name in known.context if is_asked(name)]
    same = [known.context[name] == np.repeat(asked.context[name], sizes) for name in context]
    return Holdout(
        history=known,
        targets=asked,
        warm_users=holdout.warm_users[who],
        warm_items=holdout.warm_items,
        excluded=known.take(np.all(same, axis=0)) if same else None,
        askers=who.astype(np.int64),
    )


def check_parts(split: Split, n_events: int, *, may_lack_validation: bool) -> None:
    """Refuse a split that leaves nothing to learn from or nothing to ask.

    Raises:
        DataError: Training or test is empty, or validation is and must not be.
    """
    sizes = {"train": len(split.train), "test": len(split.test.targets)}
    if not may_lack_validation:
        sizes["validation"] = len(split.valid.targets)
    for what, size in sizes.items():
        if not size:
            raise DataError(
                f"the {what} part of split {split.name} is empty ({n_events:,} events in all)",
                "choose another split or other settings of this one",
            )


def floor_share(ratio: float, size: NDArray[Any]) -> NDArray[np.int64]:
    """floor(ratio * size), safe from the rounding of 0.29 * 100 and its like."""
    return np.floor(ratio * size + 1e-9).astype(np.int64)


def clock(interactions: Interactions, split: str) -> NDArray[np.int64]:
    """The times, for a rule that cannot do without.

    Raises:
        DataError: There are none.
    """
    if interactions.times is None:
        raise DataError(
            f"split={split} needs times and this data has none", "use split=per_user_ratio"
        )
    return interactions.times

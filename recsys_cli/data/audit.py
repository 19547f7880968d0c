"""What a split lets a model know that it could not know at the moment of the question, counted from its events.

Nothing here trusts the rule that made the split: only the events, their parts and their times are looked at.

Source: Ji et al., A Critical Study on Data Leakage in Recommender System Offline Evaluation, TOIS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.distinct import distinct
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.official_split import COLUMN
from recsys_cli.data.split import Holdout, Split

NEVER = np.iinfo(np.int64).max
SITTING = "their future is the rest of one sitting, so habit and time of day say little about it"

# Name of a finding: what is counted, and what follows where it is not 0.
KINDS = {
    "later_events": (
        "training events at or after the first target of the part",
        "the model learns from what happened after it is asked, such as what became popular",
    ),
    "later_items": (
        "items in training that nobody had before the first target of the part",
        "the model knows items that did not exist when it is asked",
    ),
    "new_items": (
        "items of the catalogue that nobody had before the first target of the part",
        "those that are in no training event can only be guessed, and are ranked all the same",
    ),
    "duplicates": (
        "targets that stand in an earlier part too: same user, item, time and context",
        "the model is asked for what it has learnt by heart",
    ),
    "known_targets": (
        "targets whose item their user already had",
        "an honest repeat where that was earlier (evaluation.exclude_seen=true keeps it out of every list), "
        "the answer given away where it was not",
    ),
    "later_history": (
        "events of the histories that are later than their user's first target",
        "the model is asked about the past with the future",
    ),
    "ties_at_the_cut": (
        "users whose last known event and first target have the same time",
        "which came first is told by the order of the file, not by the clock",
    ),
    "same_sitting_30": (
        "users whose first target comes within 30 minutes of a known event",
        SITTING,
    ),
    "same_sitting_60": (
        "users whose first target comes within 60 minutes of a known event",
        SITTING,
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was counted.

    Attributes:
        name: A key of `KINDS`, which says what is counted and what follows.
        part: The part that is asked about, `valid` or `test`.
        count: How many.
        of: Out of how many.
        leak: Whether a model can know something that it could not have known.
    """

    name: str
    part: str
    count: int
    of: int
    leak: bool

    @property
    def share(self) -> float:
        """The count as a share; 0 of nothing is 0."""
        return self.count / self.of if self.of else 0.0


def audit(split: Split) -> list[Finding]:
    """All findings, validation first; those about time are left out where the data has no times."""
    findings = []
    for part, holdout in (("valid", split.valid), ("test", split.test)):
        if len(holdout.users):
            findings += [
                *_training(split, holdout, part),
                _duplicates(split, part),
                _known_targets(holdout, part),
                *_moments(holdout, part),
            ]
    return findings


def _training(split: Split, holdout: Holdout, part: str) -> list[Finding]:
    """Events and items in training that come from behind the first question."""
    train, targets = split.train, holdout.targets
    if train.times is None or targets.times is None:
        return []
    cut = targets.times.min()
    n_later = int((train.times >= cut).sum())
    first = np.full(split.n_items, NEVER)
    for events in (train, holdout.seen, split.valid.targets, split.test.targets):
        if events.times is not None:
            np.minimum.at(first, events.items, events.times)
    new = (first >= cut) & (first < NEVER)
    n_learnt = int((new & (train.item_counts > 0)).sum())
    return [
        Finding("later_events", part, n_later, len(train), leak=n_later > 0),
        Finding("later_items", part, n_learnt, split.n_items, leak=n_learnt > 0),
        Finding("new_items", part, int(new.sum()), split.n_items, leak=False),
    ]


def _duplicates(split: Split, part: str) -> Finding:
    """The same event in an earlier part and among the targets."""
    targets = (split.valid if part == "valid" else split.test).targets
    earlier = [split.train] if part == "valid" else [split.train, split.valid.targets]
    twice = np.zeros(len(targets), dtype=bool)
    for events in earlier:
        # Questions about sessions have ids of their own: there only the row in the file can be compared.
        same_users = events.user_ids is targets.user_ids
        twice |= _same_event(targets, events) if same_users else np.isin(targets.rows, events.rows)
    count = int(twice.sum())
    return Finding("duplicates", part, count, len(targets), leak=count > 0)


def _same_event(events: Interactions, others: Interactions) -> NDArray[np.bool_]:
    """For each event, whether the others have its user and item at its time and in its context, as far as known."""
    mine, theirs = _pairs(events), _pairs(others)
    columns: list[tuple[NDArray[Any], NDArray[Any]]] = [
        (events.context[name], others.context[name]) for name in events.context.keys() - {COLUMN}
    ]
    if events.times is not None and others.times is not None:
        columns.append((events.times, others.times))
    for own, other in columns:
        mine, theirs = _joint(mine, theirs, own, other)
    return np.isin(mine, theirs)


def _joint(*sides: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys of two tables, from a key and another column of each: equal where both are."""
    mine, theirs, own, other = sides
    keys = np.unique(np.concatenate([mine, theirs]), return_inverse=True)[1]
    values = np.unique(np.concatenate([own, other]), return_inverse=True)[1]
    joint = keys.astype(np.int64) * (len(values) + 1) + values
    return joint[: len(mine)], joint[len(mine) :]


def _known_targets(holdout: Holdout, part: str) -> Finding:
    """Targets whose item their user already had: a leak if it is the very event, or a later one."""
    seen, targets = holdout.seen, holdout.targets
    pairs = distinct(_pairs(seen))
    known = targets.take(np.isin(_pairs(targets), pairs))
    leak = bool(np.isin(*_joint(known.users, seen.users, known.rows, seen.rows)).any())
    if seen.times is not None and known.times is not None and len(known):
        latest = np.zeros(len(pairs), dtype=np.int64)
        np.maximum.at(latest, np.searchsorted(pairs, _pairs(seen)), seen.times)
        leak |= bool((latest[np.searchsorted(pairs, _pairs(known))] > known.times).any())
    return Finding("known_targets", part, len(known), len(targets), leak)


def _moments(holdout: Holdout, part: str) -> list[Finding]:
    """For each user asked: what is known, against the moment of the question."""
    history, targets = holdout.history, holdout.targets
    if history.times is None or targets.times is None:
        return []
    asked = np.full(history.n_users, NEVER)
    np.minimum.at(asked, targets.users, targets.times)
    n_later = int((history.times > asked[history.users]).sum())
    n_events = int((asked[history.users] < NEVER).sum())
    users = holdout.users[np.diff(history.offsets)[holdout.users] > 0]
    gap = asked[users] - history.times[history.offsets[users + 1] - 1]
    sittings = [
        Finding(
            f"same_sitting_{minutes}",
            part,
            int(((gap >= 0) & (gap < minutes * 60)).sum()),
            len(users),
            leak=False,
        )
        for minutes in (30, 60)
    ]
    return [
        Finding("later_history", part, n_later, n_events, leak=n_later > 0),
        Finding("ties_at_the_cut", part, int((gap == 0).sum()), len(users), leak=False),
        *sittings,
    ]


def _pairs(events: Interactions) -> NDArray[np.int64]:
    return np.asarray(events.users.astype(np.int64) * events.n_items + events.items)

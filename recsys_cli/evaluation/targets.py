"""The right answers of a holdout, laid out so that lists of items can be looked up in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.top_k import NO_ITEM


@dataclass(frozen=True, eq=False)
class Targets:
    """Distinct pairs of user and item that are right.

    Attributes:
        keys: user * n_items + item, ascending, int64.
        values: The rating or count of each pair; the largest where the pair occurs more than once.
        offsets: User u has the pairs offsets[u] to offsets[u + 1].
        n_items: Items of the catalogue.
    """

    keys: NDArray[np.int64]
    values: NDArray[np.float32]
    offsets: NDArray[np.int64]
    n_items: int

    def counts(self, users: NDArray[Any]) -> NDArray[np.int64]:
        """How many distinct targets each user has."""
        return np.asarray(self.offsets[users + 1] - self.offsets[users])

    def find(
        self, users: NDArray[Any], items: NDArray[Any]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Whether each item of each user's list is a target, and the target's value (0 where it is none).

        Args:
            users: (users,) codes.
            items: (users, k) codes; -1 = no item.
        """
        if not len(self.keys):
            return np.zeros(items.shape, dtype=np.bool_), np.zeros(items.shape)
        wanted = users[:, None].astype(np.int64) * self.n_items + items
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        hits = (self.keys[at] == wanted) & (items != NO_ITEM)
        return hits, np.where(hits, self.values[at], 0).astype(np.float64)

    def padded(self, users: NDArray[Any]) -> NDArray[np.int64]:
        """(users, most) item codes of each user's targets, ascending, padded on the right with -1."""
        counts = self.counts(users)
        at = self.offsets[users][:, None] + np.arange(max(int(counts.max(initial=0)), 1))
        real = at < self.offsets[users + 1][:, None]
        return np.where(real, self.keys[np.where(real, at, 0)] % self.n_items, NO_ITEM)

    def best_values(self, users: NDArray[Any], k: int) -> NDArray[np.float64]:
        """The k largest target values of each user, descending, padded with 0: the ideal list."""
        best = np.zeros((len(users), k))
        for row, user in enumerate(users):
            own = np.sort(self.values[self.offsets[user] : self.offsets[user + 1]])[::-1][:k]
            best[row, : len(own)] = own
        return best


_KEPT: WeakKeyDictionary[Holdout, Targets] = WeakKeyDictionary()


def all_targets(holdout: Holdout) -> Targets:
    """Every target of a holdout; kept as long as the holdout is, since each validation asks for them."""
    found = _KEPT.get(holdout)
    if found is None:
        found = _KEPT[holdout] = _targets(holdout.targets)
    return found


def warm_targets(holdout: Holdout) -> Targets | None:
    """The targets whose user and item both have an event in the training data; None where that is all of them.

    A model that learns a vector per user and item can know nothing of the others.
    """
    whole = all_targets(holdout)
    users, items = np.divmod(whole.keys, max(whole.n_items, 1))
    warm = holdout.warm_users[users] & holdout.warm_items[items]
    if warm.all():
        return None
    counts = np.bincount(users[warm], minlength=len(whole.offsets) - 1)
    return Targets(whole.keys[warm], whole.values[warm], _offsets(counts), whole.n_items)


def _targets(events: Interactions) -> Targets:
    keys = events.users.astype(np.int64) * events.n_items + events.items
    order = np.lexsort((events.values, keys))
    keys, values = keys[order], events.values[order]
    last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
    keys, values = keys[last], values[last]
    counts = np.bincount(keys // max(events.n_items, 1), minlength=events.n_users)
    return Targets(keys, values, _offsets(counts), events.n_items)


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each one's begin, and where the last one's end."""
    return np.concatenate([[0], np.cumsum(counts)])

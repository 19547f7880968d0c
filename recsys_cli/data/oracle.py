"""The truth behind the generated data: the exact chance of each item to be next, so the best metric is known.

A user who consumed item `last` before, and asks at a moment, takes item j next with probability

    P(j) ~ unseen(j) * appeal(hour, weekday, j) * ((1 - sequence) * taste(user, j) + sequence * follows(last, j))

where taste is a product of user and item factors and follows is a planted Markov chain. An oracle may know all of
this, or less; what it does not know is averaged out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError

Knowledge = Literal["none", "taste", "sequence", "hour", "weekday", "time"]
LADDER: tuple[Knowledge, ...] = ("none", "taste", "sequence", "time")  # each knows all before it
HOURS_A_WEEK = 168

Floats = NDArray[np.float64]


def hour(times: NDArray[Any]) -> NDArray[Any]:
    """Hour of the day in UTC, 0 to 23, of seconds since 1970-01-01."""
    return times // 3_600 % 24


def weekday(times: NDArray[Any]) -> NDArray[Any]:
    """Day of the week in UTC, 0 = Monday to 6 = Sunday, of seconds since 1970-01-01 (a Thursday)."""
    return (times // 86_400 + 3) % 7


def hour_of_week(times: NDArray[Any]) -> NDArray[Any]:
    """Hours since Monday 00:00 UTC, 0 to 167, of seconds since 1970-01-01."""
    return np.asarray(weekday(times) * 24 + hour(times))


@dataclass(frozen=True, eq=False)
class World:
    """Everything that decides which item a user takes next.

    Attributes:
        seed: Names the streams of random numbers that events are drawn from.
        days: Length of the recorded period.
        n_events: Events of each user, (users,).
        user_factors: How much of a user's taste each topic is, (users, topics); rows sum to 1.
        item_factors: How the choices within a topic fall on the items, (topics, items); rows sum to 1.
        mean_factors: The taste of the average user, (topics,); with `item_factors` it gives the planted popularity.
        successors: The items that tend to follow each item, equally likely, (items, followers);
            each column is a permutation.
        sequence: Share of choices that follow the last item rather than taste.
        appeal: Chance that an item suits an hour of the week, (168, items), at most 1.
        rhythm: Share of events in each hour of the week, (168,).
    """

    seed: int
    days: int
    n_events: NDArray[np.int64]
    user_factors: Floats
    item_factors: Floats
    mean_factors: Floats
    successors: NDArray[np.int64]
    sequence: float
    appeal: Floats
    rhythm: Floats

    @property
    def n_users(self) -> int:
        """Users."""
        return len(self.user_factors)

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return len(self.successors)

    def probabilities(
        self,
        users: NDArray[Any],
        last_items: NDArray[Any],
        times: NDArray[Any],
        seen: NDArray[np.bool_],
        knows: Knowledge,
    ) -> Floats:
        """The chance of each item to be the next event, for an observer with limited knowledge.

        - "time" knows all: exactly the distribution that events are drawn from.
        - "hour" and "weekday" know of the moment only that: exactly the mean of "time" over the hours of the week that
          share it.
        - "sequence" lacks the moment: exactly the mean of "time" over the hours of the week.
        - "taste" lacks the order too: each seen item is held equally likely to be the last one, whatever their
          order says about each other (an approximation).
        - "none" knows only what is seen, and how the average user chooses by taste; what the chain adds to an item's
          popularity is left out (an approximation, worth a few percent).

        Args:
            users: Users, (batch,).
            last_items: The item each user took last, -1 for no item, (batch,).
            times: Seconds of the request, (batch,).
            seen: Items that cannot be next, (batch, items).
            knows: How much the observer knows.

        Returns:
            (batch, items); rows sum to 1.
        """
        if knows == "none":
            weights = np.where(seen, 0.0, self.mean_factors @ self.item_factors)
        else:
            follows = self._after_any(seen) if knows == "taste" else self._after(last_items)
            share = np.where(follows.any(axis=1, keepdims=True), self.sequence, 0.0)
            taste = self.user_factors[users] @ self.item_factors
            weights = np.where(seen, 0.0, (1 - share) * taste + share * follows)
        if knows == "time":
            weights *= self.appeal[hour_of_week(times)]
        else:
            weights = self._over_time(weights, _alike(times, knows))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def _after(self, last_items: NDArray[Any]) -> Floats:
        """Where the chain leads from one item; all 0 without an item."""
        follows = np.zeros((len(last_items), self.n_items))
        known = np.flatnonzero(last_items >= 0)
        for successor in self.successors.T:
            follows[known, successor[last_items[known]]] += 1 / self.successors.shape[1]
        return follows

    def _after_any(self, items: NDArray[np.bool_]) -> Floats:
        """Where the chain leads on average from a set of items; all 0 for an empty set."""
        share = items / np.maximum(items.sum(axis=1, keepdims=True), 1)
        follows = np.zeros(items.shape)
        for successor in self.successors.T:
            follows[:, successor] += share / self.successors.shape[1]
        return follows

    def _over_time(self, weights: Floats, alike: NDArray[np.bool_]) -> Floats:
        """Chances averaged over some hours of the week for each row, each hour's chances normalised before."""
        per_hour = alike * self.rhythm / (weights @ self.appeal.T)  # (batch, 168)
        return np.asarray(weights * (per_hour @ self.appeal))


def _alike(times: NDArray[Any], knows: Knowledge) -> NDArray[np.bool_]:
    """Which hours of the week each moment may be in, for who knows only this of it, (batch, 168)."""
    hours = np.arange(HOURS_A_WEEK)
    if knows == "hour":
        return np.asarray(hours % 24 == hour(times)[:, None])
    if knows == "weekday":
        return np.asarray(hours // 24 == weekday(times)[:, None])
    return np.ones((len(times), HOURS_A_WEEK), dtype=np.bool_)


def oracle_scores(world: World, holdout: Holdout, users: NDArray[Any], knows: Knowledge) -> Floats:
    """What the oracle answers to the questions of these users, at their first target's time.

    Ranking by it is the best that anyone with this knowledge can do for the next event, and nearly so where later
    targets count too. It uses the true factors, which a model can only estimate from the events.

    Args:
        world: What the interactions were drawn from.
        holdout: A part of a split of these interactions.
        users: Codes of users with at least one target.
        knows: How much the oracle knows.

    Returns:
        Probabilities, (batch, items of the holdout); items seen in the history get 0.

    Raises:
        DataError: The holdout has users or items that the world does not have, or no times.
    """
    history, targets = holdout.history, holdout.targets
    user_ids, item_ids = history.user_ids.ids, history.item_ids.ids
    if targets.times is None or not (
        _belong(user_ids, world.n_users) and _belong(item_ids, world.n_items)
    ):
        raise DataError(
            "these interactions were not drawn from this world: it lacks some of their users, items or times",
            "make the world with the settings of the data",
        )
    start, stop = history.offsets[users], history.offsets[users + 1]
    size = stop - start
    at = np.arange(size.sum()) + np.repeat(stop - np.cumsum(size), size)
    seen = np.zeros((len(users), world.n_items), dtype=np.bool_)
    seen[np.repeat(np.arange(len(users)), size), item_ids[history.items[at]]] = True
    last = np.full(len(users), -1, dtype=np.int64)
    last[size > 0] = item_ids[history.items[stop[size > 0] - 1]]
    now = targets.times[targets.offsets[users]]
    return world.probabilities(user_ids[users], last, now, seen, knows)[:, item_ids]


def _belong(ids: NDArray[Any], n: int) -> bool:
    """Whether these ascending ids are all numbers from 0 to n - 1."""
    return ids.dtype.kind in "iu" and bool(ids[0] >= 0 and ids[-1] < n)

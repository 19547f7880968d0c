"""Generated data with planted truth: taste, popularity, order, and the hour and weekday matter, as much as is asked.

Every event is drawn from the distribution that `recsys_cli.data.oracle` states, so the best metric that any model
can reach with and without knowledge of order and time is known. No network, no files.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions, Vocabulary
from recsys_cli.data.oracle import HOURS_A_WEEK, Floats, World, hour_of_week
from recsys_cli.seeds import derive, numpy_generator

START = 1_704_067_200  # Monday 2024-01-01 00:00 UTC
FOLLOWERS = 3  # items that tend to follow an item
SESSION_EVENTS = 3  # mean events of a session
GAP_SECONDS = 600  # mean time between events of a session
TRIES = 4  # proposals a user and round
PATIENCE = 10  # rounds without an accepted proposal before the exact draw
GOLDEN = np.uint64(
    0x9E3779B97F4A7C15
)  # an odd number near 2 ** 64 / golden ratio: counters spread over all bits

Integers = NDArray[np.int64]


def demo(
    *,
    events: Annotated[int, Ge(1_000), Le(20_000_000)],
    events_per_user: Annotated[int, Ge(5), Le(60)],
    days: Annotated[int, Ge(7), Le(3_650)],
    topics: Annotated[int, Ge(2), Le(64)],
    popularity: Annotated[float, Ge(0), Le(1.5)],
    taste: Annotated[float, Ge(0), Le(1)],
    sequence: Annotated[float, Ge(0), Le(0.9)],
    hour: Annotated[float, Ge(0), Le(3)],
    weekday: Annotated[float, Ge(0), Le(3)],
    seed: Annotated[int, Ge(0)],
) -> Interactions:
    """Draw a data set in which each effect is planted as strongly as asked; 0 switches an effect off.

    There are events / events_per_user users, and 3 * sqrt(events) items but at least 200, all of them in the
    catalogue. A user takes an item at most once.

    Args:
        events: How many events there are, exactly.
        events_per_user: Mean number of events a user; the least active have .2 times as many, the most active 2.6.
        days: Length of the recorded period, from 2024-01-01.
        topics: Number of latent factors behind taste.
        popularity: Exponent s of Zipf's law: the average user chooses the r-th most popular item like r ** -s.
        taste: Share of a user's own mix of topics in their taste; the rest is everyone's average.
        sequence: Share of choices that follow the last item rather than taste.
        hour: An item is exp(2 * hour) times as likely at its best hour of the day as at its worst.
        weekday: An item is exp(2 * weekday) times as likely, or nearly, on its best weekday as on its worst.
        seed: Seed of the data, independent of the seed of training.
    """
    return draw(
        make_world(
            events=events,
            events_per_user=events_per_user,
            days=days,
            topics=topics,
            popularity=popularity,
            taste=taste,
            sequence=sequence,
            hour=hour,
            weekday=weekday,
            seed=seed,
        )
    )


def make_world(
    *,
    events: int,
    events_per_user: int,
    days: int,
    topics: int,
    popularity: float,
    taste: float,
    sequence: float,
    hour: float,
    weekday: float,
    seed: int,
) -> World:
    """The world that `demo` draws from with these settings; it knows the best that any model can reach."""
    n_users = round(events / events_per_user)
    n_items = max(round(3 * events**0.5), 200)
    mean, users, items = _factors(n_users, n_items, topics, popularity, taste, seed)
    order = numpy_generator(seed, "demo", "order")
    activity = 0.2 + 2.4 * ((order.permutation(n_users) + 0.5) / n_users) ** 2
    reached = np.round(np.cumsum(activity) / activity.sum() * events).astype(np.int64)
    return World(
        seed=seed,
        days=days,
        n_events=np.diff(reached, prepend=0),
        user_factors=users,
        item_factors=items,
        mean_factors=mean,
        successors=np.stack([order.permutation(n_items) for _ in range(FOLLOWERS)], axis=1),
        sequence=sequence,
        appeal=_appeal(n_items, hour, weekday, seed),
        rhythm=_rhythm(),
    )


def _factors(
    n_users: int, n_items: int, topics: int, popularity: float, taste: float, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Mean, user and item factors, such that the average user chooses by Zipf's law."""
    random = numpy_generator(seed, "demo", "factors")
    chosen = (1.0 + random.permutation(n_items)) ** -popularity
    chosen /= chosen.sum()
    about = random.standard_gamma(0.1, (n_items, topics))  # a Dirichlet: mostly one topic an item
    by_topic = (about / about.sum(axis=1, keepdims=True) * chosen[:, None]).T
    mean = by_topic.sum(axis=1)
    own = random.standard_gamma(2 * mean, (n_users, topics))  # a Dirichlet around the mean
    own /= own.sum(axis=1, keepdims=True)
    return mean, (1 - taste) * mean + taste * own, by_topic / mean[:, None]


def _appeal(n_items: int, hour: float, weekday: float, seed: int) -> Floats:
    """A wave over the day and one over the week, with its crest at each item's own hour and day."""
    random = numpy_generator(seed, "demo", "appeal")
    now = np.arange(HOURS_A_WEEK)[:, None]
    of_day = np.cos(2 * np.pi * (now % 24 / 24 - random.random(n_items))) - 1
    of_week = np.cos(2 * np.pi * (now // 24 / 7 - random.random(n_items))) - 1
    return np.asarray(np.exp(hour * of_day + weekday * of_week))


def _rhythm() -> Floats:
    """People are awake in the evening and asleep at night, every day of the week alike."""
    of_day = 1 + 0.8 * np.cos(2 * np.pi * (np.arange(HOURS_A_WEEK) % 24 - 20) / 24)
    return np.asarray(of_day / of_day.sum())


def draw(world: World, users_at_once: int = 4_096) -> Interactions:
    """Draw all events of a world. The result does not depend on how many users are drawn at once."""
    events = int(world.n_events.sum())
    users = np.repeat(np.arange(world.n_users, dtype=np.int32), world.n_events)
    items, times = np.empty(events, dtype=np.int32), np.empty(events, dtype=np.int64)
    done = 0
    for first in range(0, world.n_users, users_at_once):
        block = np.arange(first, min(first + users_at_once, world.n_users))
        here = slice(done, done := done + int(world.n_events[block].sum()))
        times[here] = _draw_times(world, block)
        items[here] = _draw_items(world, block, times[here])
    return Interactions(
        users=users,
        items=items,
        values=np.ones(events, dtype=np.float32),
        times=times,
        rows=np.arange(events),
        user_ids=Vocabulary(np.arange(world.n_users)),
        item_ids=Vocabulary(np.arange(world.n_items)),
    )


def _draw_times(world: World, users: Integers) -> Integers:
    """Seconds of all events of these users, ascending for each user: sessions on any day, minutes between events."""
    counts = world.n_events[users]
    owner = np.repeat(np.arange(len(users)), counts)
    event = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = _keys(world.seed, "times", users)[owner]
    opens, day, clock, second, gap = _uniform(keys[:, None], event[:, None] * 5 + np.arange(5)).T
    first = (opens < 1 / SESSION_EVENTS) | (event == 0)
    until = np.cumsum(world.rhythm[:24])  # the same on every day of the week
    until /= until[-1]
    start = np.floor(day * world.days) * 86_400
    start += np.searchsorted(until, clock, side="right") * 3_600 + np.floor(second * 3_600)
    session = np.maximum.accumulate(np.where(first, np.arange(len(owner)), 0))
    gaps = np.where(first, 0, np.floor(-GAP_SECONDS * np.log1p(-gap)))
    waited = np.cumsum(gaps)
    after = start[session] + waited - waited[session]
    seconds = np.minimum(after, world.days * 86_400 - 1).astype(np.int64)
    return np.asarray(START + seconds[np.lexsort((seconds, owner))])


def _draw_items(world: World, users: Integers, times: Integers) -> Integers:
    """Items of all events of these users, given their times.

    Each round every unfinished user proposes items by taste or order, and takes the first that is unseen and suits
    the moment. This rejection sampling is exact, and its cost does not grow with the catalogue. A user who took
    nothing for `PATIENCE` rounds draws from the whole distribution instead.
    """
    propose = _Proposals(world, users)
    hours = hour_of_week(times)
    stop = np.cumsum(world.n_events[users])
    at = stop - world.n_events[users]
    items = np.empty(len(times), dtype=np.int64)
    seen = np.zeros((len(users), world.n_items), dtype=np.bool_)
    last = np.full(len(users), -1, dtype=np.int64)
    waited = np.zeros(len(users), dtype=np.int64)
    active, turn = np.flatnonzero(at < stop), 0
    while len(active):
        proposed, luck = propose(active, last[active], turn)
        suits = luck < world.appeal[hours[at[active]][:, None], proposed]
        suits &= ~seen[active[:, None], proposed]
        took = suits.any(axis=1)
        item = proposed[np.arange(len(active)), suits.argmax(axis=1)]
        waited[active] = np.where(took, 0, waited[active] + 1)
        if (tired := waited[active] == PATIENCE).any():
            who = active[tired]
            item[tired] = propose.exactly(who, last[who], times[at[who]], seen[who], turn)
            waited[who], took[tired] = 0, True
        who, item = active[took], item[took]
        items[at[who]] = last[who] = item
        seen[who, item] = True
        at[who] += 1
        active, turn = active[at[active] < stop[active]], turn + 1
    return items


class _Proposals:
    """Candidates for the next item of some users, before what is seen and the moment are asked."""

    def __init__(self, world: World, users: Integers) -> None:
        self.world, self.users = world, users
        self.keys = _keys(world.seed, "items", users)
        self.topics = np.cumsum(world.user_factors[users], axis=1)[:, :-1]
        within = np.cumsum(world.item_factors, axis=1)
        self.ladder = (within / within[:, -1:] + np.arange(len(within))[:, None]).ravel()

    def __call__(self, rows: Integers, last: Integers, turn: int) -> tuple[Integers, Floats]:
        """Items, and for each a number below 1 that its appeal must exceed; both (rows, TRIES)."""
        world = self.world
        counters = turn * TRIES * 4 + np.arange(TRIES * 4).reshape(4, 1, TRIES)
        kind, topic, place, luck = _uniform(self.keys[rows][:, None], counters)
        chosen = (topic[:, :, None] >= self.topics[rows][:, None, :]).sum(axis=2)
        items = np.searchsorted(self.ladder, chosen + place, side="right") - chosen * world.n_items
        items = np.minimum(items, world.n_items - 1)
        follow = (kind < world.sequence) & (last >= 0)[:, None]
        nth = (place * FOLLOWERS).astype(np.int64)
        return np.where(follow, world.successors[last[:, None], nth], items), luck

    def exactly(
        self,
        rows: Integers,
        last: Integers,
        times: Integers,
        seen: NDArray[np.bool_],
        turn: int,
    ) -> Integers:
        """Items drawn from the whole distribution, (rows,)."""
        chances = self.world.probabilities(self.users[rows], last, times, seen, "time")
        place = _uniform(_keys(self.world.seed, "exact", self.users[rows]), np.array(turn))
        reached = np.cumsum(chances, axis=1)
        below = reached <= (place * reached[:, -1])[:, None]
        return np.asarray(below.sum(axis=1))


def _keys(seed: int, stream: str, users: Integers) -> NDArray[np.uint64]:
    """A key for each user's own stream of random numbers, so that no draw depends on other users."""
    return _mix(users.astype(np.uint64) + np.uint64(derive(seed, "demo", stream)))


def _uniform(keys: NDArray[np.uint64], counters: Integers) -> Floats:
    """Numbers in [0, 1), each a pure function of key and counter (broadcast against each other)."""
    mixed = _mix(keys + counters.astype(np.uint64) * GOLDEN)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every input bit moves every output bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

"""The generated data follows the distribution that its oracle states, and each effect is there only where asked for."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from recsys_cli.data import demo as module
from recsys_cli.data.demo import START, demo, draw, make_world
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.oracle import (
    HOURS_A_WEEK,
    LADDER,
    Knowledge,
    World,
    hour,
    hour_of_week,
    oracle_scores,
    weekday,
)
from recsys_cli.data.split import Holdout
from recsys_cli.data.time_splits import global_time
from recsys_cli.errors import DataError

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "data" / "demo.yaml"
DEFAULTS: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
DEFAULTS.pop("_target_")
SMALL = DEFAULTS | {"events": 8_000}

Array = NDArray[Any]


def world_of(**settings: Any) -> World:
    return make_world(**(SMALL | settings))


# --- the draw ---------------------------------------------------------------------------------------------------


def test_the_configuration_has_exactly_the_keys_of_the_target() -> None:
    assert list(DEFAULTS) == list(inspect.signature(demo).parameters)
    assert list(DEFAULTS) == list(inspect.signature(make_world).parameters)


@pytest.mark.parametrize("events", [1_000, 4_321])
def test_as_many_events_as_asked_for_in_order_and_within_the_period(events: int) -> None:
    data = demo(**(SMALL | {"events": events, "days": 50}))
    assert len(data) == events
    assert data.n_users == round(events / 50)
    assert data.n_items == max(round(3 * events**0.5), 200)
    assert data.times is not None
    assert data.times.min() >= START
    assert data.times.max() < START + 50 * 86_400
    same_user = np.diff(data.users) == 0
    assert (np.diff(data.users) >= 0).all()
    assert (np.diff(data.times)[same_user] >= 0).all()
    assert np.diff(data.offsets).min() >= 5  # nobody is left without a history


def test_no_user_takes_an_item_twice() -> None:
    data = demo(**(SMALL | {"popularity": 1.5, "taste": 1.0, "sequence": 0.9}))
    pairs = data.users.astype(np.int64) * data.n_items + data.items
    assert len(np.unique(pairs)) == len(pairs)


def test_the_seed_alone_decides() -> None:
    assert demo(**SMALL).digest() == demo(**SMALL).digest()
    assert demo(**SMALL).digest() != demo(**(SMALL | {"seed": SMALL["seed"] + 1})).digest()


@pytest.mark.parametrize("users_at_once", [1, 37, 10_000])
def test_the_draw_does_not_depend_on_the_block_size(users_at_once: int) -> None:
    world = world_of(events=2_000)
    assert draw(world, users_at_once).digest() == draw(world).digest()


def test_sessions_are_short_and_days_apart() -> None:
    data = demo(**DEFAULTS)
    assert data.times is not None
    gaps = np.diff(data.times)[np.diff(data.users) == 0]
    within = gaps < 3_600
    assert 0.5 < within.mean() < 0.75  # two of three events continue a session
    assert np.median(gaps[within]) < 900
    assert np.median(gaps[~within]) > 2 * 86_400
    test = global_time(interactions=data, test_days=14, valid_days=14).test
    assert test.warm_users[test.users].sum() > 1_000


# --- the events follow the stated distribution --------------------------------------------------------------------

Numbers = Callable[[Array, Array, Array], Array]
"""(users, last items, times) of some events -> a number for each item, (statistics, events, items)."""


def deviations(data: Interactions, world: World, knows: Knowledge, numbers: Numbers) -> Array:
    """How far sums of `numbers` at the items taken are from what the world expects, in standard deviations."""
    excess, variance = 0.0, 0.0
    assert data.times is not None
    for user in range(data.n_users):
        mine = slice(*data.offsets[user : user + 2])
        items = data.items[mine]
        users = np.full(len(items), user)
        last = np.concatenate([[-1], items[:-1]])
        seen = np.zeros((len(items), data.n_items), dtype=bool)
        for position, item in enumerate(items[:-1]):
            seen[position + 1 :, item] = True
        chances = world.probabilities(users, last, data.times[mine], seen, knows)
        values = numbers(users, last, data.times[mine])
        mean = np.einsum("ej,sej->se", chances, values)
        square = np.einsum("ej,sej->se", chances, values**2)
        excess = excess + (values[:, np.arange(len(items)), items] - mean).sum(axis=1)
        variance = variance + (square - mean**2).sum(axis=1)
    return np.asarray(excess / np.sqrt(variance))


def effects(planted: World) -> Numbers:
    """One statistic for each effect: large where the item taken is what that effect favours."""

    def numbers(users: Array, last: Array, times: Array) -> Array:
        one = (len(users), planted.n_items)
        popular = np.broadcast_to(np.log(planted.mean_factors @ planted.item_factors), one)
        liked = np.log(planted.user_factors[users] @ planted.item_factors) - popular
        follows = np.zeros(one)
        for successor in planted.successors.T:
            follows[np.arange(len(last)), successor[last]] = last >= 0
        suits = np.log(planted.appeal).reshape(7, 24, -1)
        day = suits.mean(axis=1)[weekday(times)]
        clock = suits.mean(axis=0)[hour(times)]
        return np.stack([popular, liked, follows, clock, day])

    return numbers


EFFECTS = ["popularity", "taste", "sequence", "hour", "weekday"]


@pytest.mark.parametrize("patience", [1, module.PATIENCE])
def test_events_follow_the_stated_chances(patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", patience)  # 1 = most events take the exact draw
    world = world_of(sequence=0.5, events=40_000)
    z = deviations(draw(world), world, "time", effects(world))
    assert np.abs(z).max() < 4, dict(zip(EFFECTS, z, strict=True))


def test_every_single_item_is_taken_as_often_as_stated() -> None:
    world = world_of(popularity=1.0, events=4_000)
    n = world.n_items

    def one_each(users: Array, last: Array, times: Array) -> Array:
        return np.broadcast_to(np.eye(n)[:, None, :], (n, len(users), n))

    z = deviations(draw(world), world, "time", one_each)
    assert np.abs(z).max() < 5
    assert abs((z**2).sum() - n) < 5 * np.sqrt(2 * n)  # like a chi-square of n degrees


@pytest.mark.parametrize(
    ("knows", "blind_to"),
    [("sequence", ["hour", "weekday"]), ("taste", ["sequence"]), ("none", ["taste", "sequence"])],
)
def test_an_observer_who_knows_less_is_surprised(knows: Knowledge, blind_to: list[str]) -> None:
    world = world_of(sequence=0.5)
    z = deviations(draw(world), world, knows, effects(world))
    for effect in blind_to:
        assert z[EFFECTS.index(effect)] > 10


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_strength_of_0_switches_the_effect_off(effect: str) -> None:
    on = world_of()
    off = world_of(**{effect: 0.0})
    at = EFFECTS.index(effect)
    assert abs(deviations(draw(off), off, "time", effects(on))[at]) < 4
    assert deviations(draw(on), off, "time", effects(on))[at] > 10


# --- the world ------------------------------------------------------------------------------------------------------


def test_the_average_user_chooses_by_zipfs_law() -> None:
    world = world_of(popularity=0.8)
    popularity = np.sort(world.mean_factors @ world.item_factors)[::-1]
    ranks = 1 + np.arange(world.n_items)
    assert popularity * ranks**0.8 == pytest.approx(np.full(world.n_items, popularity[0]))
    mean_user = np.average(world.user_factors, axis=0)
    assert mean_user == pytest.approx(world.mean_factors, abs=0.06)  # 400 users


def test_strengths_are_the_stated_odds() -> None:
    appeal = world_of(hour=2.0, weekday=0.0).appeal
    assert appeal.max() <= 1
    assert np.median(appeal.max(axis=0) / appeal.min(axis=0)) == pytest.approx(np.exp(4), rel=0.05)
    assert appeal[:24] == pytest.approx(appeal[24:48])
    appeal = world_of(hour=0.0, weekday=1.0).appeal
    assert np.median(appeal.max(axis=0) / appeal.min(axis=0)) == pytest.approx(np.exp(2), rel=0.1)
    assert appeal[0] == pytest.approx(appeal[23])


def test_what_is_not_known_is_averaged_out() -> None:
    world = world_of()
    users, last = np.array([3, 4]), np.array([7, -1])
    seen = np.zeros((2, world.n_items), dtype=bool)
    seen[0, :50] = True
    hours = START + 3_600 * np.arange(HOURS_A_WEEK)
    assert hour_of_week(hours).tolist() == list(range(HOURS_A_WEEK))
    mean = sum(
        share * world.probabilities(users, last, np.full(2, now), seen, "time")
        for share, now in zip(world.rhythm, hours, strict=True)
    )
    known = world.probabilities(users, last, hours[:2], seen, "sequence")
    assert known == pytest.approx(np.asarray(mean))
    assert known.sum(axis=1) == pytest.approx(np.ones(2))
    assert (known[seen] == 0).all()


def test_a_set_of_one_seen_item_is_an_order() -> None:
    world = world_of()
    seen = np.zeros((1, world.n_items), dtype=bool)
    seen[0, 7] = True
    arguments = (np.array([3]), np.array([7]), np.array([START]), seen)
    assert world.probabilities(*arguments, "taste") == pytest.approx(
        world.probabilities(*arguments, "sequence")
    )


def test_hours_and_weekdays_are_those_of_utc() -> None:
    times = np.array(
        [0, START, START - 1, 1_711_846_799, 1_711_846_800, 951_782_400, 4_102_444_799]
    )
    moments = [datetime.fromtimestamp(int(t), UTC) for t in times]
    assert hour(times).tolist() == [moment.hour for moment in moments]
    assert weekday(times).tolist() == [moment.weekday() for moment in moments]
    assert weekday(np.array([START])).tolist() == [0]  # 0 = Monday


# --- the oracle -----------------------------------------------------------------------------------------------------


def discounted(scores: Array, rows: Array, items: Array) -> Array:
    """What an item adds to DCG@10 by its place in the ranking of a row of scores."""
    rank = (scores[rows] > scores[rows, items][:, None]).sum(axis=1)
    return np.asarray(np.where(rank < 10, 1 / np.log2(rank + 2), 0))


def ndcg_of_next(scores: Array, holdout: Holdout) -> Array:
    """NDCG@10 of each user's first target."""
    first = holdout.targets.items[holdout.targets.offsets[holdout.users]]
    return discounted(scores, np.arange(len(scores)), first)


def asked(**settings: Any) -> tuple[World, Holdout]:
    world = make_world(**(DEFAULTS | {"events": 50_000} | settings))
    return world, global_time(interactions=draw(world), test_days=14, valid_days=14).test


def gain(world: World, holdout: Holdout, knows: Knowledge) -> float:
    """Mean NDCG@10 of the next event at a level of knowledge."""
    scores = oracle_scores(world, holdout, holdout.users, knows)
    return float(ndcg_of_next(scores, holdout).mean())


def test_each_step_of_knowledge_gains_with_the_default_settings() -> None:
    nothing, taste, sequence, time = (gain(*asked(), knows) for knows in LADDER)
    assert taste > 1.25 * nothing
    assert sequence > 1.5 * taste
    assert time > 1.2 * sequence


def test_the_moment_gains_nothing_where_it_means_nothing() -> None:
    world = asked(hour=0.0, weekday=0.0)
    assert gain(*world, "time") == gain(*world, "sequence") > 1.5 * gain(*world, "taste")


def test_order_gains_nothing_where_it_means_nothing() -> None:
    world = asked(sequence=0.0)
    assert gain(*world, "time") > 1.2 * gain(*world, "sequence")
    assert gain(*world, "sequence") == gain(*world, "taste") > 1.25 * gain(*world, "none")


def test_taste_gains_nothing_where_all_are_alike() -> None:
    world, holdout = asked(sequence=0.0, taste=0.0)
    alike, popular = (
        oracle_scores(world, holdout, holdout.users, knows) for knows in ("taste", "none")
    )
    assert alike == pytest.approx(popular)


def test_hour_and_weekday_alone_gain_where_they_are_planted_and_together_all() -> None:
    for planted, useless in (("hour", "weekday"), ("weekday", "hour")):
        world = asked(**{planted: 2.0, useless: 0.0})
        assert gain(*world, planted) == gain(*world, "time") > 1.1 * gain(*world, "sequence")
        assert gain(*world, useless) == gain(*world, "sequence")
    both = asked()
    assert gain(*both, "sequence") < gain(*both, "weekday") < gain(*both, "hour")
    assert gain(*both, "hour") < gain(*both, "time")


@pytest.mark.parametrize("knows", ["sequence", "hour", "weekday", "time"])
def test_the_oracle_keeps_what_it_promises(knows: Knowledge) -> None:
    world, holdout = asked()
    scores = oracle_scores(world, holdout, holdout.users, knows)
    best = -np.sort(-scores, axis=1)[:, :10]
    promised = best @ (1 / np.log2(np.arange(10) + 2))
    gap = ndcg_of_next(scores, holdout) - promised
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


@pytest.mark.parametrize("settings", [{}, {"taste": 0.0, "sequence": 0.5, "popularity": 1.0}])
def test_knowing_nothing_is_as_good_as_counting(settings: dict[str, float]) -> None:
    world, holdout = asked(**settings)
    scores = oracle_scores(world, holdout, holdout.users, "none")
    counted = np.where(scores > 0, holdout.history.item_counts, -1)
    rows = np.searchsorted(holdout.users, holdout.targets.users)
    best, usual = (
        discounted(answers, rows, holdout.targets.items).mean() for answers in (scores, counted)
    )
    assert best > 0.95 * usual


def test_the_oracle_excludes_the_history_and_answers_any_batch() -> None:
    world, holdout = asked(events=2_000)
    scores = oracle_scores(world, holdout, holdout.users, "time")
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(holdout.users)))
    assert oracle_scores(world, holdout, holdout.users[3:4], "time") == pytest.approx(scores[3:4])
    for row, user in enumerate(holdout.users):
        seen = holdout.history.items[slice(*holdout.history.offsets[user : user + 2])]
        assert (scores[row, seen] == 0).all()
        assert (scores[row] == 0).sum() == len(seen)


def test_the_oracle_reads_raw_ids_after_filtering_and_serves_users_without_history() -> None:
    world, holdout = asked(events=2_000)
    data = draw(world)
    assert data.times is not None
    kept = (data.items % 2 == 1) & (data.users % 3 > 0)
    part = from_columns(users=data.users[kept], items=data.items[kept], times=data.times[kept])
    asked_twice = Holdout(
        history=part.take(part.users > 0),
        targets=part,
        warm_users=holdout.warm_users,
        warm_items=holdout.warm_items,
    )
    scores = oracle_scores(world, asked_twice, np.array([0]), "time")
    direct = world.probabilities(
        np.array([1]),
        np.array([-1]),
        part.times[:1] if part.times is not None else np.array([]),
        np.zeros((1, world.n_items), dtype=bool),
        "time",
    )
    assert scores == pytest.approx(direct[:, part.item_ids.ids])


def test_interactions_of_another_world_are_refused() -> None:
    world, holdout = asked(events=2_000)
    smaller = make_world(**(DEFAULTS | {"events": 1_000}))
    timeless = replace(holdout, targets=replace(holdout.targets, times=None))
    for foreign in (
        lambda: oracle_scores(smaller, holdout, holdout.users, "time"),
        lambda: oracle_scores(world, timeless, holdout.users, "time"),
    ):
        with pytest.raises(DataError, match="not drawn from this world"):
            foreign()

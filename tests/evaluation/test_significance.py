"""Intervals that hold what they promise, tests that cry wolf as seldom as they say, and gains that are found.

The simulated values are those of NDCG@10 with one target a user: most are 0, the others 1 / log2(position + 1).
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys_cli.errors import DataError
from recsys_cli.evaluation import significance as sig
from recsys_cli.evaluation.significance import Interval

GAINS = 1 / np.log2(np.arange(2, 12))


def hit_values(generator, chance, n_users):
    """NDCG@10 of users who are hit with these chances, at a random position."""
    hit = generator.random(n_users) < chance
    return np.where(hit, GAINS[generator.integers(len(GAINS), size=n_users)], 0.0)


def coverage(n_users, chance, simulations):
    truth = chance * GAINS.mean()
    inside = 0
    for seed in range(simulations):
        values = hit_values(np.random.default_rng(seed), chance, n_users)
        interval = sig.mean_interval(values, seed=seed, resamples=2_000)
        inside += interval.low <= truth <= interval.high
    return inside / simulations


def false_alarms(n_users, chance, simulations):
    """Two recommenders that are alike, over users of whom some are easier than others: who calls a difference?"""
    calls = np.zeros(3)
    for seed in range(simulations):
        generator = np.random.default_rng(seed)
        ease = generator.beta(1, 1 / chance - 1, size=n_users)
        first, second = (hit_values(generator, ease, n_users) for _ in range(2))
        found = sig.paired(first, second, seed=seed, resamples=1_000)
        by_interval, by_test = not found.interval.contains_zero, found.p < 0.05
        calls += (by_interval, by_test, by_interval and by_test)
    return calls / simulations


@pytest.mark.parametrize(("n_users", "chance"), [(200, 0.05), (300, 0.3)])
def test_19_of_20_intervals_hold_the_truth(n_users, chance):
    assert 0.93 <= coverage(n_users, chance, 1_000) <= 0.97


def test_two_alike_are_called_different_at_most_6_times_in_100():
    by_interval, by_test, by_both = false_alarms(200, 0.1, 1_000)
    assert 0.02 <= by_test <= 0.06
    assert by_both <= by_interval <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("n_users", "chance"), [(100, 0.1), (500, 0.05)])
def test_both_hold_for_other_sizes(n_users, chance):
    assert 0.93 <= coverage(n_users, chance, 2_000) <= 0.97
    assert false_alarms(n_users, chance, 3_000)[1:].max() <= 0.06


def test_a_planted_gain_is_found():
    generator = np.random.default_rng(0)
    found = 0
    for seed in range(50):
        ease = generator.beta(1, 9, size=1_000)
        worse, better = hit_values(generator, ease, 1_000), hit_values(generator, ease * 1.5, 1_000)
        told = sig.paired(better, worse, seed=seed, resamples=1_000)
        found += told.p < 0.05 and told.interval.low > 0
    assert found >= 45


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).lognormal(size=60),
        hit_values(np.random.default_rng(2), 0.2, 300),
    ],
    ids=["all distinct", "few distinct"],
)
def test_the_interval_is_that_of_scipy(values):
    drawn = stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(3)
    ).confidence_interval
    ours = sig.mean_interval(values, seed=0, resamples=20_000)
    width = drawn.high - drawn.low
    assert ours.low == pytest.approx(drawn.low, abs=0.03 * width)
    assert ours.high == pytest.approx(drawn.high, abs=0.03 * width)


@pytest.mark.parametrize(
    "differences", [np.array([3.0, -1, 2, 5, -2, 4, 1, 0, 6, 7]), np.tile([0.5, -0.25], 6)]
)
def test_the_test_is_that_of_all_flips(differences):
    flips = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    exact = (np.abs(flips @ differences) >= abs(differences.sum()) - 1e-9).mean()
    assert sig.sign_flip(differences, seed=0, resamples=20_000) == pytest.approx(exact, abs=0.015)


def test_many_users_with_few_values_are_flipped_in_groups():
    """60 of 100 users gain 1 and 40 lose 1: a binomial test says how often that comes by chance."""
    differences = np.repeat([1.0, -1.0, 0.0], [60, 40, 500])
    exact = stats.binomtest(60, 100).pvalue
    assert sig.sign_flip(differences, seed=0, resamples=20_000) == pytest.approx(exact, abs=0.005)


def test_the_same_seed_gives_the_same_numbers():
    values = np.random.default_rng(0).random(40)
    first, second, other = (
        sig.paired(values, values[::-1], seed=s, resamples=500) for s in (1, 1, 2)
    )
    assert first == second
    assert first.interval != other.interval


def test_a_recommender_against_itself_differs_by_nothing():
    values = hit_values(np.random.default_rng(0), 0.2, 100)
    told = sig.paired(values, values, seed=0, resamples=100)
    assert (told.mean, told.interval, told.effect_size, told.p) == (0.0, Interval(0, 0), 0.0, 1.0)
    assert told.interval.contains_zero
    assert (told.higher, told.lower) == (0.0, 0.0)


def test_the_direction_is_that_of_the_first_minus_the_reference():
    told = sig.paired(np.array([1.0, 1, 0, 1]), np.array([0.0, 0, 0.5, 1]), seed=0, resamples=100)
    assert told.mean == pytest.approx(1.5 / 4)
    assert (told.higher, told.lower) == (0.5, 0.25)
    assert told.effect_size == pytest.approx(0.375 / np.std([1, 1, -0.5, 0], ddof=1))


def test_the_same_gain_for_everybody_is_infinitely_sure():
    assert sig.effect_size(np.array([-0.5, -0.5])) == -math.inf
    assert sig.mean_interval(np.full(9, 0.5), seed=0) == Interval(0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan], [0.5, math.inf]])
def test_too_few_or_odd_values_are_refused(values):
    with pytest.raises(DataError, match="at least 2 users"):
        sig.mean_interval(np.array(values, dtype=float), seed=0)


@pytest.mark.parametrize(
    ("given", "corrected"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6, 0.9], [1.0, 1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm(given, corrected):
    assert sig.holm(given) == pytest.approx(corrected)


@pytest.mark.parametrize(("rows", "width"), [(5, 1), (5, 1 << 30), (1000, 1 << 14), (1, 7)])
def test_no_block_holds_more_than_fits(rows, width):
    blocks = sig._blocks(rows, width)
    assert sum(blocks) == rows
    assert all(size == 1 or size * width <= sig.DRAWS_AT_ONCE for size in blocks)


VALUES = st.lists(st.tuples(*[st.integers(0, 8).map(lambda n: n / 8)] * 2), min_size=2, max_size=30)
P_VALUES = st.lists(st.floats(0, 1), max_size=8)


@given(VALUES, st.integers(0, 9))
def test_the_other_way_round_everything_but_p_changes_its_sign(pairs, seed):
    first, second = np.array(pairs).T
    there = sig.paired(first, second, seed=seed, resamples=200)
    back = sig.paired(second, first, seed=seed, resamples=200)
    assert back.mean == -there.mean
    assert back.p == there.p
    assert back.effect_size == -there.effect_size
    assert (back.higher, back.lower) == (there.lower, there.higher)


@given(VALUES, st.integers(0, 9))
def test_an_interval_lies_within_the_values_and_p_within_its_range(pairs, seed):
    values = np.array(pairs)[:, 0] - np.array(pairs)[:, 1]
    found = sig.mean_interval(values, seed=seed, resamples=200)
    assert values.min() <= found.low <= found.high <= values.max()
    assert 1 / 201 <= sig.sign_flip(values, seed=seed, resamples=200) <= 1


@given(VALUES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_a_metric_is_no_matter(pairs, scale):
    first, second = np.array(pairs).T
    plain = sig.paired(first, second, seed=1, resamples=200)
    scaled = sig.paired(first * scale, second * scale, seed=1, resamples=200)
    assert scaled.p == plain.p
    assert scaled.effect_size == pytest.approx(plain.effect_size)
    assert scaled.interval.low == pytest.approx(plain.interval.low * scale)
    assert scaled.interval.high == pytest.approx(plain.interval.high * scale)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p, random):
    corrected = sig.holm(p)
    for raw, new in zip(p, corrected, strict=True):
        assert raw <= new <= min(1, raw * len(p))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert [corrected[at] for at in order] == sorted(corrected)
    random.shuffle(order)
    assert sig.holm([p[at] for at in order]) == [corrected[at] for at in order]


@given(P_VALUES, st.floats(0, 1))
def test_one_more_comparison_never_makes_another_surer(p, more):
    alone = sig.holm(p)
    assert all(a <= b for a, b in zip(alone, sig.holm([*p, more])[: len(p)], strict=True))

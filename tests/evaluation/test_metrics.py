from math import log2, nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.evaluation import metrics
from recsys_cli.evaluation.catalogue import METRICS
from recsys_cli.evaluation.metrics import BY_GAINS, BY_HITS, BY_LENGTH

LOG3 = log2(3)  # the discount at position 2 is 1 / log2(3); at 1 it is 1, at 3 it is 1 / 2

BY_HAND = [
    # metric, hits of the list (k = its length), targets n, value
    ("recall", [1, 0, 1], 4, 0.5),  # 2 of 4 found
    ("recall", [1, 1, 1], 6, 0.5),  # 3 of 6: there is no room for the others
    ("recall", [0, 0, 0], 1, 0.0),
    ("recall_capped", [1, 1, 1], 6, 1.0),  # 3 / min(3, 6)
    ("recall_capped", [1, 0, 1], 2, 1.0),  # 2 / min(3, 2)
    ("recall_capped", [0, 0, 1], 4, 1 / 3),  # 1 / min(3, 4)
    ("precision", [1, 0, 1, 0], 2, 0.5),  # 2 of 4 places
    ("precision", [1, 0, 0, 0, 0], 1, 0.2),  # 1 of 5 places, although all is found
    ("hit", [0, 0, 1], 7, 1.0),
    ("hit", [0, 0, 0], 7, 0.0),
    ("mrr", [0, 0, 1, 1], 2, 1 / 3),  # first hit at 3
    ("mrr", [1, 1], 2, 1.0),
    ("mrr", [0, 0], 2, 0.0),
    ("map", [1, 0, 1], 2, 5 / 6),  # (1/1 + 2/3) / min(3, 2)
    ("map", [1, 0, 1], 9, 5 / 9),  # (1/1 + 2/3) / min(3, 9)
    ("map_all_relevant", [1, 0, 1], 9, 5 / 27),  # (1/1 + 2/3) / 9
    ("map_all_relevant", [0, 1], 1, 0.5),  # (1/2) / 1
    ("map_hits", [1, 0, 1], 9, 5 / 6),  # (1/1 + 2/3) / 2 found
    ("map_hits", [0, 1], 3, 0.5),  # (1/2) / 1 found
    ("map_hits", [0, 0], 3, 0.0),
    ("ndcg", [1, 1, 1], 3, 1.0),
    ("ndcg", [1, 1], 5, 1.0),  # ideal over min(2, 5): the list could not be better
    ("ndcg", [0, 1], 1, 1 / LOG3),  # (1/log2 3) / 1
    ("ndcg", [0, 0, 1], 2, 0.5 / (1 + 1 / LOG3)),  # (1/log2 4) / (1 + 1/log2 3)
    ("ndcg", [1, 0, 1], 2, 1.5 / (1 + 1 / LOG3)),  # (1 + 1/2) / (1 + 1/log2 3)
    ("ndcg_full_ideal", [1, 1], 3, (1 + 1 / LOG3) / (1.5 + 1 / LOG3)),  # ideal over all 3
    ("ndcg_full_ideal", [1, 0, 1], 2, 1.5 / (1 + 1 / LOG3)),  # n < k: as ndcg
    ("ndcg_over_k", [1, 0, 0], 1, 1 / (1.5 + 1 / LOG3)),  # ideal of 3 in a row, for 1 target
    ("ndcg_first_two_equal", [0, 1, 0], 1, 1.0),  # the second place weighs as the first
    ("ndcg_first_two_equal", [0, 0, 1], 2, 1 / LOG3 / 2),  # (1/log2 3) / (1 + 1)
    ("ndcg_first_two_equal", [1, 0, 1], 5, (1 + 1 / LOG3) / (2 + 1 / LOG3)),  # min(3, 5)
    ("mean_precision", [1, 0, 0], 9, (1 + 1 / 2 + 1 / 3) / 3),
    ("mean_precision", [0, 0, 1], 1, 1 / 9),  # (0 + 0 + 1/3) / 3
    ("r_precision", [1, 0, 1, 1], 2, 0.5),  # 1 of the first 2
    ("r_precision", [1, 0, 1, 1], 4, 0.75),  # 3 of the first 4
]
LENGTH_BY_HAND = [
    # metric, hits at k = 4 places, targets n, items in the list, value
    ("precision_listed", [1, 0, 0, 0], 3, 2, 0.5),  # 1 of 2 items
    ("precision_listed", [1, 0, 0, 0], 3, 1, 1.0),  # the one item there is
    ("precision_listed", [0, 0, 0, 0], 3, 0, 0.0),  # no list
    ("map_listed", [0, 1, 0, 0], 3, 2, 0.25),  # (1/2) / min(2, 3)
    ("map_listed", [0, 1, 0, 0], 1, 2, 0.5),  # (1/2) / min(2, 1)
    ("map_listed", [0, 0, 0, 0], 3, 0, 0.0),
]
GRADED_BY_HAND = [
    # metric, values at the places of the list, all target values in descending order, value
    ("ndcg_graded", [1, 3], [3, 1], (1 + 7 / LOG3) / (7 + 1 / LOG3)),  # gains 2^1-1, 2^3-1
    ("ndcg_graded_linear", [1, 3], [3, 1], (1 + 3 / LOG3) / (3 + 1 / LOG3)),  # gains 1, 3
    ("ndcg_graded", [5, 0], [5, 4], 31 / (31 + 15 / LOG3)),  # gains 31, 0; ideal 31, 15
    ("ndcg_graded_linear", [0, 2], [2, 0], 1 / LOG3),  # (2/log2 3) / 2
    ("ndcg_graded", [2, 1], [2, 1], 1.0),
    ("ndcg_graded_linear", [0, 1], [1, 0], 1 / LOG3),  # an ideal of exactly 1
    ("ndcg_graded", [0, 0], [0, 0], nan),  # all values 0: no order is better than another
]


def values_of(name):
    return metrics.r_precision if name == "r_precision" else BY_HITS[name]


@pytest.mark.parametrize(("name", "hits", "n", "expected"), BY_HAND)
def test_by_hand(name, hits, n, expected):
    value = values_of(name)(torch.tensor([hits]).bool(), torch.tensor([n]))
    assert value.dtype == torch.float64
    assert value.tolist() == [pytest.approx(expected, abs=1e-12)]


@pytest.mark.parametrize(("name", "hits", "n", "length", "expected"), LENGTH_BY_HAND)
def test_by_hand_of_short_lists(name, hits, n, length, expected):
    counts = torch.tensor([n]), torch.tensor([length])
    value = BY_LENGTH[name](torch.tensor([hits]).bool(), *counts)
    assert value.tolist() == [pytest.approx(expected, abs=1e-12)]


@pytest.mark.parametrize(("name", "gains", "best", "expected"), GRADED_BY_HAND)
def test_graded_by_hand(name, gains, best, expected):
    value = BY_GAINS[name](torch.tensor([gains]).double(), torch.tensor([best]).double())
    assert value.tolist() == [pytest.approx(expected, abs=1e-12, nan_ok=True)]


def test_user_auc_by_hand():
    scores = torch.tensor(
        [
            [
                4.0,
                3.0,
                2.0,
                1.0,
            ],  # targets 0 and 2: 0 beats both others, 2 beats one of them: 3 of 4 pairs
            [1.0, 1.0, 1.0, 1.0],  # all equal: every pair counts one half
            [2.0, 5.0, 2.0, 1.0],  # target 0 loses to 1, ties with 2, beats 3: 1.5 of 3 pairs
            [
                -torch.inf,
                3.0,
                1.0,
                2.0,
            ],  # target 0 can't be ranked; target 1 beats both others: 2 of 4 pairs
            [1.0, 2.0, 3.0, 4.0],  # everything is a target
            [1.0, 2.0, 3.0, 4.0],  # nothing is
        ]
    )
    targets = torch.tensor(
        [
            [0, 2, -1, -1],
            [3, -1, -1, -1],
            [0, -1, -1, -1],
            [0, 1, -1, -1],
            [0, 1, 2, 3],
            [-1, -1, -1, -1],
        ]
    )
    value = metrics.user_auc(scores, targets)
    assert value.tolist() == pytest.approx([0.75, 0.5, 0.5, 0.5, nan, nan], nan_ok=True)


def test_user_auc_counts_pairs_beyond_single_precision():
    scores = torch.arange(9_002).float()[None]
    targets = torch.arange(0, 9_002, 2)[None]
    # target 2j beats the j others below it: (0 + 1 + ... + 4500) of 4501 x 4501 pairs
    assert metrics.user_auc(scores, targets).item() == pytest.approx(4500 / 9002, rel=1e-12)


@pytest.mark.parametrize("name", [*BY_HITS, "r_precision"])
def test_a_user_without_a_target_has_no_value(name):
    value = values_of(name)(torch.zeros(2, 3).bool(), torch.tensor([0, 1]))
    assert value.isnan().tolist() == [True, False]


@pytest.mark.parametrize("name", BY_HITS)
def test_bounds_and_the_best_list(name):
    every = torch.tensor([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)]).bool()
    value = BY_HITS[name](every, every.sum(1).clamp(min=1))
    assert value.min() >= METRICS[name].low
    assert value.max() == value[7] == METRICS[name].high


@pytest.mark.parametrize(
    "name", sorted(set(BY_HITS) - {"recall", "recall_capped", "precision", "hit"})
)
def test_earlier_is_better(name):
    early, late = torch.tensor([[1, 0, 0], [0, 0, 1]]).bool()
    n = torch.tensor([2])
    assert BY_HITS[name](early[None], n) > BY_HITS[name](late[None], n)


# --- properties -----------------------------------------------------------------------------------------------------

TINY = 1e-12
ORDERED = sorted(set(BY_HITS) - {"map_hits"})  # a late hit lowers the mean precision of the hits


@st.composite
def lists(draw, most_users=6, shortest=1):
    """Hits of some users, and their numbers of targets: at least those found, 0 for some without a hit."""
    users, width = draw(st.integers(1, most_users)), draw(st.integers(shortest, 8))
    row = st.lists(st.booleans(), min_size=width, max_size=width)
    hits = torch.tensor(draw(st.lists(row, min_size=users, max_size=users)))
    missed = torch.tensor(draw(st.lists(st.integers(0, 9), min_size=users, max_size=users)))
    return hits, hits.sum(1) + missed


def value(name, hits, n_relevant):
    return BY_HITS[name](hits, n_relevant).numpy()


def assert_close(left, right):
    np.testing.assert_allclose(left, right, rtol=0, atol=TINY)


@given(lists())
def test_values_lie_within_the_bounds_of_the_catalogue(lists):
    has_target = lists[1].numpy() > 0
    for name in BY_HITS:
        values = value(name, *lists)
        assert np.isnan(values).tolist() == (~has_target).tolist(), name
        low, high = METRICS[name].low, METRICS[name].high
        assert (values[has_target] >= low).all(), name
        assert (values[has_target] <= high + TINY).all(), name


@given(lists(most_users=1), st.data())
def test_one_more_hit_never_lowers_a_value(lists, data):
    hits, n_relevant = lists[0], lists[1] + 1
    more = hits.clone()
    more[0, data.draw(st.integers(0, hits.shape[1] - 1))] = True
    for name in ORDERED:
        assert value(name, more, n_relevant) >= value(name, hits, n_relevant) - TINY, name


@given(lists(most_users=1, shortest=2), st.data())
def test_a_hit_one_place_earlier_never_lowers_a_value(lists, data):
    hits, n_relevant = lists[0], lists[1] + 1
    at = data.draw(st.integers(1, hits.shape[1] - 1))
    late, early = hits.clone(), hits.clone()
    late[0, at - 1 : at + 1] = torch.tensor([False, True])
    early[0, at - 1 : at + 1] = torch.tensor([True, False])
    for name in BY_HITS:
        assert value(name, early, n_relevant) >= value(name, late, n_relevant) - TINY, name


@given(lists(), st.integers(1, 5))
def test_an_empty_tail_changes_nothing_where_the_length_is_not_in_the_formula(lists, more):
    hits, n_relevant = lists
    longer = torch.nn.functional.pad(hits, (0, more))
    for name in ("recall", "hit", "mrr", "map_all_relevant", "map_hits", "ndcg_full_ideal"):
        assert_close(value(name, longer, n_relevant), value(name, *lists))


@given(lists(), st.randoms(use_true_random=False))
def test_a_user_has_the_same_value_in_any_company_and_order(lists, random):
    hits, n_relevant = lists
    order = list(range(len(hits)))
    random.shuffle(order)
    for name in BY_HITS:
        together = value(name, *lists)
        moved = value(name, hits[order], n_relevant[order])
        alone = [value(name, hits[[u]], n_relevant[[u]])[0] for u in range(len(hits))]
        assert np.array_equal(moved, together[order], equal_nan=True), name
        assert np.array_equal(alone, together, equal_nan=True), name


@given(lists())
def test_recall_precision_and_hit_count_the_same_hits(lists):
    hits, n_relevant = lists
    found = np.where(n_relevant > 0, hits.sum(1), nan)
    assert_close(value("recall", *lists) * n_relevant.numpy(), found)
    assert_close(value("precision", *lists) * hits.shape[1], found)
    assert np.array_equal(value("hit", *lists) > 0, value("mrr", *lists) > 0)


@given(lists())
def test_variants_agree_where_their_formulas_meet(lists):
    hits, n_relevant = lists
    k = hits.shape[1]
    few = n_relevant.clamp(max=k)  # no more targets than places
    for one, other in (
        ("ndcg", "ndcg_full_ideal"),
        ("map", "map_all_relevant"),
        ("recall_capped", "recall"),
    ):
        assert_close(value(one, hits, few), value(other, hits, few))
    full = torch.full_like(n_relevant, k)
    for listed, usual in (("precision_listed", "precision"), ("map_listed", "map")):
        whole = BY_LENGTH[listed](hits, n_relevant, full)
        assert_close(whole, value(usual, *lists))


@given(lists())
def test_grades_of_0_and_1_are_hits(lists):
    hits, n_relevant = lists
    best = (torch.arange(hits.shape[1]) < n_relevant[:, None]).double()
    for name in BY_GAINS:
        assert_close(BY_GAINS[name](hits.double(), best), value("ndcg", *lists))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_no_order_of_grades_beats_the_descending_one(grades, random):
    best = torch.tensor([sorted(grades, reverse=True)]).double()
    random.shuffle(grades)
    for metric in BY_GAINS.values():
        found = metric(torch.tensor([grades]).double(), best).item()
        if any(grades):
            assert 0 <= found <= metric(best, best).item() == pytest.approx(1)
        else:
            assert np.isnan(found)


@given(
    st.lists(st.integers(-3, 3), min_size=2, max_size=10),
    st.sets(st.integers(0, 9), min_size=1),
)
def test_auc_of_negated_scores_is_the_rest_of_one_and_order_is_all_that_counts(scores, wanted):
    own = sorted(item for item in wanted if item < len(scores)) or [0]
    targets, s = torch.tensor([own]), torch.tensor([scores]).double()
    auc = metrics.user_auc(s, targets).item()
    if len(own) == len(scores):
        assert np.isnan(auc)
        return
    assert metrics.user_auc(-s, targets).item() == pytest.approx(1 - auc)
    assert metrics.user_auc(s.exp() * 7 + 2, targets).item() == auc


@given(lists(most_users=1))
def test_r_precision_is_the_precision_at_the_number_of_targets(lists):
    hits, n_relevant = lists
    n = int(n_relevant)
    enough = torch.nn.functional.pad(hits, (0, max(n - hits.shape[1], 0)))
    found = metrics.r_precision(enough, n_relevant).item()
    expected = value("precision", enough[:, :n], n_relevant).item()
    assert found == pytest.approx(expected, nan_ok=True)

from math import log2, nan

import pytest
import torch

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

"""Each dialect against what its library gave, on lists made by hand, with k = 3."""

from typing import get_args

import numpy as np
import pytest

from recsys_cli.evaluation.catalogue import METRICS
from recsys_cli.evaluation.dialects import DIALECTS, DialectName
from tests.evaluation.cases import Case, protocol

NAMES = ["ndcg", "recall", "precision", "hit", "mrr", "map"]
LISTS = [[5, 1, 2], [3, 4], [7, 6, 8], [2, 9, 1]]
TARGETS = [{5: 4, 2: 2, 7: 5, 8: 1, 9: 3}, {4: 5}, {1: 3, 2: 1}, {9: 2, 1: 5}]

# Values of the four users, as each library gave them for these lists and targets (its defaults, its version below).
RECORDED = {
    # RecBole 1.2.1, recbole.evaluator.metrics, on a numpy that still has np.float
    "recbole": {
        "ndcg": [0.7039180890341347, 0.6309297535714575, 0.0, 0.6934264036172708],
        "recall": [0.4, 1.0, 0.0, 1.0],
        "precision": [0.6666666666666666, 0.3333333333333333, 0.0, 0.6666666666666666],
        "hit": [1.0, 1.0, 0.0, 1.0],
        "mrr": [1.0, 0.5, 0.0, 0.5],
        "map": [0.5555555555555555, 0.5, 0.0, 0.5833333333333333],
    },
    # RecTools 0.19.0, rectools.metrics: NDCG, Recall, Precision, HitRate, MRR, MAP
    "rectools": {
        "ndcg": [0.7039180890341347, 0.2960819109658652, 0.0, 0.5307212739772434],
        "recall": [0.4, 1.0, 0.0, 1.0],
        "precision": [0.6666666666666666, 0.3333333333333333, 0.0, 0.6666666666666666],
        "hit": [1.0, 1.0, 0.0, 1.0],
        "mrr": [1.0, 0.5, 0.0, 0.5],
        "map": [0.3333333333333333, 0.5, 0.0, 0.5833333333333333],
    },
    # LensKit 2025.8.1, lenskit.metrics: NDCG, Recall, Precision, Hit, RecipRank, AveragePrecision
    "lenskit": {
        "ndcg": [0.6199062332840657, 1.0, 0.0, 0.8154648767857287],
        "recall": [0.6666666666666666, 1.0, 0.0, 1.0],
        "precision": [0.6666666666666666, 0.5, 0.0, 0.6666666666666666],
        "hit": [1.0, 1.0, 0.0, 1.0],
        "mrr": [1.0, 0.5, 0.0, 0.5],
        "map": [0.5555555555555555, 0.5, 0.0, 0.5833333333333333],
    },
}


def by_hand() -> Case:
    """Users whose scores give those lists; a short list has nothing else left to show."""
    scores = np.zeros((len(LISTS), 10))
    seen: list[set[int]] = []
    for user, own in enumerate(LISTS):
        scores[user, own] = np.arange(len(own), 0, -1)
        seen.append({item for item in range(10) if len(own) < 3 and item not in own})
    return Case(scores, seen, TARGETS)


@pytest.mark.parametrize("dialect", RECORDED)
def test_recorded_values(dialect):
    result = by_hand().evaluate(protocol(NAMES, [3], dialect=dialect))
    assert [[i for i in row if i >= 0] for row in result.ranked.tolist()] == LISTS
    for name, expected in RECORDED[dialect].items():
        assert result.per_user[f"{name}_at_3"].tolist() == pytest.approx(expected, abs=1e-12), name


def test_a_user_whose_list_is_empty_counts_as_zero_as_lenskit_fills_in():
    # LensKit 2025.8.1, RunAnalysis: NDCG@3, AveragePrecision@3 and Precision@3 of an empty list are 0 in the means
    case = Case(np.zeros((1, 4)), [set()], [{1: 1.0}])
    result = case.evaluate(protocol(["ndcg", "map", "precision"], [3], dialect="lenskit"))
    assert set(result.metrics.values()) == {0.0}


def test_elliot_by_hand():
    """Gain 2^(value - threshold + 1) - 1 at threshold 1; its MAP is the mean of precision at 1, 2 and 3."""
    result = by_hand().evaluate(protocol(NAMES, [3], dialect="elliot"))
    first = (15 + 3 / 2) / (
        31 + 15 / np.log2(3) + 7 / 2
    )  # values 4 and 2 found; 5, 4, 3 are the best
    assert result.per_user["ndcg_at_3"][0] == pytest.approx(first, abs=1e-12)
    precisions = [(1 + 1 / 2 + 2 / 3) / 3, (0 + 1 / 2 + 1 / 3) / 3, 0, (0 + 1 / 2 + 2 / 3) / 3]
    assert result.per_user["map_at_3"].tolist() == pytest.approx(precisions, abs=1e-12)


def test_every_dialect_names_described_variants_and_can_be_chosen():
    assert tuple(DIALECTS) == get_args(DialectName)
    for dialect in DIALECTS.values():
        assert set(dialect.variants) == set(NAMES)
        assert set(dialect.variants.values()) <= set(METRICS)


def test_without_a_dialect_every_name_is_its_own():
    assert all(name == variant for name, variant in DIALECTS["recsys"].variants.items())
    assert protocol(NAMES, [3]).in_words() == ""


def test_a_name_that_no_dialect_has_keeps_its_meaning():
    names = ["ndcg", "map_hits", "coverage", "popularity"]
    plain, other = (
        by_hand().evaluate(protocol(names, [3], dialect=name)) for name in ("recsys", "lenskit")
    )
    for name in names[1:]:
        assert plain.metrics[f"{name}_at_3"] == other.metrics[f"{name}_at_3"]
    assert plain.metrics["ndcg_at_3"] != other.metrics["ndcg_at_3"]


def test_a_graded_dialect_refuses_values_that_are_no_grades():
    from recsys_cli.errors import DataError

    case = Case(np.eye(3), [set()] * 3, [{0: 1.0}, {1: 2000.0}, {2: 1.0}])
    assert case.evaluate(protocol(["ndcg"], [1])).metrics["ndcg_at_1"] == 1.0
    with pytest.raises(DataError, match="ndcg takes the targets' values as grades"):
        case.evaluate(protocol(["ndcg"], [1], dialect="ranx"))


def test_what_a_dialect_changes_is_said():
    said = protocol(NAMES, [3], dialect="rectools").in_words()
    assert said == (
        "metrics as RecTools 0.19.0 defines them: ndcg is ndcg_over_k, map is map_all_relevant "
        "(evaluation.dialect=rectools)"
    )

"""The metrics equal, to 1e-9, those of other libraries and those of plain Python, on random and adversarial users.

Each example is a batch of 30 users, so the 40 examples of a test are 1,200 users.
"""

from math import isnan

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.dialects import DIALECTS
from recsys_cli.evaluation.metrics import BY_GAINS, BY_HITS, BY_LENGTH
from recsys_cli.evaluation.protocol import RankingProtocol
from tests.conftest import examples
from tests.evaluation import twins
from tests.evaluation.cases import Case, categories, protocol, random_case

CUTOFFS = [1, 3, 10]
TOLERANCE = 1e-9
EVERY = [
    *BY_HITS,
    *BY_LENGTH,
    *BY_GAINS,
    "r_precision",
    "user_auc",
    "tied",
    "coverage",
    "gini",
    "novelty",
    "popularity",
    "diversity",
    "calibration",
]
RANX = {
    f"{ours}_at_{k}": f"{theirs}@{k}"
    for k in CUTOFFS
    for ours, theirs in {
        "recall": "recall",
        "precision": "precision",
        "hit": "hit_rate",
        "mrr": "mrr",
        "map_all_relevant": "map",
        "ndcg": "ndcg",
        "ndcg_graded_linear": "ndcg",
        "ndcg_graded": "ndcg_burges",
    }.items()
}
many_users = examples(40)
seeds, catalogues = st.integers(0, 2**32 - 1), st.integers(1, 25)


def assert_equal(ours: np.ndarray, theirs: list[float]) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE, equal_nan=True)


def run(case: Case, *, binary: bool) -> tuple[dict, dict]:
    """The case as the relevance judgements and the rankings of an evaluation library."""
    qrels = {
        f"u{user:03d}": {f"i{item}": 1 if binary else int(value) for item, value in own.items()}
        for user, own in enumerate(case.targets)
    }
    lists = {
        f"u{user:03d}": {
            f"i{item}": float(score)
            for item, score in enumerate(case.scores[user])
            if item not in case.seen[user]
        }
        for user in range(len(case.targets))
    }
    return qrels, {user: ranked for user, ranked in lists.items() if ranked}


@many_users
@given(seeds, catalogues)
def test_ir_measures(seed, n_items):
    case = random_case(seed, n_items)
    result = case.evaluate(protocol([*BY_HITS, *BY_GAINS, "r_precision"], CUTOFFS))
    theirs = {"r_precision": ir_measures.Rprec}
    for k in CUTOFFS:
        theirs |= {
            f"recall_at_{k}": ir_measures.R @ k,
            f"precision_at_{k}": ir_measures.P @ k,
            f"hit_at_{k}": ir_measures.Success @ k,
            f"mrr_at_{k}": ir_measures.RR @ k,
            f"map_all_relevant_at_{k}": ir_measures.AP @ k,
            f"ndcg_at_{k}": ir_measures.nDCG @ k,
        }
    graded = {f"ndcg_graded_linear_at_{k}": ir_measures.nDCG @ k for k in CUTOFFS}
    for keys, binary in ((theirs, True), (graded, False)):
        values = {
            (metric.measure, metric.query_id): metric.value
            for metric in ir_measures.iter_calc(list(keys.values()), *run(case, binary=binary))
        }
        for key, measure in keys.items():
            expected = [values[measure, f"u{user:03d}"] for user in range(len(case.targets))]
            assert_equal(result.per_user[key], expected)


IR_MEASURES = {
    "ndcg": ir_measures.nDCG,
    "recall": ir_measures.R,
    "precision": ir_measures.P,
    "hit": ir_measures.Success,
    "mrr": ir_measures.RR,
    "map": ir_measures.AP,
}


@many_users
@given(seeds, catalogues)
def test_the_dialect_of_ir_measures_is_what_it_computes_from_targets_with_values(seed, n_items):
    assert set(IR_MEASURES) == set(DIALECTS["ir_measures"].variants)
    case = random_case(seed, n_items)
    result = case.evaluate(protocol(list(IR_MEASURES), CUTOFFS, dialect="ir_measures"))
    keys = {f"{name}_at_{k}": IR_MEASURES[name] @ k for name in IR_MEASURES for k in CUTOFFS}
    found = ir_measures.iter_calc(list(keys.values()), *run(case, binary=False))
    values = {(metric.measure, metric.query_id): metric.value for metric in found}
    for key, measure in keys.items():
        expected = [values[measure, f"u{user:03d}"] for user in range(len(case.targets))]
        assert_equal(result.per_user[key], expected)


@many_users
@given(seeds, st.integers(2, 25))
def test_scikit_learn(seed, n_items):
    case = random_case(seed, n_items)
    rules = protocol(["ndcg_graded", "ndcg_graded_linear", "user_auc"], CUTOFFS, exclude_seen=False)
    result = case.evaluate(rules)
    grades = np.array([[own.get(i, 0.0) for i in range(n_items)] for own in case.targets])
    for k in CUTOFFS:
        for name, gains in (("ndcg_graded_linear", grades), ("ndcg_graded", 2**grades - 1)):
            assert_equal([result.metrics[f"{name}_at_{k}"]], [ndcg_score(gains, case.scores, k=k)])
    for own, scores, value in zip(grades, case.scores, result.per_user["user_auc"], strict=True):
        expected = roc_auc_score(own > 0, scores) if own.min() == 0 else np.nan
        assert_equal([value], [expected])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # its compiler warns about its own casts
def test_ranx():
    import ranx  # compiles for seconds

    lists, judged = {}, {True: {}, False: {}}
    ours = {name: [] for name in RANX}
    for seed in range(40):
        case = random_case(seed, 1 + seed % 25)
        result = case.evaluate(protocol([*BY_HITS, *BY_GAINS], CUTOFFS))
        for binary in (True, False):
            qrels, own = run(case, binary=binary)
            judged[binary] |= {f"{seed:02d}{user}": qrels[user] for user in own}
        lists |= {f"{seed:02d}{user}": ranked for user, ranked in own.items()}
        asked = [user for user in range(len(case.targets)) if f"u{user:03d}" in own]
        for name in ours:
            ours[name] += result.per_user[name][asked].tolist()
    assert len(lists) > 1000
    for binary in (True, False):
        names = {name: theirs for name, theirs in RANX.items() if ("graded" in name) != binary}
        theirs = ranx.evaluate(
            ranx.Qrels(judged[binary]), ranx.Run(lists), list(names.values()), return_mean=False
        )
        for name, their_name in names.items():
            assert_equal(np.array(ours[name]), theirs[their_name])


RANX_NAMES = {
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "hit": "hit_rate",
    "mrr": "mrr",
    "map": "map",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # its compiler warns about its own casts
def test_the_dialect_of_ranx_is_what_it_computes_from_targets_with_values():
    import ranx  # compiles for seconds

    assert set(RANX_NAMES) == set(DIALECTS["ranx"].variants)
    for seed in range(10):
        case = random_case(seed, 15 + seed)
        result = case.evaluate(protocol(list(RANX_NAMES), CUTOFFS, dialect="ranx"))
        qrels, lists = run(case, binary=False)
        asked = [user for user in range(len(case.targets)) if f"u{user:03d}" in lists]
        measures = {f"{n}_at_{k}": f"{RANX_NAMES[n]}@{k}" for n in RANX_NAMES for k in CUTOFFS}
        theirs = ranx.evaluate(
            ranx.Qrels({user: qrels[user] for user in lists}),
            ranx.Run(lists),
            list(measures.values()),
            return_mean=False,
        )
        for key, measure in measures.items():
            assert_equal(result.per_user[key][asked], theirs[measure])


@many_users
@given(seeds, catalogues, st.booleans(), st.booleans())
def test_plain_python(seed, n_items, ties, exclude_seen):
    case = random_case(seed, n_items, ties=ties)
    rules = protocol(EVERY, CUTOFFS, exclude_seen=exclude_seen)
    result = case.evaluate(rules)
    seen = case.seen if exclude_seen else [set()] * len(case.seen)
    rows = list(zip(case.scores.tolist(), seen, case.targets, strict=True))
    assert_equal(result.per_user["user_auc"], [twins.user_auc(*row) for row in rows])
    assert_equal(result.per_user["r_precision"], [twins.r_precision(*row) for row in rows])
    for k in CUTOFFS:
        lists = [twins.ranked_list(scores, own, k) for scores, own, _ in rows]
        assert [[i for i in row if i >= 0] for row in result.ranked[:, :k].tolist()] == lists
        for name, twin in twins.AT_K.items():
            expected = [twin(ranked, t, k) for ranked, (_, _, t) in zip(lists, rows, strict=True)]
            assert_equal(result.per_user[f"{name}_at_{k}"], expected)
        tied = [twins.tied(scores, own, k) for scores, own, _ in rows]
        assert_equal(result.per_user[f"tied_at_{k}"], tied)
        _compare_beyond(result, case.holdout(), lists, k)
        kinds = [set(np.flatnonzero(row)) for row in categories(n_items).of_items]
        diverse = [twins.diversity(ranked, kinds) for ranked in lists]
        assert_equal(result.per_user[f"diversity_at_{k}"], diverse)
        calibrated = [
            twins.calibration(ranked, own, kinds)
            for ranked, own in zip(lists, case.seen, strict=True)
        ]
        assert_equal(result.per_user[f"calibration_at_{k}"], calibrated)
    _compare_means(result, rules)


def _compare_beyond(result, holdout: Holdout, lists: list[list[int]], k: int) -> None:
    n_items = holdout.history.n_items
    assert_equal([result.metrics[f"coverage_at_{k}"]], [twins.coverage(lists, n_items)])
    assert_equal([result.metrics.get(f"gini_at_{k}", np.nan)], [twins.gini(lists, n_items)])
    pairs = set(zip(holdout.history.users.tolist(), holdout.history.items.tolist(), strict=True))
    counts = [sum(i == item for _, i in pairs) for item in range(n_items)]
    n_users = len({user for user, _ in pairs})
    surprise = [np.log2(max(n_users, 1) / max(count, 1)) for count in counts]
    assert_equal(result.per_user[f"popularity_at_{k}"], [twins.mean_over(r, counts) for r in lists])
    assert_equal(result.per_user[f"novelty_at_{k}"], [twins.mean_over(r, surprise) for r in lists])


def _compare_means(result, rules: RankingProtocol) -> None:
    """Every mean is over the users who have a value."""
    for key in rules.keys:
        if key in result.per_user:
            present = [value for value in result.per_user[key].tolist() if not isnan(value)]
            if present:
                assert result.metrics[key] == pytest.approx(
                    sum(present) / len(present), abs=TOLERANCE
                )
            else:
                assert key not in result.metrics

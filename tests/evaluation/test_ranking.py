from contextlib import contextmanager
from math import log2

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.split import Holdout
from recsys_cli.data.time_splits import global_time
from recsys_cli.data.user_splits import leave_last_out, per_user_ratio
from recsys_cli.errors import DataError
from recsys_cli.evaluation import ranking
from recsys_cli.evaluation.ranking import evaluate
from tests.conftest import examples
from tests.evaluation.cases import CPU, Case, Table, protocol, random_case
from tests.evaluation.test_protocol import CONFIGS

RULES = protocol(["recall", "ndcg", "coverage", "popularity"], [1, 3])


def test_by_hand():
    case = Case(
        scores=np.array([[9, 8, 7, 6, 5], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0.0]]),
        seen=[{0}, set(), {1}],
        targets=[{2: 1.0}, {4: 1.0, 0: 1.0}, {0: 1.0}],
    )
    result = case.evaluate(RULES)
    assert result.users.tolist() == [0, 1, 2]
    # user 0 had item 0; user 2 was told nothing
    assert result.ranked.tolist() == [[1, 2, 3], [4, 3, 2], [-1, -1, -1]]
    assert result.ranked.dtype == np.int32
    assert result.per_user["recall_at_3"].tolist() == [1.0, 0.5, 0.0]
    assert result.per_user["ndcg_at_1"].tolist() == [0.0, 1.0, 0.0]
    assert result.metrics["ndcg_at_3"] == pytest.approx(
        (1 / log2(3) + 1 / (1 + 1 / log2(3)) + 0) / 3, abs=1e-15
    )
    assert result.metrics["coverage_at_3"] == 4 / 5  # items 1, 2, 3, 4
    # item counts so far: one event of item 0, one of item 1; lists [1, 2, 3] and [4, 3, 2]
    assert result.metrics["popularity_at_3"] == pytest.approx((1 / 3 + 0) / 2)
    assert result.primary == result.metrics["ndcg_at_1"] == pytest.approx(1 / 3)
    assert (result.n_users, result.n_warm_users, result.n_seen_targets) == (3, 3, 0)


def test_only_users_with_a_target_are_asked():
    case = Case(np.eye(4), [set()] * 4, [{}, {1: 1.0}, {}, {0: 1.0}])
    result = case.evaluate(RULES)
    assert result.users.tolist() == [1, 3]
    assert result.metrics["recall_at_1"] == 0.5


def test_a_constant_score_is_never_a_hit_even_for_targets_with_the_lowest_codes():
    case = Case(
        np.full((5, 8), 0.3), [set(), {0}, {7}, {1, 2}, set()], [{i: 1.0} for i in (0, 1, 0, 0, 0)]
    )
    result = case.evaluate(protocol(["recall", "hit", "mrr", "map", "tied", "user_auc"], [1, 5, 8]))
    accuracy = {k: v for k, v in result.metrics.items() if not k.startswith(("tied", "user_auc"))}
    assert set(accuracy.values()) == {0.0}
    assert result.metrics["tied_at_5"] == 1.0
    assert result.metrics["user_auc"] == 0.5


class Oracle(nn.Module):
    """Scores exactly the given pairs highest."""

    reads, history_length = frozenset({"users"}), None

    def __init__(self, pairs, n_users, n_items):
        super().__init__()
        self.table = torch.arange(n_items).flip(0).float().repeat(n_users, 1) / n_items
        self.table[pairs.users.astype(np.int64), pairs.items.astype(np.int64)] += 2

    def score(self, queries):
        return self.table[queries.users]


SPLITS = {
    "leave_last_out": lambda x: leave_last_out(interactions=x, min_events=3),
    "per_user_ratio": lambda x: per_user_ratio(
        interactions=x, seed=1, valid_ratio=0.25, test_ratio=0.25, chronological=False
    ),
    "global_time": lambda x: global_time(interactions=x, test_days=2, valid_days=2),
}


@pytest.fixture(params=SPLITS)
def split(request):
    generator = np.random.default_rng(2)
    pairs = [(u, i) for u in range(30) for i in generator.permutation(25)[:12]]
    users, items = np.array(pairs).T
    times = generator.integers(0, 10 * 86_400, len(users))
    return SPLITS[request.param](from_columns(users=users, items=items, times=times))


@pytest.mark.parametrize("part", ["train", "valid"])
def test_the_test_masks_training_and_validation(split, part):
    """A model that repeats what was known must find none of it in its lists, and gains nothing by it."""
    known = split.train if part == "train" else split.valid.targets
    model = Oracle(known, split.n_users, split.n_items)
    result = evaluate(model, split.test, protocol(["recall"], [10]), device=CPU)
    listed = {
        (u, i) for u, row in zip(result.users, result.ranked, strict=True) for i in row if i >= 0
    }
    assert listed
    assert not listed & set(zip(known.users.tolist(), known.items.tolist(), strict=True))


def test_validation_masks_training_only(split):
    model = Oracle(split.test.targets, split.n_users, split.n_items)
    result = evaluate(model, split.valid, protocol(["recall"], [10]), device=CPU)
    listed = {(u, i) for u, row in zip(result.users, result.ranked, strict=True) for i in row}
    assert listed & set(
        zip(split.test.targets.users.tolist(), split.test.targets.items.tolist(), strict=True)
    )


def test_the_oracle_is_perfect(split):
    for part in (split.valid, split.test):
        model = Oracle(part.targets, split.n_users, split.n_items)
        result = evaluate(
            model,
            part,
            protocol(["recall_capped", "mrr", "map", "hit", "r_precision", "user_auc"], [1, 5]),
            device=CPU,
        )
        assert {
            key: value
            for key, value in result.metrics.items()
            if value != 1.0 and "warm" not in key
        } == {}


def test_seen_items_stay_where_they_are_not_excluded():
    case = Case(np.array([[3.0, 2.0, 1.0]]), [{0}], [{0: 1.0}])
    kept = case.evaluate(protocol(["recall"], [1], exclude_seen=False))
    assert kept.ranked.tolist() == [[0]]
    assert (kept.metrics["recall_at_1"], kept.n_seen_targets) == (1.0, 0)


class Listener:
    """Remembers what it is told."""

    def __init__(self):
        self.notes, self.bars, self.steps = [], [], 0

    def note(self, text):
        self.notes.append(text)

    @contextmanager
    def bar(self, what, total, unit):
        self.bars.append((what, total, unit))
        yield self

    def advance(self, steps=1, **shown):
        self.steps += steps


def test_a_target_that_was_already_seen_is_a_miss_and_is_told():
    case = Case(
        np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), [{0}, set()], [{0: 1.0, 1: 1.0}, {2: 1.0}]
    )
    told = Listener()
    result = evaluate(
        Table(case.scores), case.holdout(), RULES, device=CPU, progress=told, what="validation"
    )
    assert result.per_user["recall_at_3"].tolist() == [0.5, 1.0]
    assert result.n_seen_targets == 1
    assert told.notes[0].startswith(
        "1 of 3 validation targets are items that their user already had"
    )
    assert told.bars == [("evaluate validation", 2, "users")]
    assert told.steps == 2


def test_warm_variants_are_there_only_where_they_differ():
    case = Case(
        scores=np.array([[4.0, 3, 2, 1], [4, 3, 2, 1], [4, 3, 2, 1]]),
        seen=[set()] * 3,
        targets=[{0: 1.0, 3: 1.0}, {3: 1.0}, {1: 1.0}],
    )
    assert not any(key.startswith("warm_") for key in case.evaluate(RULES).metrics)
    result = case.evaluate(RULES, warm_items=np.array([True, True, True, False]))
    assert result.metrics["recall_at_1"] == pytest.approx((0.5 + 0 + 0) / 3)
    # without item 3: user 0 is to find item 0, user 1 has nothing left to find, user 2 is to find item 1
    assert result.metrics["warm_recall_at_1"] == pytest.approx((1 + 0) / 2)
    assert (result.n_users, result.n_warm_users) == (3, 2)
    result = case.evaluate(RULES, warm_users=np.array([True, False, True]))
    assert result.metrics["warm_recall_at_1"] == pytest.approx((0.5 + 0) / 2)


def test_popularity_counts_events_and_novelty_users():
    """User 0 met item 0 three times, user 1 met item 1: two users, so each item is worth log2(2 / 1) = 1 bit."""
    data = from_columns(users=np.array([0, 0, 0, 1, 0]), items=np.array([0, 0, 0, 1, 2]))
    part = Holdout(
        data.take(data.items < 2), data.take(data.items == 2), np.ones(2, bool), np.ones(3, bool)
    )
    rules = protocol(["novelty", "popularity"], [1], exclude_seen=False)
    result = evaluate(Table(np.array([[3.0, 2.0, 1.0]])), part, rules, device=CPU)
    assert result.metrics["popularity_at_1"] == 3.0
    assert result.metrics["novelty_at_1"] == 1.0


def test_nothing_warm_gives_no_warm_value():
    case = Case(np.eye(3), [set()] * 3, [{0: 1.0}] * 3)
    result = case.evaluate(RULES, warm_items=np.array([False, True, True]))
    assert not any(key.startswith("warm_") for key in result.metrics)
    assert result.n_warm_users == 0


def test_a_holdout_without_targets_is_refused():
    with pytest.raises(DataError) as caught:
        Case(np.eye(2), [{0}, {1}], [{}, {}]).evaluate(RULES)
    assert caught.value.line == (
        "no user has a target; choose a split that leaves something to predict"
    )


@pytest.mark.parametrize("value", [-1.0, 1000.0])
@pytest.mark.parametrize("name", ["ndcg_graded", "ndcg_graded_linear"])
def test_values_that_are_no_grades_are_refused(value, name):
    case = Case(np.eye(2), [set()] * 2, [{0: 1.0}, {1: value}])
    with pytest.raises(DataError) as caught:
        case.evaluate(protocol([name], [1]))
    low, high = min(1.0, value), max(1.0, value)
    assert caught.value.line == (
        f"{name} takes the targets' values as grades from 0 to 64; here they go from {low:g} to {high:g}; "
        "leave it out of evaluation.metrics, or bring the values into that range"
    )
    assert case.evaluate(RULES).metrics["recall_at_1"] == 1.0


def test_a_primary_metric_without_a_value_is_refused():
    case = Case(np.eye(2), [set()] * 2, [{0: 0.0}, {1: 0.0}])  # no grade is above 0
    with pytest.raises(DataError) as caught:
        case.evaluate(protocol(["ndcg_graded"], [1], primary="ndcg_graded_at_1"))
    assert caught.value.line == (
        "no user has a value of ndcg_graded_at_1; choose another evaluation.primary"
    )


def test_the_greatest_grade_is_one_that_is_taken():
    case = Case(np.eye(2), [set()] * 2, [{0: 64.0}, {1: 0.0}])
    assert case.evaluate(protocol(["ndcg_graded"], [1])).metrics["ndcg_graded_at_1"] == 1.0


def test_only_metrics_that_are_asked_for_are_there():
    case = Case(np.eye(3), [set()] * 3, [{0: 1.0}] * 3)
    rules = protocol(["coverage"], [1])
    assert set(case.evaluate(rules).metrics) == {"ndcg_at_1", "coverage_at_1"}


def test_items_that_nobody_had_or_sees_are_part_of_the_catalogue():
    """Of three known users two had item 0 and one item 1: log2(3 / 2) and log2(3) bits; items 2 and 3 nobody had."""
    scores = np.array([[3.0, 2, 1, 0]] * 4)
    case = Case(scores, [{0}, {0}, {1}, set()], [{}, {}, {}, {1: 1.0}])
    result = case.evaluate(protocol(["novelty", "coverage", "gini"], [1, 3]))
    assert result.metrics["coverage_at_1"] == 1 / 4
    assert result.metrics["gini_at_1"] == 3 / 4
    assert result.metrics["novelty_at_1"] == pytest.approx(log2(3 / 2))
    assert result.metrics["novelty_at_3"] == pytest.approx((log2(3 / 2) + 2 * log2(3)) / 3)


def test_one_known_user_is_one():
    case = Case(np.array([[2.0, 1.0]] * 2), [{1}, set()], [{}, {0: 1.0}])
    assert case.evaluate(protocol(["novelty"], [1])).metrics["novelty_at_1"] == 0.0


@examples(10)
@given(st.integers(0, 2**32 - 1), st.permutations(range(30)), st.permutations(range(15)))
def test_order_of_users_and_items_does_not_matter_without_ties(seed, users, items):
    case = random_case(seed, 15)
    users, items = np.array(users), np.array(items)
    moved = Case(
        scores=case.scores[users][:, items],
        seen=[{int(np.argsort(items)[i]) for i in case.seen[u]} for u in users],
        targets=[{int(np.argsort(items)[i]): v for i, v in case.targets[u].items()} for u in users],
    )
    rules = protocol(["recall", "map", "ndcg_graded", "user_auc", "gini", "novelty"], [2, 7])
    assert moved.evaluate(rules).metrics == pytest.approx(case.evaluate(rules).metrics, abs=1e-12)


@examples(10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 31))
def test_users_measured_at_once_do_not_show(seed, at_once):
    case = random_case(seed, 9, ties=True)
    rules = protocol(["recall", "map_listed", "ndcg_graded", "coverage"], [1, 4])
    whole = case.evaluate(rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "USERS_AT_ONCE", at_once)
        parts = case.evaluate(rules)
    assert parts.metrics == whole.metrics
    for key, values in whole.per_user.items():
        assert np.array_equal(parts.per_user[key], values, equal_nan=True)


@examples(15)
@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.booleans())
def test_no_list_holds_what_its_user_had_or_an_item_twice(seed, n_items, ties):
    case = random_case(seed, n_items, ties=ties)
    for row, seen in zip(case.evaluate(RULES).ranked.tolist(), case.seen, strict=True):
        listed = [item for item in row if item >= 0]
        assert not set(listed) & seen
        assert len(set(listed)) == len(listed)
        assert row == listed + [-1] * (len(row) - len(listed))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_computes_what_it_names(path):
    settings = yaml.safe_load(path.read_text())
    rules = protocol(**{k: v for k, v in settings.items() if k != "_target_"})
    result = random_case(1, 30).evaluate(rules)
    assert list(result.metrics) == rules.keys
    assert result.primary == result.metrics[settings["primary"]]

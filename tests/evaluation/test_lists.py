"""Lists of another program are measured like those of a model: the same rules, users and numbers."""

import numpy as np
import pytest
import torch

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.list_file import Lists
from recsys_cli.data.user_splits import leave_last_out
from recsys_cli.errors import DataError
from recsys_cli.evaluation.lists import evaluate_lists
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import evaluate

ALL = [
    "ndcg",
    "recall",
    "precision",
    "hit",
    "mrr",
    "map",
    "coverage",
    "gini",
    "novelty",
    "popularity",
]
CPU = torch.device("cpu")


def protocol(**changed):
    asked = {
        "cutoffs": [1, 3],
        "metrics": ["hit", "ndcg"],
        "primary": "hit_at_3",
        "exclude_seen": True,
        "dialect": "recsys",
    }
    return RankingProtocol(**(asked | changed))


def lists(*pairs):
    users, items = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Lists(users, items, "rank")


@pytest.fixture
def test_part():
    """Users 0-2 had items 0, 1, 2 and then 3; user 3 had 4 once."""
    events = from_columns(
        users=np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]),
        items=np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4]),
    )
    return leave_last_out(interactions=events, min_events=3).test


def test_a_list_is_measured_by_its_order(test_part):
    found = evaluate_lists(lists((0, 4), (0, 3), (1, 3)), test_part, protocol())
    assert found.result.ranked.tolist() == [[4, 3, -1], [3, -1, -1], [-1, -1, -1]]
    assert found.result.per_user["hit_at_1"].tolist() == [0, 1, 0]
    assert found.result.per_user["hit_at_3"].tolist() == [1, 1, 0]
    assert found.result.metrics["hit_at_3"] == pytest.approx(2 / 3)
    assert (found.n_without_list, found.n_not_asked, found.n_seen, found.longest) == (1, 0, 0, 2)


def test_seen_items_are_taken_out_and_those_below_move_up(test_part):
    given = lists((0, 0), (0, 1), (0, 3), (1, 2))
    found = evaluate_lists(given, test_part, protocol())
    assert found.result.ranked.tolist()[:2] == [[3, -1, -1], [-1, -1, -1]]
    assert found.n_seen == 3
    kept = evaluate_lists(given, test_part, protocol(exclude_seen=False))
    assert kept.result.ranked.tolist()[:2] == [[0, 1, 3], [2, -1, -1]]
    assert kept.n_seen == 0


def test_who_has_no_target_is_not_asked_and_what_is_too_long_is_cut(test_part):
    given = lists((0, 4), (0, 3), (3, 0), (3, 1))
    found = evaluate_lists(given, test_part, protocol(cutoffs=[1], primary="hit_at_1"))
    assert found.result.users.tolist() == [0, 1, 2]
    assert found.result.ranked.tolist() == [[4], [-1], [-1]]
    assert (found.n_not_asked, found.n_without_list) == (1, 2)


def test_metrics_that_need_all_scores_are_left_out(test_part):
    asked = protocol(metrics=["hit", "tied", "user_auc"])
    found = evaluate_lists(lists((0, 3)), test_part, asked)
    assert found.left_out == ["tied", "user_auc"]
    assert list(found.result.metrics) == ["hit_at_1", "hit_at_3"]
    for primary, given in [("user_auc", "user_auc"), (None, "user_auc"), ("hit_at_7", "hit_at_3")]:
        with pytest.raises(DataError, match="cannot be computed from lists"):
            evaluate_lists(
                lists((0, 3)),
                test_part,
                protocol(metrics=["hit", "user_auc"], primary=given),
                primary=primary,
            )


class Fixed(torch.nn.Module):
    reads = frozenset({"users"})
    history_length = None

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.from_numpy(scores)

    def score(self, queries):
        return self.scores[queries.users]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_lists_of_a_model_have_its_numbers_bit_for_bit(checkerboard, exclude_seen):
    """Also with ties, repeated items among the targets, and users whose scores tell nothing."""
    generator = np.random.default_rng(0)
    repeated = from_columns(
        users=np.concatenate([checkerboard.users, checkerboard.users[:40]]),
        items=np.concatenate([checkerboard.items, checkerboard.items[:40]]),
    )
    holdout = leave_last_out(interactions=repeated, min_events=3).test
    scores = generator.integers(6, size=(40, 20)).astype(np.float32)
    scores[3] = 1.0
    asked = protocol(
        metrics=ALL, cutoffs=[1, 5, 10], primary="ndcg_at_5", exclude_seen=exclude_seen
    )
    by_model = evaluate(Fixed(scores), holdout, asked, device=CPU)
    row, column = np.nonzero(by_model.ranked >= 0)
    given = Lists(by_model.users[row], by_model.ranked[row, column].astype(np.int64), "rank")
    by_lists = evaluate_lists(given, holdout, asked).result
    assert by_lists.metrics == by_model.metrics
    assert by_lists.n_seen_targets == by_model.n_seen_targets
    for key, values in by_model.per_user.items():
        assert by_lists.per_user[key].tobytes() == values.tobytes()

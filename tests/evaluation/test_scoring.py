import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from recsys_cli.errors import DivergedError, ModelError
from recsys_cli.evaluation import scoring
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.evaluation.scoring import MAX_ROWS, MAX_SCORES, rows_per_block
from recsys_cli.evaluation.top_k import scan
from recsys_cli.progress import Silent
from tests.evaluation.cases import CPU, Case, Table, protocol, random_case

RULES = protocol(["recall", "user_auc", "r_precision", "tied"], [2, 5])


def test_rows_follow_from_the_catalogue_alone_and_bound_the_memory():
    assert rows_per_block(1) == rows_per_block(3_706) == MAX_ROWS
    assert rows_per_block(MAX_SCORES // 16) == 16
    assert rows_per_block(2 * MAX_SCORES) == 1
    assert all(rows_per_block(n) * n <= MAX_SCORES for n in (1_000, 100_000, 10_000_000))


@pytest.mark.parametrize("n_users", [1, MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 1, 3 * MAX_ROWS])
def test_every_block_has_the_same_number_of_rows(n_users):
    model = Table(np.random.default_rng(0).random((n_users, 6)))
    case = Case(model.scores.numpy(), [set()] * n_users, [{1: 1.0}] * n_users)
    result = evaluate(model, case.holdout(), RULES, device=CPU)
    assert model.batch_sizes == [MAX_ROWS] * math.ceil(n_users / MAX_ROWS)
    assert result.n_users == n_users


def test_the_last_block_is_filled_with_a_user_that_is_asked_anyway():
    asked = []

    class Spy(Table):
        def score(self, queries):
            asked.append(queries.users.tolist())
            return super().score(queries)

    case = Case(np.eye(5, dtype=np.float32), [set()] * 5, [{}, {0: 1.0}, {}, {2: 1.0}, {}])
    evaluate(Spy(case.scores), case.holdout(), RULES, device=CPU)
    assert asked == [[1] + [3] * (MAX_ROWS - 1)]


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_results_do_not_depend_on_the_block(rows, monkeypatch):
    case = random_case(3, 20, n_users=50, ties=True)
    before = case.evaluate(RULES)
    monkeypatch.setattr(scoring, "MAX_ROWS", rows)
    after = case.evaluate(RULES)
    assert after.metrics == before.metrics
    assert np.array_equal(after.ranked, before.ranked)
    for key, values in before.per_user.items():
        assert np.array_equal(after.per_user[key], values, equal_nan=True), key


def test_memory_does_not_grow_with_the_users():
    """The largest tensor that an evaluation makes is one block of scores (or of ranks: 8 bytes each)."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else [out]:
                if isinstance(tensor, torch.Tensor) and tensor._base is None:
                    largest = max(largest, tensor.numel())
            return out

    n_users, n_items = 8 * MAX_ROWS, 400
    case = Case(np.ones((n_users, n_items)), [set()] * n_users, [{1: 1.0}] * n_users)

    class Few(Table):
        def score(self, queries):
            return torch.sin(queries.users[:, None].float() + torch.arange(n_items))

    with Watch():
        evaluate(Few(np.ones((1, 1))), case.holdout(), RULES, device=CPU)
    assert MAX_ROWS * n_items == largest


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("seen", [set(), {3}])
def test_a_score_that_is_no_number_stops_and_names_model_user_and_item(bad, seen):
    scores = np.random.default_rng(0).random((6, 9))
    scores[4, 3] = bad
    case = Case(scores, [seen] * 6, [{1: 1.0}] * 6)
    with pytest.raises(DivergedError, match=f"Table scores item 103 for user u4 as {bad}"):
        case.evaluate(RULES)


@pytest.mark.parametrize("shape", [(MAX_ROWS, 8), (MAX_ROWS - 1, 9), (MAX_ROWS,)])
def test_scores_of_another_shape_are_refused(shape):
    class Wrong(Table):
        def score(self, queries):
            return torch.zeros(shape)

    case = Case(np.zeros((6, 9)), [set()] * 6, [{1: 1.0}] * 6)
    with pytest.raises(ModelError, match=rf"Wrong.score .*expected .* of shape \({MAX_ROWS}, 9\)"):
        evaluate(Wrong(case.scores), case.holdout(), RULES, device=CPU)


def test_scores_that_are_not_floating_point_are_refused():
    case = Case(np.arange(18).reshape(6, 3), [set()] * 6, [{1: 1.0}] * 6)
    with pytest.raises(
        ModelError, match=r"Table.score gives torch.int64 .*expected floating-point"
    ):
        case.evaluate(RULES)


def test_the_model_is_left_as_it_was():
    """Neither its weights (a model may return a view of them) nor any layer's mode nor the gradients change."""

    class Popularity(nn.Module):
        reads, history_length = frozenset({"users"}), None

        def __init__(self):
            super().__init__()
            self.counts = nn.Parameter(torch.arange(4.0))
            self.frozen, self.noise = nn.Dropout(), nn.Dropout()
            self.frozen.eval()
            self.noisy = None

        def score(self, queries):
            assert not torch.is_grad_enabled()
            self.noisy = (self.training, self.frozen.training, self.noise.training)
            return self.counts.expand(len(queries), -1)

    model = Popularity()
    case = Case(np.zeros((3, 4)), [{3}] * 3, [{2: 1.0}] * 3)
    assert evaluate(model, case.holdout(), RULES, device=CPU).metrics["recall_at_2"] == 1.0
    assert model.noisy == (False, False, False)
    assert (model.training, model.frozen.training, model.noise.training) == (True, False, True)
    assert model.counts.tolist() == [0, 1, 2, 3]
    assert torch.is_grad_enabled()


def test_the_mode_is_put_back_after_an_error_too():
    model = Table(np.full((3, 4), np.nan))
    case = Case(np.zeros((3, 4)), [set()] * 3, [{2: 1.0}] * 3)
    with pytest.raises(DivergedError):
        evaluate(model, case.holdout(), RULES, device=CPU)
    assert model.modes == [False]
    assert model.training


def test_what_is_seen_may_be_more_than_what_is_asked_with():
    """Item 2 is no part of the history, and is kept out of the list all the same."""
    case = Case(np.array([[1.0, 2.0, 4.0, 3.0]]), [{0}], [{3: 1.0}])
    asked = case.holdout()
    more = Case(case.scores, [{0, 2}], [{3: 1.0}]).holdout()
    apart = replace(asked, excluded=more.history)
    rules = protocol(["recall"], [1])
    assert evaluate(Table(case.scores), asked, rules, device=CPU).ranked.tolist() == [[2]]
    assert evaluate(Table(case.scores), apart, rules, device=CPU).ranked.tolist() == [[3]]


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("metrics", [["recall", "tied"], ["recall", "tied", "r_precision"]])
def test_a_scan_has_the_same_results(monkeypatch, metrics, exclude_seen):
    case = random_case(5, 30, n_users=600, ties=True)
    case = replace(case, scores=case.scores.astype(np.float32))
    rules = protocol(metrics, [2, 40], exclude_seen=exclude_seen)
    scans = []
    monkeypatch.setattr(scoring, "scan", lambda *given: scans.append(given) or scan(*given))
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "scan_pays", lambda *given: False)
        plain = case.evaluate(rules)
    assert not scans
    monkeypatch.setattr(scoring, "SCAN_FROM_SCORES", 0)
    result = case.evaluate(rules)
    assert len(scans) == (0 if "r_precision" in metrics else 3)
    assert result.metrics == plain.metrics
    assert result.n_seen_targets == plain.n_seen_targets
    assert np.array_equal(result.ranked, plain.ranked)
    for key, values in plain.per_user.items():
        assert np.array_equal(result.per_user[key], values, equal_nan=True), key


def test_scores_of_another_kind_are_not_scanned(monkeypatch):
    monkeypatch.setattr(scoring, "SCAN_FROM_SCORES", 0)
    monkeypatch.setattr(scoring, "scan", lambda *given: pytest.fail("scanned"))
    case = random_case(5, 30)
    rules = protocol(["recall"], [2])
    assert evaluate(Table(case.scores.astype(np.float64)), case.holdout(), rules, device=CPU)
    assert not scoring.scan_pays(1 << 28, torch.device("meta"), rules, Silent())

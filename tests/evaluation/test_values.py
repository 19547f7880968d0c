from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from recsys_cli.errors import DataError, DivergedError
from recsys_cli.evaluation.values import BY_VALUES, auc, calibration_error, log_loss, mae, rmse
from tests.conftest import examples


def test_ratings_by_hand():
    assert rmse([3, 5], [4, 3]) == pytest.approx((5 / 2) ** 0.5)  # errors -1 and 2
    assert mae([3, 5], [4, 3]) == pytest.approx(1.5)


def test_log_loss_by_hand():
    assert log_loss([0.5, 0.5], [0, 1]) == pytest.approx(log(2))
    assert log_loss([0.9, 0.2], [1, 0]) == pytest.approx(-(log(0.9) + log(0.8)) / 2)
    assert log_loss([1.0, 0.0], [1, 0]) == 0.0
    assert log_loss([1.0, 0.0], [1, 1]) == inf


def test_auc_by_hand():
    assert auc([0.9, 0.5, 0.1], [1, 0, 1]) == 0.5  # one pair won, one lost
    assert auc([0.5, 0.5], [0, 1]) == 0.5  # a tie
    assert auc([0.1, 0.9], [0, 1]) == 1.0


def test_calibration_error_by_hand():
    # 0.2 is said twice and 1 of 2 comes true (gap 0.3); 1.0 is said twice and comes true both times (gap 0)
    assert calibration_error([0.2, 0.2, 1.0, 1.0], [1, 0, 1, 1]) == pytest.approx(0.15)
    assert calibration_error([0.5] * 4, [0, 1, 0, 1]) == pytest.approx(0)


@examples(200)
@given(st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=2, max_size=40))
def test_equal_to_scikit_learn(pairs):
    p = np.array([percent / 100 for percent, _ in pairs])
    y = np.array([int(clicked) for _, clicked in pairs])
    assert log_loss(p, y) == pytest.approx(sklearn_metrics.log_loss(y, p, labels=[0, 1]), abs=1e-9)
    assert rmse(p, y) == pytest.approx(sklearn_metrics.root_mean_squared_error(y, p), abs=1e-9)
    assert mae(p, y) == pytest.approx(sklearn_metrics.mean_absolute_error(y, p), abs=1e-9)
    if 0 < y.sum() < len(y):
        assert auc(p, y) == pytest.approx(sklearn_metrics.roc_auc_score(y, p), abs=1e-9)


@examples(200)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_error_in_plain_python(pairs):
    bins = {}
    for p, y in pairs:
        bins.setdefault(min(int(p * 10), 9), []).append((p, y))
    gaps = [
        len(own) * abs(sum(p for p, _ in own) / len(own) - sum(y for _, y in own) / len(own))
        for own in bins.values()
    ]
    ours = calibration_error([p for p, _ in pairs], [int(y) for _, y in pairs])
    assert ours == pytest.approx(sum(gaps) / len(pairs), abs=1e-9)


@pytest.mark.parametrize("metric", BY_VALUES.values())
def test_refuses_what_it_can_not_judge(metric):
    with pytest.raises(DivergedError, match="prediction 1 is nan"):
        metric([0.5, np.nan], [0, 1])
    with pytest.raises(DataError, match="shape"):
        metric([0.5, 0.5], [1])
    with pytest.raises(DataError, match="shape"):
        metric([], [])


@pytest.mark.parametrize("metric", [log_loss, calibration_error, auc])
def test_click_metrics_take_only_clicks(metric):
    with pytest.raises(DataError, match="not 0 or 1"):
        metric([0.1, 0.9], [1, 4])


@pytest.mark.parametrize("metric", [log_loss, calibration_error])
def test_probabilities_are_between_0_and_1(metric):
    with pytest.raises(DataError, match="from -1 to 2 are no probabilities"):
        metric([-1, 2], [0, 1])


def test_auc_needs_both_kinds():
    with pytest.raises(DataError, match="2 and 0"):
        auc([0.1, 0.2], [1, 1])


PREDICTED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30)


@given(PREDICTED)
def test_the_root_of_the_squares_is_never_below_the_mean_error(pairs):
    p, y = np.array(pairs, dtype=float).T
    assert mae(p, y) <= rmse(p, y) + 1e-12
    assert rmse(y, y) == mae(y, y) == 0


@given(PREDICTED)
def test_auc_the_other_way_round_is_the_rest_of_one(pairs):
    p, y = np.array(pairs, dtype=float).T
    p = np.round(p, 2)
    if 0 < y.sum() < len(y):
        assert auc(1 - p, y) == pytest.approx(1 - auc(p, y))
        assert auc(p, 1 - y) == pytest.approx(1 - auc(p, y))

from dataclasses import replace

import numpy as np
import pytest

from recsys_cli.errors import DataError
from recsys_cli.evaluation import category_metrics
from recsys_cli.evaluation.ranking import evaluate
from tests.evaluation.cases import CPU, Case, Table, protocol, random_case

RULES = protocol(["diversity", "calibration"], [2, 7])


def test_by_hand():
    """Items 1, 2 and 4 are of category a, b and c alone, 3 of a and b."""
    case = Case(np.array([[0.0, 9.0, 8.0, 1.0, 0.5]]), [{3}], [{4: 1.0}])
    result = case.evaluate(RULES)
    assert result.ranked[0, :2].tolist() == [1, 2]
    assert result.metrics["diversity_at_2"] == 1.0
    assert result.metrics["calibration_at_2"] == pytest.approx(
        0, abs=1e-12
    )  # had a and b half each


def test_the_number_of_users_at_once_changes_nothing(monkeypatch):
    case = random_case(3, 20)
    whole = case.evaluate(RULES)
    monkeypatch.setattr(category_metrics, "MAX_PAIRS", 1)
    for key, values in case.evaluate(RULES).per_user.items():
        np.testing.assert_array_equal(values, whole.per_user[key])


def test_data_without_categories_is_refused_in_one_line():
    case = Case(np.eye(2), [set()] * 2, [{0: 1.0}, {1: 1.0}])
    holdout = case.holdout()
    plain = replace(holdout, history=replace(holdout.history, item_categories=None))
    for name in ("diversity", "calibration"):
        with pytest.raises(DataError) as caught:
            evaluate(Table(case.scores), plain, protocol([name], [1]), device=CPU)
        assert caught.value.line.startswith(f"{name} needs the categories of the items")
    assert evaluate(Table(case.scores), plain, protocol([], [1]), device=CPU).n_users == 2

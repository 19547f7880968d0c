"""Predicted values against the held-out ones."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError, DivergedError, ModelError
from recsys_cli.evaluation import prediction
from recsys_cli.evaluation.evaluate import evaluate
from recsys_cli.evaluation.values_protocol import ValuesProtocol

CPU = torch.device("cpu")
PROTOCOL = ValuesProtocol(metrics=["mae", "rmse"], primary="rmse", low=1.0, high=5.0)
#          user, item, value, predicted
EVENTS = [(0, 0, 4, 3.5), (0, 2, 1, 0.0), (1, 1, 5, 7.0), (2, 0, 2, 4.0)]


class Told(nn.Module):
    """Predicts what it was told; notes what it was asked."""

    def __init__(self, answers) -> None:
        super().__init__()
        self.answers, self.asked = torch.tensor(answers), []

    def predict(self, users, items):
        assert not self.training
        assert not torch.is_grad_enabled()
        first = sum(len(users) for users, _ in self.asked)
        self.asked.append((users, items))
        return self.answers[first : first + len(users)]


@pytest.fixture
def holdout() -> Holdout:
    """User 2 and item 2 are not in training."""
    users, items, values, _ = map(np.array, zip(*EVENTS, strict=True))
    targets = from_columns(users=users, items=items, values=values)
    warm_users, warm_items = np.array([True, True, False]), np.array([True, True, False])
    return Holdout(targets.take(np.zeros(4, dtype=bool)), targets, warm_users, warm_items)


def told(predicted=None) -> Told:
    return Told([event[3] for event in EVENTS] if predicted is None else predicted)


def test_errors_are_those_of_all_events_within_the_limits(holdout):
    model = told()
    found = evaluate(model, holdout, PROTOCOL, device=CPU)
    assert found.predicted.tolist() == [3.5, 1.0, 5.0, 4.0]
    assert found.metrics["mae"] == pytest.approx((0.5 + 0 + 0 + 2) / 4)
    assert found.metrics["rmse"] == pytest.approx(np.sqrt((0.25 + 4) / 4))
    assert found.primary == found.metrics["rmse"]
    assert found.users.tolist() == [0, 1, 2]
    assert model.training


def test_events_of_the_unknown_are_asked_as_such_and_told_apart(holdout):
    model = told()
    found = evaluate(model, holdout, PROTOCOL, device=CPU)
    ((users, items),) = model.asked
    assert users.tolist() == [0, 0, 1, -1]
    assert items.tolist() == [0, 2, 1, 0]
    assert found.metrics["warm_mae"] == pytest.approx(0.25)
    everybody = dataclasses.replace(
        holdout, warm_users=np.ones(3, dtype=bool), warm_items=np.ones(3, dtype=bool)
    )
    known = evaluate(told(), everybody, PROTOCOL, device=CPU).metrics
    assert list(known) == ["mae", "rmse"]


def test_blocks_change_nothing(holdout, monkeypatch):
    whole = evaluate(told(), holdout, PROTOCOL, device=CPU).metrics
    monkeypatch.setattr(prediction, "EVENTS_AT_ONCE", 3)
    model = told()
    assert evaluate(model, holdout, PROTOCOL, device=CPU).metrics == whole
    assert len(model.asked) == 2


def test_without_limits_predictions_stay_as_they_are(holdout):
    free = dataclasses.replace(PROTOCOL, low=None, high=None)
    assert evaluate(told(), holdout, free, device=CPU).metrics["mae"] == pytest.approx(5.5 / 4)


@pytest.mark.parametrize(("limits", "said"), [({"low": 1.5}, "low=1.5"), ({"high": 4.0}, "high=4")])
def test_a_value_beyond_the_limits_is_refused(holdout, limits, said):
    protocol = dataclasses.replace(PROTOCOL, **limits)
    with pytest.raises(DataError, match=said):
        evaluate(told(), holdout, protocol, device=CPU)


def test_what_is_no_number_is_told(holdout):
    with pytest.raises(DivergedError, match="prediction 2 is nan"):
        evaluate(told([1.0, 2.0, np.nan, 3.0]), holdout, PROTOCOL, device=CPU)


def test_one_number_for_each_pair(holdout):
    with pytest.raises(ModelError, match=r"shape \(3,\) for 4 pairs"):
        evaluate(told([1.0, 2.0, 3.0]), holdout, PROTOCOL, device=CPU)


def test_a_model_that_only_ranks_is_refused(holdout):
    with pytest.raises(ModelError, match="predicts no values"):
        evaluate(nn.Linear(1, 1), holdout, PROTOCOL, device=CPU)

"""The kernel for one negative an event takes the steps that torch takes with batches of one event."""

import copy

import numpy as np
import pytest
import torch

from recsys_cli.data.batches import Pairs
from tests.models.kernels.test_factorisation import assert_it_is_torch, make, some_pairs

LOSSES = pytest.mark.parametrize("loss", ["squared", "logistic", "bpr"])


@pytest.mark.parametrize("settings", [{}, {"l2": 0.0}, {"biases": False}], ids=str)
@pytest.mark.parametrize("optimiser", ["sgd", "rowwise_adagrad"])
@LOSSES
def test_it_is_torch_with_batches_of_one(loss, optimiser, settings):
    assert_it_is_torch(loss, optimiser, settings | {"negatives": 1})


@LOSSES
def test_the_loss_of_many_events_does_not_overflow(loss):
    one = some_pairs(1)
    many = Pairs(one.users.repeat(50), one.items.repeat(50), one.negatives.repeat(50, 1))
    model = make(loss, negatives=1)
    expected = float(model.loss(many).detach())
    assert model.descend(many, 0.0, None) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@LOSSES
def test_what_is_not_finite_shows_in_the_loss(loss, bad):
    model = make(loss, negatives=1)
    with torch.no_grad():
        model.users.fill_(bad)
    assert not np.isfinite(model.descend(some_pairs(1), 0.1, None))


def test_no_event_changes_nothing():
    model = make("bpr", negatives=1)
    twin = copy.deepcopy(model)
    none = torch.zeros((0, 1), dtype=torch.long)
    assert model.descend(Pairs(none[:, 0], none[:, 0], none), 0.1, None) == 0
    for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, theirs)

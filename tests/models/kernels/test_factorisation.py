"""The kernel of matrix factorisation takes the steps that torch takes with batches of one event."""

import copy

import numpy as np
import pytest
import torch

from recsys_cli.data.batches import Pairs
from recsys_cli.models.first_try.mf import MF
from recsys_cli.training.optimisers import RowwiseAdagrad, make_optimiser
from recsys_cli.training.steps import Autograd, train_step

N_USERS, N_ITEMS, EVENTS = 12, 14, 60


def make(loss: str, **settings) -> MF:
    given = {"rank": 7, "biases": True, "negatives": 3, "l2": 0.05, "init_sd": 0.5} | settings
    model = MF(n_users=N_USERS, n_items=N_ITEMS, loss=loss, **given)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=draw))
    return model


def some_pairs(negatives: int) -> Pairs:
    """Few items, so that negatives are drawn twice and rows are met again and again."""
    draw = torch.Generator().manual_seed(2)
    half = N_ITEMS // 2
    return Pairs(
        torch.randint(0, N_USERS, (EVENTS,), generator=draw),
        torch.randint(0, half, (EVENTS,), generator=draw),
        torch.randint(half, N_ITEMS, (EVENTS, negatives), generator=draw),
    )


def by_torch(model: MF, optimiser: torch.optim.Optimizer, pairs: Pairs) -> float:
    rows = torch.arange(len(pairs)).split(1)
    events = [Pairs(pairs.users[r], pairs.items[r], pairs.negatives[r]) for r in rows]
    return float(
        np.mean([float(train_step(Autograd(model, optimiser), event)) for event in events])
    )


def assert_it_is_torch(loss, optimiser, settings):
    one = make(loss, **settings)
    other = copy.deepcopy(one)
    pairs = some_pairs(one.negatives)
    rule, twin = (make_optimiser(optimiser, m.parameters(), 0.05) for m in (one, other))
    expected = by_torch(one, rule, pairs)
    sums = twin.sums() if isinstance(twin, RowwiseAdagrad) else None
    assert other.descend(pairs, 0.05, sums) == pytest.approx(expected, rel=1e-5)
    for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5), name
        if sums is not None and mine.requires_grad:
            assert torch.allclose(rule.state[mine]["sum"], sums[theirs], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize(
    "settings", [{}, {"l2": 0.0}, {"biases": False}, {"negatives": 20}], ids=str
)
@pytest.mark.parametrize("optimiser", ["sgd", "rowwise_adagrad"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "bpr"])
def test_it_is_torch_with_batches_of_one(loss, optimiser, settings):
    assert_it_is_torch(loss, optimiser, settings)


def test_a_thousand_negatives_do_not_overflow():
    model = make("logistic", negatives=1000, l2=0.0)
    for loss, expected in (("logistic", np.log(2)), ("bpr", np.log(2))):
        model = make(loss, negatives=1000, l2=0.0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        assert model.descend(some_pairs(1000), 0.0, None) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("loss", ["squared", "logistic", "bpr"])
def test_what_is_not_finite_shows_in_the_loss(loss, bad):
    model = make(loss)
    with torch.no_grad():
        model.users.fill_(bad)
    assert not np.isfinite(model.descend(some_pairs(3), 0.1, None))


def test_no_event_changes_nothing():
    model = make("bpr")
    twin = copy.deepcopy(model)
    none = torch.zeros((0, 3), dtype=torch.long)
    assert model.descend(Pairs(none[:, 0], none[:, 0], none), 0.1, None) == 0
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True)
    )

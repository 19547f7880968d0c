"""iALS, against its loss written out over all pairs."""

import numpy as np
import pytest
import torch

from recsys_cli.devices import Device
from recsys_cli.errors import ConfigError, ModelError
from recsys_cli.models.baselines import ials
from recsys_cli.models.baselines.ials import IALS
from recsys_cli.seeds import isolated
from tests.models.baselines.examples import QUERIES, as_rows, dense, histories, some_events


def make(**settings):
    given = {
        "rank": 4,
        "unobserved_weight": 0.2,
        "l2": 0.05,
        "frequency_power": 0.7,
        "epochs": 3,
        "init_sd": 0.1,
        "solver": "cholesky",
    }
    with isolated(0, "init"):
        return IALS(n_items=12, **(given | settings))


def weighted_ridge(met, others, weight, target, unmet, penalty):
    """The vector that minimises the weighted squares of one row: the definition."""
    weights = np.where(met > 0, weight, unmet)
    left = (others.T * weights) @ others + penalty * np.eye(others.shape[1])
    return np.linalg.solve(left, others.T @ (weights * met * target))


def solve_rows(matrix, others, model):
    """Each row's vector by the loss: (1 - s)^2 + a0 s^2 on events, a0 s^2 elsewhere."""
    a0 = model.unobserved_weight
    found = []
    for met in matrix:
        penalty = model.l2 * (met.sum() + a0 * len(met)) ** model.frequency_power
        # (1 - s)^2 + a0 s^2 = (1 + a0) (s - 1 / (1 + a0))^2 + what does not depend on s
        found.append(weighted_ridge(met, others, 1 + a0, 1 / (1 + a0), a0, penalty))
    return np.array(found)


@pytest.mark.parametrize("block", [1, 40, 100_000])
def test_an_epoch_solves_all_users_then_all_items(block, monkeypatch):
    monkeypatch.setattr(ials, "BLOCK_VECTORS", block)
    events = some_events()
    model = make(epochs=2)
    items = model.item_vectors.double().numpy().copy()
    for _ in range(2):
        users = solve_rows(dense(events), items, model)
        items = solve_rows(dense(events).T, users, model)
    model.fit(events)
    assert np.allclose(model.item_vectors.numpy(), items, atol=1e-4)
    vectors = solve_rows(as_rows(QUERIES, 12), items, model)
    assert np.allclose(model.score(QUERIES).numpy(), vectors @ items.T, atol=1e-4)


def loss(model, events):
    """The loss at these items and the users that fit them best, with its constants."""
    met, items, a0 = dense(events), model.item_vectors.double().numpy(), model.unobserved_weight
    users = solve_rows(met, items, model)
    scores = users @ items.T
    penalty = sum(
        model.l2
        * ((rows.sum(1) + a0 * rows.shape[1]) ** model.frequency_power)
        @ (vectors**2).sum(1)
        for rows, vectors in ((met, users), (met.T, items))
    )
    return (met * (1 - scores) ** 2).sum() + a0 * (scores**2).sum() + penalty


def test_conjugate_gradients_reach_the_loss_of_exact_solves():
    events = some_events()
    exact, few = make(epochs=40), make(epochs=40, solver="cg")
    before = loss(exact, events)
    exact.fit(events)
    few.fit(events)
    assert loss(few, events) == pytest.approx(loss(exact, events), rel=1e-3)
    assert loss(few, events) < 0.8 * before


def test_threads_and_pieces_change_nothing(monkeypatch):
    events = some_events()
    whole, pieces = make(solver="cg"), make(solver="auto")
    whole.fit(events)
    monkeypatch.setattr(ials, "PIECE_EVENTS", 5)
    with Device("cpu", 3).active():
        pieces.fit(events)
    assert torch.equal(whole.item_vectors, pieces.item_vectors)


def test_the_kernel_is_for_cpus():
    assert make(solver="auto").uses_kernel(torch.device("cpu"))
    assert not make(solver="auto").uses_kernel(torch.device("meta"))
    assert not make(solver="cholesky").uses_kernel(torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"model\.solver=cg: it runs on CPUs"):
        make(solver="cg").uses_kernel(torch.device("meta"))


def test_it_is_the_loss_of_2008_up_to_scale():
    confidence, penalty = 3.0, 0.4
    events = some_events()
    model = make(
        unobserved_weight=1 / confidence,
        l2=penalty / (1 + confidence),
        frequency_power=0.0,
        epochs=300,
    )
    model.fit(events)
    items = np.random.default_rng(0).normal(size=(12, 4))
    matrix = dense(events)
    for _ in range(300):
        users = np.array([weighted_ridge(r, items, 1 + confidence, 1, 1, penalty) for r in matrix])
        items = np.array(
            [weighted_ridge(r, users, 1 + confidence, 1, 1, penalty) for r in matrix.T]
        )
    ours = model.score(histories(*(np.flatnonzero(row).tolist() for row in matrix))).numpy()
    theirs = users @ items.T
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99999
    assert np.allclose(ours / ours.max(), theirs / theirs.max(), atol=1e-2)


def test_a_singular_solve_is_an_error():
    with pytest.raises(ModelError, match="leaves a solve singular"):
        make(l2=1e-30, frequency_power=0.0, unobserved_weight=1e-30).fit(some_events())

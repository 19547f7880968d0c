"""SLIM, against scikit-learn's elastic net for each item."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet

from recsys_cli.errors import ModelError
from recsys_cli.models.baselines import slim
from recsys_cli.models.baselines.slim import SLIM
from tests.models.baselines.examples import QUERIES, as_rows, dense, some_events


def elastic_nets(matrix, alpha, l1_ratio):
    """Column j: the non-negative elastic net of item j on all other items."""
    n_items = matrix.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.arange(n_items) != item
        net = ElasticNet(
            alpha=alpha,
            l1_ratio=l1_ratio,
            positive=True,
            fit_intercept=False,
            max_iter=100_000,
            tol=1e-10,
        )
        weights[others, item] = net.fit(matrix[:, others], matrix[:, item]).coef_
    return weights


@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.05, 0.01), (0.02, 0.5), (0.05, 1.0)])
def test_each_column_is_an_elastic_net(alpha, l1_ratio, monkeypatch):
    monkeypatch.setattr(slim, "BLOCK_ROWS", 5)
    events = some_events()
    model = SLIM(
        n_items=12, alpha=alpha, l1_ratio=l1_ratio, neighbours=100, max_sweeps=1000, tolerance=1e-7
    )
    model.fit(events)
    weights = elastic_nets(dense(events), alpha, l1_ratio)
    assert 0 < np.count_nonzero(weights > 1e-6) < 132
    expected = torch.from_numpy(as_rows(QUERIES, 12) @ weights)
    assert torch.allclose(model.score(QUERIES).double(), expected, atol=1e-5)


def test_each_item_keeps_its_largest_weights():
    events = some_events()
    both = [
        SLIM(n_items=12, alpha=0.02, l1_ratio=0.01, neighbours=k, max_sweeps=1000, tolerance=1e-6)
        for k in (12, 3)
    ]
    for model in both:
        model.fit(events)
    every, few = (model.nearest.weights for model in both)
    assert torch.equal(every[:, :3], few)


def test_a_descent_that_does_not_end_is_an_error():
    model = SLIM(
        n_items=12, alpha=0.001, l1_ratio=0.01, neighbours=12, max_sweeps=2, tolerance=1e-6
    )
    with pytest.raises(ModelError, match=r"after 2 sweeps"):
        model.fit(some_events())

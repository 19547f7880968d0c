"""EASE, against one ridge regression an item."""

import numpy as np
import pytest
import torch

from recsys_cli.data.interactions import from_columns
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.ease import EASE
from tests.models.baselines.examples import QUERIES, as_rows, dense, some_events


def ridge_regressions(matrix, l2):
    """Column j: the ridge regression of item j on all other items."""
    n_items = matrix.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.arange(n_items) != item
        rest = matrix[:, others]
        left = rest.T @ rest + l2 * np.eye(n_items - 1)
        weights[others, item] = np.linalg.solve(left, rest.T @ matrix[:, item])
    return weights


def test_each_column_is_a_ridge_regression_and_the_diagonal_is_0():
    events = some_events()
    model = EASE(n_items=12, l2=3.0)
    model.fit(events)
    expected = ridge_regressions(dense(events), 3.0)
    assert np.allclose(model.weights.numpy(), expected, atol=1e-6)
    assert not model.weights.diagonal().any()
    scores = torch.from_numpy(as_rows(QUERIES, 12) @ expected)
    assert torch.allclose(model.score(QUERIES).double(), scores, atol=1e-5)


def test_too_small_a_penalty_is_named():
    users, items = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)  # everybody met everything
    with pytest.raises(ModelError, match=r"model\.l2=1e-30 "):
        EASE(n_items=6, l2=1e-30).fit(from_columns(users=users, items=items))

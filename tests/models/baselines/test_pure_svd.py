"""PureSVD, against a dense singular value decomposition."""

import numpy as np
import pytest
import torch

from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.pure_svd import PureSVD
from tests.models.baselines.examples import QUERIES, as_rows, dense, histories, some_events


def test_it_is_the_projection_on_the_first_singular_vectors():
    events = some_events()
    model = PureSVD(n_items=12, factors=4)
    model.fit(events)
    _, _, right = np.linalg.svd(dense(events))
    expected = as_rows(QUERIES, 12) @ right[:4].T @ right[:4]
    assert torch.allclose(model.score(QUERIES).double(), torch.from_numpy(expected), atol=1e-5)
    assert np.allclose(np.abs(model.directions.numpy()), np.abs(right[:4].T), atol=1e-5)
    largest = model.directions.abs().argmax(0)
    assert (model.directions[largest, torch.arange(4)] > 0).all()


def test_two_directions_find_the_withheld_items_of_a_checkerboard(checkerboard):
    model = PureSVD(n_items=20, factors=2)
    model.fit(checkerboard)
    for user in range(40):
        history = checkerboard.items[checkerboard.users == user].tolist()
        scores = model.score(histories(history))[0]
        scores[history] = -torch.inf
        assert (scores.topk(2).indices % 2 == user % 2).all()


def test_as_many_factors_as_items_are_refused():
    with pytest.raises(ModelError, match=r"model\.factors=12 must be smaller than the 30 users"):
        PureSVD(n_items=12, factors=12).fit(some_events())

"""What all models of ratings keep: values for pairs are the scores of a ranking, and a rating model knows taste."""

import numpy as np
import pytest
import torch

from recsys_cli.data.queries import Queries
from recsys_cli.models.contract import Predicts
from tests.contracts.fits import fit
from tests.models.ratings.examples import ratings

MODELS = ["baseline", "knn_baseline", "nmf", "svd"]


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_predicted_values(name):
    events = ratings()
    model = fit(name, events)
    assert isinstance(model, Predicts)
    users = torch.tensor([3, -1, 0, events.n_users - 1])
    scores = model.score(Queries(users=users))
    pairs = users.repeat_interleave(events.n_items), torch.arange(events.n_items).repeat(4)
    assert torch.allclose(model.predict(*pairs).reshape(4, -1), scores, atol=1e-6)
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(len(pairs[0])))
    some = tuple(column[shuffled[:7]] for column in pairs)
    assert torch.allclose(model.predict(*some), scores.ravel()[shuffled[:7]], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_no_pairs_no_values(name):
    model = fit(name, ratings())
    nothing = torch.zeros(0, dtype=torch.int64)
    assert model.predict(nothing, nothing).shape == (0,)

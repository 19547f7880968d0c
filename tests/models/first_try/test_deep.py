"""The deeper net: its two ways of scoring are one function."""

import pytest
import torch
from torch import nn

from recsys_cli.data.batches import Pairs
from recsys_cli.data.queries import Queries
from recsys_cli.models.first_try import deep
from recsys_cli.models.first_try.deep import Deep


def make(**settings) -> Deep:
    given = {
        "dim": 4,
        "widths": [6, 5],
        "activation": "tanh",
        "loss": "squared",
        "negatives": 2,
        "l2": 0.0,
    }
    return Deep(n_users=5, n_items=9, **(given | settings))


def naive(model: Deep, user: int, item: int) -> torch.Tensor:
    """Concatenate, then dense layers: the definition."""
    weight = torch.cat([model.first_user.weight, model.first_item.weight], dim=1)
    pair = torch.cat([model.users[user], model.items[item]])
    return model.rest(weight @ pair + model.first_user.bias).squeeze()


def test_scores_are_those_of_the_concatenation():
    model = make()
    scores = model.score(Queries(users=torch.tensor([0, 3])))
    for row, user in enumerate((0, 3)):
        for item in range(9):
            assert scores[row, item].item() == pytest.approx(
                naive(model, user, item).item(), abs=1e-5
            )
    pairs = Pairs(torch.tensor([3]), torch.tensor([2]), torch.tensor([[0, 5]]))
    truth = torch.tensor([1.0, 0.0, 0.0])
    expected = (scores[1, [2, 0, 5]] - truth).square().mean()
    assert model.loss(pairs).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("activation", sorted(deep.ACTIVATIONS))
def test_blocks_score_as_the_layers_do(monkeypatch, activation):
    """Blocks of 2 users x 2 items, the last of them smaller, against all pairs at once through the layers."""
    model = make(activation=activation, widths=[6, 5, 3])
    monkeypatch.setattr(deep, "BLOCK_USERS", 2)
    monkeypatch.setattr(deep, "BLOCK_NUMBERS", 24)
    users, items = model.first_user(model.users), model.first_item(model.items)
    expected = model.rest(users[:, None] + items).squeeze(2)
    assert torch.allclose(model.score(Queries(users=torch.arange(5))), expected, atol=1e-6)


def test_scores_are_far_closer_to_the_concatenation_than_a_ranking_needs():
    """At the size that is used: within 1e-5 of the naive net, which is fed every pair."""
    model = make(dim=64, widths=[64, 32, 16, 8], activation="relu")
    weight = torch.cat([model.first_user.weight, model.first_item.weight], dim=1)
    pairs = torch.cat(
        [model.users[:, None].expand(-1, 9, -1), model.items[None].expand(5, -1, -1)], dim=2
    )
    expected = model.rest(pairs @ weight.T + model.first_user.bias).squeeze(2)
    scores = model.score(Queries(users=torch.arange(5)))
    assert (scores - expected).abs().max().item() <= 1e-5


def test_widths_and_activation_are_those_asked_for():
    model = make(widths=[8, 3, 2], activation="gelu")
    shapes = [tuple(layer.weight.shape) for layer in model.rest if isinstance(layer, nn.Linear)]
    assert shapes == [(3, 8), (2, 3), (1, 2)]
    assert sum(isinstance(layer, nn.GELU) for layer in model.rest) == 3


def test_l2_covers_embeddings_and_all_layers():
    batch = Pairs(torch.tensor([1]), torch.tensor([2]), torch.tensor([[0, 5]]))
    plain = make()
    penalised = make(l2=0.5)
    penalised.load_state_dict(plain.state_dict())
    size = plain.users[1].square().sum() + plain.items[[2, 0, 5]].square().sum() / 3
    layers = [
        plain.first_user,
        plain.first_item,
        *(m for m in plain.rest if isinstance(m, nn.Linear)),
    ]
    size = size + sum(layer.weight.square().sum() for layer in layers)
    assert (penalised.loss(batch) - plain.loss(batch)).item() == pytest.approx(
        0.5 * size.item(), rel=1e-4
    )

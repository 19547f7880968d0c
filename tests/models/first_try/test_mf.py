"""Matrix factorisation, and that it is a shallow network (slides 4-7)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from recsys_cli.data.batches import Pairs
from recsys_cli.data.queries import Queries
from recsys_cli.models.first_try.mf import MF

N_USERS, N_ITEMS, RANK = 5, 7, 3


def make(**settings) -> MF:
    given = {
        "rank": RANK,
        "biases": True,
        "loss": "squared",
        "negatives": 2,
        "l2": 0.0,
        "init_sd": 0.5,
    }
    torch_seed = torch.Generator().manual_seed(1)
    model = MF(n_users=N_USERS, n_items=N_ITEMS, **(given | settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch_seed))
    return model


@pytest.fixture
def batch() -> Pairs:
    return Pairs(
        users=torch.tensor([0, 3, 3, 4]),
        items=torch.tensor([1, 2, 6, 0]),
        negatives=torch.tensor([[0, 2], [1, 5], [3, 3], [4, 6]]),
    )


class ShallowNet(nn.Module):
    """One-hot user -> linear U, one-hot item -> linear V, their dot product, plus linear biases: slide 6."""

    def __init__(self, twin: MF) -> None:
        super().__init__()
        self.user = nn.Linear(N_USERS, RANK, bias=False)
        self.item = nn.Linear(N_ITEMS, RANK, bias=False)
        self.user_bias = nn.Linear(N_USERS, 1)
        self.item_bias = nn.Linear(N_ITEMS, 1, bias=False)
        with torch.no_grad():
            self.user.weight.copy_(twin.users.T)
            self.item.weight.copy_(twin.items.T)
            self.user_bias.weight.copy_(twin.user_bias.T)
            self.user_bias.bias.copy_(twin.mean[0])
            self.item_bias.weight.copy_(twin.item_bias.T)

    def forward(self, users, items):
        u = functional.one_hot(users, N_USERS).float()[:, None]
        i = functional.one_hot(items, N_ITEMS).float()
        dots = (self.user(u) * self.item(i)).sum(2)
        return dots + self.user_bias(u).squeeze(2) + self.item_bias(i).squeeze(2)


def test_it_is_the_shallow_net_in_loss_and_gradients(batch):
    mf = make()
    net = ShallowNet(mf)
    items = torch.cat([batch.items[:, None], batch.negatives], dim=1)
    truth = torch.tensor([1.0, 0.0, 0.0]).expand(4, 3)
    shallow = functional.mse_loss(net(batch.users, items), truth)
    loss = mf.loss(batch)
    assert loss.item() == pytest.approx(shallow.item(), abs=1e-6)
    loss.backward()
    shallow.backward()
    for mine, theirs in (
        (mf.users, net.user), (mf.items, net.item), (mf.user_bias, net.user_bias), (mf.item_bias, net.item_bias)
    ):  # fmt: skip
        assert torch.allclose(mine.grad, theirs.weight.grad.T, atol=1e-6)
    assert torch.allclose(mf.mean.grad[0], net.user_bias.bias.grad, atol=1e-6)


def test_a_score_is_the_dot_product_plus_biases():
    mf = make()
    scores = mf.score(Queries(users=torch.tensor([2, -1])))
    by_hand = mf.users[2] @ mf.items[4] + mf.mean[0, 0] + mf.user_bias[2, 0] + mf.item_bias[4, 0]
    assert scores[0, 4].item() == pytest.approx(by_hand.item(), abs=1e-5)
    assert torch.allclose(scores[1], mf.item_bias[:, 0] + mf.mean[0, 0])


def test_l2_is_the_squared_length_of_what_an_example_uses(batch):
    plain, penalised = make(loss="bpr"), make(loss="bpr", l2=0.1)
    expected = 0.0
    for user, item, negatives in zip(batch.users, batch.items, batch.negatives, strict=True):
        items = [item, *negatives]
        expected += (plain.users[user].square().sum() + plain.user_bias[user].square().sum()).item()
        expected += sum(
            (plain.items[i].square().sum() + plain.item_bias[i].square().sum()).item()
            for i in items
        ) / len(items)
    difference = penalised.loss(batch) - plain.loss(batch)
    assert difference.item() == pytest.approx(0.1 * expected / 4, rel=1e-5)


def test_without_biases_nothing_but_the_vectors_is_trained(batch):
    mf = make(biases=False)
    mf.loss(batch).backward()
    trained = {name for name, parameter in mf.named_parameters() if parameter.grad is not None}
    assert trained == {"users", "items"}


@pytest.mark.parametrize("settings", [{}, {"biases": False}, {"negatives": 1}], ids=str)
@pytest.mark.parametrize("loss", ["squared", "logistic", "bpr"])
def test_the_gradient_by_hand_is_that_of_the_loss(batch, loss, settings):
    model = make(loss=loss, l2=0.3, **settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(parameter.requires_grad)  # what is not trained is zero
    if settings.get("negatives") == 1:
        batch = Pairs(batch.users, batch.items, batch.negatives[:, :1])
    expected = model.loss(batch)
    expected.backward()
    loss_by_hand, gradients = model.derive(batch)
    assert loss_by_hand.item() == pytest.approx(expected.item(), rel=1e-6)
    found = gradients(-2.0)
    assert {id(each.parameter) for each in found} == {
        id(parameter) for parameter in model.parameters() if parameter.requires_grad
    }
    for parameter, rows, values in found:
        whole = torch.zeros_like(parameter).index_add_(0, rows, values)
        assert torch.allclose(whole, -2 * parameter.grad, rtol=1e-5, atol=1e-6)

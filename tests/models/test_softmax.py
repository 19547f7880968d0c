"""The softmax losses against torch's own, values and gradients."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from recsys_cli.models import softmax
from recsys_cli.models.softmax import sampled_softmax_loss, softmax_loss
from recsys_cli.seeds import isolated

N_ITEMS, DIM = 30, 5


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """A batch of several chunks, the last of them not full."""
    monkeypatch.setattr(softmax, "ROWS_ON_CPU", 8)


def tensors(n=50, *, n_items=N_ITEMS, dtype=torch.float64, size=1.0):
    with isolated(0, "softmax"):
        states = (size * torch.randn(n, DIM, dtype=dtype)).requires_grad_()
        items = torch.randn(n_items, DIM, dtype=dtype, requires_grad=True)
        bias = torch.randn(n_items, dtype=dtype, requires_grad=True)
        return states, items, bias, torch.randint(n_items, (n,))


def logits(states, items, bias):
    return torch.addmm(bias, states, items.T)


def plain_sampled(states, items, bias, targets, negatives, log_chance):
    """Autograd's, with a column for the target and one for each draw."""
    scores = logits(states, items, bias)
    drawn = (scores - log_chance - math.log(len(negatives)))[:, negatives]
    drawn = drawn.masked_fill(negatives == targets[:, None], -torch.inf)
    own = scores.gather(1, targets[:, None])
    return cross_entropy(torch.cat([own, drawn], dim=1), torch.zeros_like(targets))


def same(loss, expected, inputs, *, rtol, atol):
    assert torch.allclose(loss, expected, rtol=rtol, atol=atol)
    ours, theirs = (torch.autograd.grad(value, inputs) for value in (loss, expected))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=rtol, atol=atol)


def test_by_hand():
    states, items = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.0], [0.0, 1.0], [1.0, 1.0]])
    bias = torch.tensor([0.1, 0.2, -0.3])
    expected = math.log(sum(map(math.exp, [0.6, 2.2, 2.7]))) - 2.2
    loss = softmax_loss(states, items, bias, torch.tensor([1]))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("size", [1.0, 100.0])
@pytest.mark.parametrize("n", [1, 8, 50])
def test_full_equals_cross_entropy(n, size, dtype, near):
    states, items, bias, targets = tensors(n, dtype=dtype, size=size)
    loss = softmax_loss(states, items, bias, targets)
    expected = cross_entropy(logits(states, items, bias), targets)
    same(loss, expected, (states, items, bias), rtol=near, atol=near)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_sampled_equals_autograd_with_draws_that_repeat_and_hit(dtype, near):
    states, items, bias, targets = tensors(dtype=dtype)
    with isolated(1, "negatives"):
        negatives = torch.randint(N_ITEMS, (40,))
        log_chance = torch.randn(N_ITEMS, dtype=dtype)
    assert len(negatives.unique()) < 40
    assert torch.isin(targets, negatives).any()
    arguments = (states, items, bias, targets, negatives, log_chance)
    loss, expected = sampled_softmax_loss(*arguments), plain_sampled(*arguments)
    same(loss, expected, (states, items, bias), rtol=near, atol=near)


def test_both_have_the_gradients_of_their_values():
    states, items, bias, targets = tensors(11, n_items=6)
    assert torch.autograd.gradcheck(
        lambda *inputs: softmax_loss(*inputs, targets), (states, items, bias)
    )
    negatives, log_chance = torch.tensor([0, 2, 2, 5]), torch.randn(6, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *inputs: sampled_softmax_loss(*inputs, targets, negatives, log_chance),
        (states, items, bias),
    )


def test_draws_that_are_expected_once_are_not_corrected():
    """Then it is plain cross-entropy over the target and the draws."""
    states, items, bias, targets = tensors()
    negatives = torch.arange(0, N_ITEMS, 2)
    once = torch.full((N_ITEMS,), -math.log(len(negatives)), dtype=torch.float64)
    loss = sampled_softmax_loss(states, items, bias, targets, negatives, once)
    scores = logits(states, items, bias)
    among = torch.zeros_like(scores, dtype=torch.bool)
    among[:, negatives] = True
    among.scatter_(1, targets[:, None], True)
    expected = cross_entropy(scores.masked_fill(~among, -torch.inf), targets)
    same(loss, expected, (states, items, bias), rtol=1e-12, atol=1e-12)


def test_an_even_draw_of_every_item_is_the_full_softmax():
    states, items, bias, targets = tensors()
    even = torch.full((N_ITEMS,), -math.log(N_ITEMS), dtype=torch.float64)
    loss = sampled_softmax_loss(states, items, bias, targets, torch.arange(N_ITEMS), even)
    expected = softmax_loss(states, items, bias, targets)
    same(loss, expected, (states, items, bias), rtol=1e-12, atol=1e-12)


def test_where_nothing_but_the_target_is_drawn_there_is_nothing_to_learn():
    states, items, bias, _ = tensors(3)
    loss = sampled_softmax_loss(
        states, items, bias, torch.tensor([4, 4, 4]), torch.tensor([4, 4]), torch.zeros(N_ITEMS)
    )
    assert loss.item() == 0
    assert all((g == 0).all() for g in torch.autograd.grad(loss, (states, items, bias)))


@pytest.mark.parametrize("chance", [[0.6, 0.3, 0.1], [0.25, 0.25, 0.5]])
def test_whatever_is_drawn_more_often_what_is_learnt_is_what_comes_next(chance):
    """A bias alone converges to the logarithms of the shares, also where the popular are drawn most."""
    shares, chances = torch.tensor([0.6, 0.3, 0.1]), torch.tensor(chance)
    targets = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    states, items = torch.zeros(100, 1), torch.zeros(3, 1)
    bias = torch.zeros(3, requires_grad=True)
    negatives = torch.arange(3).repeat_interleave((chances * 20).round().long())
    for _ in range(500):
        loss = sampled_softmax_loss(states, items, bias, targets, negatives, chances.log())
        (gradient,) = torch.autograd.grad(loss, bias)
        with torch.no_grad():
            bias -= gradient
    assert torch.allclose(bias.softmax(0), shares, atol=0.001)


def test_logits_are_never_all_there_at_once():
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else [out]:
                largest = max(largest, tensor.numel())
            return out

    states, items, bias, targets = tensors(400)
    with Watch():
        softmax_loss(states, items, bias, targets).backward()
    assert largest == 400 * DIM

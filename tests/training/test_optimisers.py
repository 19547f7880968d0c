"""Row-wise Adagrad against its definition."""

import sys

import pytest
import torch

from recsys_cli.training.optimisers import RowwiseAdagrad, make_optimiser


def test_two_steps_by_hand():
    table = torch.nn.Parameter(torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    optimiser = RowwiseAdagrad([table], lr=0.5)
    table.grad = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    optimiser.step()
    root = (25 / 2) ** 0.5
    assert table[0].tolist() == pytest.approx([1 - 0.5 * 3 / root, 1 - 0.5 * 4 / root])
    assert table[1].tolist() == [2.0, 2.0]
    table.grad = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    optimiser.step()
    assert table[0, 1].item() == pytest.approx(1 - 0.5 * 4 / root - 0.5 * 2 / (25 / 2 + 2) ** 0.5)
    assert table[1].tolist() == pytest.approx([1.5, 1.5])


@pytest.mark.parametrize("n_rows", [3, 40])
def test_rows_move_as_the_whole_gradient_moves_them(n_rows):
    """Gone over as a whole, and row by row."""
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(n_rows, 4, generator=draw)
    one, other = (torch.nn.Parameter(start.clone()) for _ in "ab")
    whole, by_rows = (RowwiseAdagrad([table], lr=0.5) for table in (one, other))
    for _ in range(3):
        rows = torch.randint(n_rows, (7,), generator=draw)
        rows[0] = rows[3] = 1  # met again
        values = torch.randn(7, 4, generator=draw)
        one.grad = torch.zeros_like(one).index_add_(0, rows, values)
        whole.step()
        by_rows.move_rows(other, rows, values)
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)
        assert torch.allclose(whole.sums()[one], by_rows.sums()[other], rtol=1e-5)
    assert not torch.equal(start, other)


def test_frozen_parameters_are_left_alone():
    frozen = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
    trained = torch.nn.Parameter(torch.zeros(2))
    for name, kind in (
        ("sgd", torch.optim.SGD),
        ("adam", torch.optim.Adam),
        ("rowwise_adagrad", RowwiseAdagrad),
    ):
        optimiser = make_optimiser(name, [frozen, trained], 0.1)
        assert isinstance(optimiser, kind)
        assert optimiser.param_groups[0]["params"] == [trained]


@pytest.mark.parametrize("name", ["rowwise_adagrad", "adam", "sgd"])
def test_none_needs_the_compiler_of_torch_to_be_made_saved_and_loaded(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # its import fails
    optimiser, other = (
        make_optimiser(name, [torch.nn.Parameter(torch.zeros(2))], 0.1) for _ in "ab"
    )
    other.load_state_dict(optimiser.state_dict())
    other.zero_grad(set_to_none=True)
    if name == "rowwise_adagrad":
        other.step()
    assert other.param_groups[0]["lr"] == 0.1

"""What a moment looks like, and the latent cross."""

from datetime import UTC, datetime

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.models.layers import Dropout, LatentCross, take_rows, time_codes
from recsys_cli.seeds import isolated


@given(st.integers(0, 2**33))
def test_weekday_and_hour_are_the_calendars(seconds):
    now = torch.tensor([seconds])
    moment = datetime.fromtimestamp(seconds, UTC)
    assert time_codes("weekday", now, now).item() == moment.weekday()
    assert time_codes("hour", now, now).item() == moment.hour


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (-5, 0),
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 3),
        (2**29 - 1, 29),
        (2**29, 30),
        (2**30, 31),
        (2**40, 31),
    ],
)
def test_gaps_are_whole_powers_of_two(seconds, code):
    now, before = torch.tensor([1_000_000_000 + seconds]), torch.tensor([1_000_000_000])
    assert time_codes("gap", now, before).item() == code


def test_no_context_is_the_identity():
    states = torch.randn(3, 4)
    assert torch.equal(LatentCross([], 4)(states, None, None), states)


def test_with_zero_vectors_it_is_its_baseline_and_otherwise_a_mask():
    cross = LatentCross(["gap", "hour"], 2)
    states = torch.tensor([[1.0, -2.0]])
    now, before = torch.tensor([7_200]), torch.tensor([7_199])
    for table in cross.tables.values():
        torch.nn.init.zeros_(table.weight)
    assert torch.equal(cross(states, now, before), states)
    with torch.no_grad():
        cross.tables["gap"].weight[1] = torch.tensor([0.5, 0.0])
        cross.tables["hour"].weight[2] = torch.tensor([0.25, -1.0])
    assert cross(states, now, before).tolist() == [[1.75, 0.0]]


@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_rows_are_taken_and_their_gradients_add_up(shape):
    table = torch.randn(shape, requires_grad=True)
    codes = torch.tensor([[1, 6, 1], [0, 1, 5]])
    taken = take_rows(table, codes)
    assert torch.equal(taken, table[codes])
    weights = torch.randn(taken.shape)
    (ours,) = torch.autograd.grad((taken * weights).sum(), table)
    (plain,) = torch.autograd.grad((table[codes] * weights).sum(), table)
    assert torch.allclose(ours, plain, atol=1e-6)


@pytest.mark.parametrize(("p", "grid"), [(0.4, 102 / 256), (0.5, 0.5), (0.999, 255 / 256)])
def test_dropout_drops_its_share_and_keeps_the_mean(p, grid):
    layer = Dropout(p)
    with isolated(0, "dropout"):
        x = layer(torch.ones(1_001, 1_003))
    assert x.unique().tolist() == pytest.approx([0, 1 / (1 - grid)])
    assert (x == 0).double().mean().item() == pytest.approx(grid, abs=0.002)


def test_what_is_dropped_has_no_gradient_and_the_rest_is_scaled_alike():
    x = torch.randn(5, 13, requires_grad=True)
    with isolated(0, "dropout"):
        y = Dropout(0.3)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(y, x * gradient)
    assert 0 < (gradient == 0).sum() < x.numel()


def test_dropout_goes_on_where_the_global_generator_was():
    layer, x = Dropout(0.5), torch.ones(100)
    with isolated(3, "dropout"):
        layer(x)
        held = torch.get_rng_state()
        expected = layer(x)
        torch.set_rng_state(held)
        assert torch.equal(layer(x), expected)
        assert not torch.equal(layer(x), expected)


def test_dropout_does_nothing_in_evaluation_or_with_no_chance():
    x = torch.randn(9)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.001)(x), x)

"""What a moment looks like, and the latent cross."""

import math
from datetime import UTC, datetime

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data.context import ContextFacts
from recsys_cli.errors import ConfigError
from recsys_cli.models.layers import (
    DAY,
    WEEK,
    Dropout,
    LatentCross,
    Moments,
    take_rows,
    time_codes,
    time_numbers,
)
from recsys_cli.seeds import isolated

FACTS = ContextFacts({"weather": 3}, (0, 14_400))


@given(st.integers(0, 2**33))
def test_weekday_and_hour_are_the_calendars(seconds):
    now = torch.tensor([seconds])
    moment = datetime.fromtimestamp(seconds, UTC)
    assert time_codes("weekday", now, now).item() == moment.weekday()
    assert time_codes("hour", now, now).item() == moment.hour
    assert time_codes("hour_of_week", now, now).item() == 24 * moment.weekday() + moment.hour


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
    assert torch.equal(LatentCross([], 4, FACTS)(states, Moments()), states)


def test_with_zero_vectors_it_is_its_baseline_and_otherwise_a_mask():
    cross = LatentCross(["gap", "hour", "clock", "weather"], 2, FACTS)
    states = torch.tensor([[1.0, -2.0]])
    weather = {"weather": torch.tensor([2])}
    at = Moments(torch.tensor([7_200]), torch.tensor([7_199]), weather)
    for weight in cross.parameters():
        torch.nn.init.zeros_(weight)
    assert torch.equal(cross(states, at), states)
    with torch.no_grad():
        cross.tables["gap"].weight[1] = torch.tensor([0.5, 0.0])
        cross.tables["hour"].weight[2] = torch.tensor([0.25, -1.0])
        cross.tables["weather"].weight[2] = torch.tensor([1.0, 0.0])
        cross.numbers.weight[
            1, 0
        ] = -2.0  # how far training has gone: 7,200 of 14,400 seconds, which is 0
        cross.numbers.weight[0, 5] = 1.0  # the cosine of the week, which began on a Thursday
    week = math.cos(2 * math.pi * 7_200 / (7 * 86_400))
    assert cross(states, at)[0].tolist() == pytest.approx([2.75 + week, 0.0])


def test_numbers_of_a_moment_stay_where_training_ended_and_waves_go_on():
    """Beyond the span of training no number is one that training never saw."""
    span = (1_000_000, 2_000_000)
    now = torch.tensor([0, 1_000_000, 1_500_000, 2_000_000, 2_000_000 + 4 * WEEK])
    numbers = time_numbers(now, now - 1, span)
    assert numbers[:, 0].tolist() == [-1, -1, 0, 1, 1]
    assert torch.equal(numbers[3], numbers[4])
    assert numbers.abs().max() <= 1
    assert time_numbers(now[:1] + 2**62, now[:1] - 2**62, span).abs().max() <= 1
    assert time_numbers(now, now + 9, span)[:, 1].tolist() == [0] * 5
    day, later = time_numbers(now[:1], now[:1], span)[0], time_numbers(now[:1] + DAY, now[:1], span)
    assert torch.allclose(later[0, 2:4], day[2:4])
    assert not torch.allclose(later[0, 4:], day[4:])


def test_a_context_that_nobody_tells_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="'wether' is neither") as refused:
        LatentCross(["wether"], 2, FACTS)
    assert "weather" in refused.value.line


def test_a_column_of_the_data_comes_before_the_clocks_and_needs_no_clock():
    cross = LatentCross(["weekday"], 2, ContextFacts({"weekday": 3}, None))
    assert not cross.reads_clock
    assert cross.tables["weekday"].num_embeddings == 3
    assert LatentCross(["clock"], 2, FACTS).reads_clock


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

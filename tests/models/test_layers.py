"""What a moment looks like, and the latent cross."""

from datetime import UTC, datetime

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.models.layers import LatentCross, time_codes


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

"""Losses against their definitions."""

import math

import pytest
import torch

from recsys_cli.models.losses import pair_loss

POSITIVE = torch.tensor([0.5, -1.0])
NEGATIVES = torch.tensor([[0.0, 2.0], [0.25, -0.5]])


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def pairs():
    return zip(POSITIVE.tolist(), NEGATIVES.tolist(), strict=True)


def test_squared():
    expected = sum((1 - p) ** 2 + sum(n**2 for n in row) for p, row in pairs()) / 6
    assert pair_loss("squared", POSITIVE, NEGATIVES).item() == pytest.approx(expected, abs=1e-6)


def test_logistic():
    expected = (
        -sum(math.log(sigma(p)) + sum(math.log(1 - sigma(n)) for n in row) for p, row in pairs())
        / 6
    )
    assert pair_loss("logistic", POSITIVE, NEGATIVES).item() == pytest.approx(expected, abs=1e-6)


def test_bpr():
    expected = -sum(math.log(sigma(p - n)) for p, row in pairs() for n in row) / 4
    assert pair_loss("bpr", POSITIVE, NEGATIVES).item() == pytest.approx(expected, abs=1e-6)

"""Losses against their definitions."""

import math

import pytest
import torch

from recsys_cli.models.losses import binary_loss, bpr_max_loss, calibration_power, pair_loss

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


def test_binary():
    wrong = torch.tensor([[True, True], [True, False]])
    expected = 0.0
    for (p, row), kept in zip(pairs(), wrong.tolist(), strict=True):
        expected -= 0.3 * math.log(sigma(p))
        expected -= sum(math.log(1 - sigma(n)) for n, k in zip(row, kept, strict=True) if k)
    loss = binary_loss(POSITIVE, NEGATIVES, wrong, 0.3)
    assert loss.item() == pytest.approx(expected / 6, abs=1e-6)


def test_the_power_of_a_calibrated_loss():
    """1 without calibration; the share of the others that is drawn with all of it; between them a straight line."""
    assert calibration_power(256, 3417, 0.0) == pytest.approx(1)
    assert calibration_power(256, 3417, 1.0) == pytest.approx(256 / 3416)
    assert calibration_power(256, 3417, 0.75) == pytest.approx(0.25 + 0.75 * 256 / 3416)
    assert calibration_power(4, 3, 0.5) == calibration_power(4, 1, 0.5) == 1


def test_bpr_max():
    wrong = torch.tensor([[True, True], [True, False]])
    expected = 0.0
    for (p, row), kept in zip(pairs(), wrong.tolist(), strict=True):
        others = [n for n, k in zip(row, kept, strict=True) if k]
        total = sum(map(math.exp, others))
        shares = [math.exp(n) / total for n in others]
        expected -= math.log(sum(w * sigma(p - n) for w, n in zip(shares, others, strict=True)))
        expected += 0.7 * sum(w * n * n for w, n in zip(shares, others, strict=True))
    loss = bpr_max_loss(POSITIVE, NEGATIVES, wrong, 0.7)
    assert loss.item() == pytest.approx(expected / 2, abs=1e-6)


def test_bpr_max_of_one_negative_is_bpr_and_of_none_is_nothing_to_learn():
    one = NEGATIVES[:, :1]
    every = torch.ones_like(one, dtype=torch.bool)
    assert bpr_max_loss(POSITIVE, one, every, 0.0).item() == pytest.approx(
        pair_loss("bpr", POSITIVE, one).item(), abs=1e-6
    )
    scores = torch.zeros(2, requires_grad=True)
    bpr_max_loss(scores, scores[:, None], ~every, 0.0).backward()
    assert scores.grad.tolist() == [0, 0]

from math import isnan, log2

import pytest
import torch

from recsys_cli.evaluation.beyond import coverage, gini, mean_of_list, self_information


def test_coverage_by_hand():
    assert coverage(torch.tensor([3.0, 0.0, 1.0, 0.0])) == 0.5  # 2 of 4 items are shown
    assert coverage(torch.zeros(4)) == 0.0


def test_gini_by_hand():
    assert gini(torch.tensor([2.0, 2.0, 2.0]).double()) == pytest.approx(0)
    assert gini(torch.tensor([0.0, 5.0, 0.0, 0.0]).double()) == pytest.approx(0.75)  # (n - 1) / n
    # ascending 1, 3: weights 2j - n - 1 = -1, 1: (3 - 1) / (2 * 4)
    assert gini(torch.tensor([3.0, 1.0]).double()) == pytest.approx(0.25)
    assert isnan(gini(torch.zeros(3).double()))


def test_self_information_by_hand():
    bits = self_information(torch.tensor([8.0, 2.0, 1.0, 0.0]).double(), 8)
    assert bits.tolist() == [
        0.0,
        2.0,
        3.0,
        3.0,
    ]  # log2 of 8/8, 8/2, 8/1; an item of nobody as of one user


def test_mean_of_list_by_hand():
    value = torch.tensor([1.0, 2.0, 6.0]).double()
    lists = torch.tensor([[0, 2], [1, -1], [-1, -1]])
    means = mean_of_list(lists, value)
    assert means[:2].tolist() == [3.5, 2.0]  # (1 + 6) / 2; the one item of a short list
    assert means[2].isnan()


def test_novelty_is_lower_for_popular_lists():
    bits = self_information(torch.tensor([100.0, 3.0]).double(), 128)
    assert bits[0] < bits[1] == log2(128 / 3)

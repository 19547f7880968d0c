from math import isnan, log, log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.evaluation.beyond import (
    calibration,
    coverage,
    diversity,
    gini,
    mean_of_list,
    self_information,
)


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


# of which of three categories an item is
A, B, AB, ABC, NONE = [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]


def test_diversity_by_hand():
    lists = torch.tensor([[A, B, A], [A, AB, ABC], [A, NONE, AB], [A, NONE, NONE], [NONE] * 3])
    value = diversity(lists.bool())
    assert value[0].item() == pytest.approx(2 / 3)  # pairs: 1, 0, 1
    assert value[1].item() == pytest.approx((1 / 2 + 2 / 3 + 1 / 3) / 3)
    assert value[2].item() == pytest.approx(1 / 2)  # the item of no category is left out
    assert value[3:].isnan().all()  # no pair


def test_calibration_by_hand():
    taste = torch.tensor([[3.0, 1.0, 0.0]]).double()  # 3/4 and 1/4
    equal, one = torch.tensor([[A, A, A, B]]).bool(), torch.tensor([[A, A, A, NONE]]).bool()
    assert calibration(equal, taste).item() == pytest.approx(0, abs=1e-12)
    p, q = (0.75, 0.25), (0.99 + 0.01 * 0.75, 0.01 * 0.25)
    expected = sum(a * log(a / b) for a, b in zip(p, q, strict=True))
    assert calibration(one, taste).item() == pytest.approx(expected)
    mixed = torch.tensor([[AB, A]]).bool()  # A: 1/2 + 1, B: 1/2 of two items
    assert calibration(mixed, taste).item() == pytest.approx(0, abs=1e-12)


def test_calibration_is_worst_where_a_list_has_nothing_of_a_taste():
    worst = calibration(torch.tensor([[B]]).bool(), torch.tensor([[1.0, 0.0, 0.0]]).double())
    assert worst.item() == pytest.approx(log(100))


def test_calibration_needs_a_taste_and_a_list():
    nothing, some = torch.zeros(1, 3).double(), torch.tensor([[1.0, 1.0, 0.0]]).double()
    assert calibration(torch.tensor([[A]]).bool(), nothing).isnan().all()
    assert calibration(torch.tensor([[NONE]]).bool(), some).isnan().all()


COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=12)
KINDS = st.lists(st.sampled_from([A, B, AB, ABC, NONE]), min_size=1, max_size=6)


@given(COUNTS, st.integers(1, 9), st.randoms(use_true_random=False))
def test_gini_is_a_share_that_no_scale_or_order_changes(counts, scale, random):
    found = gini(torch.tensor(counts).double())
    if not any(counts):
        assert isnan(found)
        return
    assert -1e-12 <= found <= 1 - 1 / len(counts) + 1e-12
    random.shuffle(counts)
    assert gini(torch.tensor(counts).double() * scale) == pytest.approx(found, abs=1e-12)


@given(COUNTS, st.integers(0, 11))
def test_showing_one_more_item_never_lowers_coverage(counts, at):
    before = coverage(torch.tensor(counts).double())
    counts[at % len(counts)] += 1
    assert before <= coverage(torch.tensor(counts).double()) <= 1


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=6), COUNTS)
def test_a_mean_lies_between_the_least_and_greatest_of_the_list(listed, values):
    listed = [item % len(values) if item >= 0 else -1 for item in listed]
    own = [float(values[item]) for item in listed if item >= 0]
    found = mean_of_list(torch.tensor([listed]), torch.tensor(values).double()).item()
    if own:
        assert min(own) - 1e-12 <= found <= max(own) + 1e-12
    else:
        assert isnan(found)


@given(KINDS, st.randoms(use_true_random=False))
def test_diversity_is_a_share_that_no_order_changes(kinds, random):
    found = diversity(torch.tensor([kinds]).bool()).item()
    random.shuffle(kinds)
    again = diversity(torch.tensor([kinds]).bool()).item()
    assert again == pytest.approx(found, abs=1e-12, nan_ok=True)
    assert isnan(found) or -1e-12 <= found <= 1 + 1e-12


@given(KINDS, st.integers(1, 9))
def test_a_list_in_the_proportions_of_the_taste_is_calibrated_and_none_is_better(kinds, scale):
    listed = torch.tensor([kinds]).bool()
    own = listed.double()
    taste = (own / own.sum(2, keepdim=True).clamp(min=1)).sum(1) * scale
    found = calibration(listed, taste).item()
    assert found == pytest.approx(0, abs=1e-12) if listed.any() else isnan(found)
    other = calibration(listed, torch.tensor([[1.0, 2.0, 3.0]]).double()).item()
    assert isnan(other) or 0 <= other <= log(100) + 1e-12

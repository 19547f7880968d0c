"""Axes of parallel coordinates: where values stand, and which marks are named."""

from __future__ import annotations

import itertools

import pytest

from recsys_cli.reports.parallel import MOST_NAMES, ladder


def test_numbers_stand_at_even_distances_and_the_ends_are_named():
    axis = ladder("model.l2", [0.0, 0.5, 1.0], "linear", None)
    assert axis.heights == [0, 0.5, 1]
    assert dict(axis.ticks) | {0: "0", 1: "1"} == dict(axis.ticks)


def test_a_logarithmic_axis_has_powers_of_ten_at_even_distances():
    axis = ladder("trainer.lr", [1e-4, 1e-3, 1e-1], "log", None)
    assert axis.heights == pytest.approx([0, 1 / 3, 1])
    assert [text for _, text in sorted(axis.ticks)] == ["0.0001", "0.001", "0.01", "0.1"]


def test_marks_do_not_stand_on_each_other():
    heights = sorted(at for at, _ in ladder("x", [0.00099, 0.1001, 0.5], "log", None).ticks)
    assert all(upper - lower > 0.05 for lower, upper in itertools.pairwise(heights))


def test_choices_stand_in_their_order_and_all_are_named_even_where_they_were_not_tried():
    axis = ladder("model.biases", [True, True], "choices", [False, True])
    assert axis.heights == [1, 1]
    assert axis.ticks == [(0, "false"), (1, "true")]


def test_of_very_many_choices_some_are_named():
    axis = ladder("model.rank", [0, 99], "choices", list(range(100)))
    assert axis.heights == [0, 1]
    assert len(axis.ticks) <= MOST_NAMES


def test_what_does_not_vary_stands_in_the_middle():
    assert ladder("x", [3.0, 3.0], "log", None).heights == [0.5, 0.5]
    assert ladder("x", [8, 8], "choices", [8]).heights == [0.5, 0.5]

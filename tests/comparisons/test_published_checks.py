"""When a printed number counts as reached."""

from __future__ import annotations

import pytest

from recsys_cli.comparisons.published_checks import Check


@pytest.mark.parametrize(
    ("ours", "tolerance", "passed"),
    [
        (0.12345, 0, True),
        (0.1235, 0, True),
        (0.12341, 0, False),
        (0.12355, 0, True),
        (0.1236, 0, False),
        (0.1240, 0.0005, True),
        (0.1241, 0.0005, False),
        (0.1230, 0.0005, True),
        (0.1229, 0.0005, False),
    ],
)
def test_a_number_is_reached_by_its_printed_digits_and_the_tolerance(ours, tolerance, passed):
    check = Check("m", "ndcg", 0.1235, ours, digits=4, tolerance=tolerance)
    assert check.passed is passed
    assert check.difference == pytest.approx(ours - 0.1235)


def test_a_count_is_reached_exactly():
    assert Check("split", "users", 20, 20, digits=0, tolerance=0).passed
    assert not Check("split", "users", 20, 21, digits=0, tolerance=0).passed

"""The probe of dot products: what it learns, that it repeats, and what it says."""

import pytest
import torch

from recsys_cli.comparisons.dot_probe import DotProbe
from recsys_cli.comparisons.dot_probe_fits import Fit, Task, fit, make_world

TWO = Task(2, 1, "learnt")


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    one, again, other = (fit(TWO, make_world(TWO, s), 3, 20, s) for s in (0, 0, 1))
    assert one == again
    assert one.asked != other.asked


def test_cells_that_are_asked_about_were_not_trained_on():
    world = make_world(TWO, 0)
    trained = {tuple(cell) for cell in world.trained.tolist()}
    assert not trained & {tuple(cell) for cell in world.asked.tolist()}
    given = make_world(Task(2, 4, "given"), 0)
    assert int(given.trained.max()) < int(given.asked.min())
    assert torch.std(world.truth(world.trained)).item() == pytest.approx(1, abs=1e-5)


def test_the_dot_product_learns_what_one_hidden_unit_cannot():
    world = make_world(TWO, 0)
    assert fit(TWO, world, 0, 300, 0).asked > 0.95 > 0.8 > fit(TWO, world, 1, 300, 0).asked


def test_it_says_how_many_units_are_needed():
    fits = [Fit(TWO, 0, 1.0, 0.999, 1), Fit(TWO, 1, 0.4, 0.4, 1), Fit(TWO, 5, 0.99, 0.991, 1)]
    assert DotProbe(fits, [1, 5], 9, 0, {}).needed(TWO) == 5
    short = DotProbe(fits[:2], [1], 9, 0, {})
    assert short.needed(TWO) is None
    assert "more than 1 (best R 0.400 with 1)" in short.conclusion

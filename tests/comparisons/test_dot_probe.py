"""The probe of dot products: what it learns, that it repeats, and what it says."""

import pytest
import torch

from recsys_cli.comparisons import dot_probe_fits
from recsys_cli.comparisons.dot_probe import DotProbe
from recsys_cli.comparisons.dot_probe_fits import Fit, Task, fit, fit_often, make_world

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
    assert DotProbe(fits, [1, 5], 9, 1, 0, {}).needed(TWO) == 5
    short = DotProbe(fits[:2], [1], 9, 3, 0, {})
    assert short.needed(TWO) is None
    assert "a feed-forward net, the median of 3 starts, needed for" in short.conclusion
    assert "more than 1 (best R 0.400 with 1)" in short.conclusion


def test_of_several_starts_the_one_in_the_middle_counts():
    world = make_world(TWO, 0)
    nets = [fit(TWO, world, 3, 20, 0, start) for start in range(3)]
    middle = sorted(nets, key=lambda net: net.asked)[1]
    found = fit_often(TWO, world, 3, 20, 0, 3)

    assert len({net.asked for net in nets}) == 3
    assert (found.asked, found.trained) == (middle.asked, middle.trained)
    assert found.starts == tuple(sorted(net.asked for net in nets))


def test_a_start_that_says_one_number_is_the_worst(monkeypatch):
    asked = iter([0.9, float("nan"), 0.7, 0.8])

    def one(*_):
        return Fit(TWO, 1, 1.0, next(asked), 1)

    monkeypatch.setattr(dot_probe_fits, "fit", one)
    found = fit_often(TWO, None, 1, 1, 0, 4)
    assert found.asked == 0.7
    assert found.starts[1:] == (0.7, 0.8, 0.9)

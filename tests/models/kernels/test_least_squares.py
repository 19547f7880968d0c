"""Conjugate gradients go where the exact solve is."""

import numpy as np
import pytest

from recsys_cli.models.kernels.least_squares import solve_rows


def problem(rank: int, n_rows: int = 9, n_others: int = 30):
    random = np.random.default_rng(rank)
    lengths = np.array([0, 1, 2, 3, 4, 5, 9, 17, 0])[:n_rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    met = np.concatenate([random.permutation(n_others)[:n] for n in lengths]).astype(np.int32)
    others = random.normal(size=(n_others, rank)).astype(np.float32)
    shared = (0.3 * others.T @ others).astype(np.float32)
    penalties = random.uniform(0.5, 2, n_rows).astype(np.float32)
    found = random.normal(size=(n_rows, rank)).astype(np.float32)
    return starts, met, others, shared, penalties, found


def exact(starts, met, others, shared, penalties):
    solved = []
    for row, penalty in enumerate(penalties):
        y = others[met[starts[row] : starts[row + 1]]].astype(np.float64)
        solved.append(np.linalg.solve(shared + y.T @ y + penalty * np.eye(len(shared)), y.sum(0)))
    return np.array(solved)


@pytest.mark.parametrize("rank", [1, 3, 4, 6, 16])
def test_as_many_steps_as_entries_solve_it(rank):
    *given, found = problem(rank)
    solve_rows(*given, 3 * rank, found, 0, len(found))
    assert np.allclose(found, exact(*given), atol=1e-4)


def test_each_step_goes_nearer_and_other_rows_stay():
    *given, first = problem(6)
    goal, before = exact(*given), np.inf
    for steps in (0, 1, 2, 4):
        found = first.copy()
        solve_rows(*given, steps, found, 2, 7)
        assert np.array_equal(found[[0, 1, 7, 8]], first[[0, 1, 7, 8]])
        away = np.square(found[2:7] - goal[2:7]).sum()
        assert away < before
        before = away


def test_rows_do_not_depend_on_which_are_solved_with_them():
    *given, first = problem(6)
    whole, parts = first.copy(), first.copy()
    solve_rows(*given, 3, whole, 0, 9)
    for row in range(9):
        solve_rows(*given, 3, parts, row, row + 1)
    assert np.array_equal(whole, parts)

import torch

from recsys_cli.comparisons.device_work import Counting, Work

FLOAT, LONG = 4, 8


def counted(work) -> Work:
    with Counting() as counting:
        work()
    return counting.work


def test_a_product_is_two_operations_a_multiply_add_and_its_matrices_once():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert counted(lambda: a @ b) == Work(2 * 3 * 5 * 7, FLOAT * (15 + 35 + 21))


def test_views_cost_nothing_and_what_is_repeated_is_read_once():
    table = torch.ones(4, 6)
    assert counted(lambda: table.T.reshape(24)[3:].detach()).flops == 0
    assert counted(lambda: table[1:].T.view(6, 3)).bytes == 0
    wide = torch.ones(1).expand(1000)
    assert counted(lambda: wide.sum()).bytes == FLOAT * (1 + 1)


def test_rows_are_read_and_not_the_table():
    table, rows = torch.ones(10_000, 8), torch.tensor([3, 9])
    assert counted(lambda: table.index_select(0, rows)).bytes == 2 * FLOAT * 16 + LONG * 2
    assert counted(lambda: table.index_add_(0, rows, torch.ones(2, 8))).bytes < 1000


def test_what_follows_from_a_gradient_is_counted_too():
    a, b = torch.ones(3, 5, requires_grad=True), torch.ones(5, 7)
    total = (a @ b).sum()
    assert counted(total.backward).flops == 2 * 3 * 5 * 7

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_cli.evaluation.top_k import SEEN, can_scan, top_k
from tests.evaluation.twins import ranked_list, tied


def lists(scores, k):
    return top_k(torch.tensor(scores), k).items.tolist()


def test_score_descending_then_code_ascending():
    assert lists([[1.0, 3.0, 2.0, 3.0, 2.0, 2.0]], 4) == [[1, 3, 2, 4]]


def test_a_tie_across_the_end_takes_the_lowest_codes():
    scores = torch.zeros(3, 20)
    scores[:, 7] = 1.0
    scores[1, 3] = -1.0
    scores[2, 15] = 1.0
    assert top_k(scores, 5).items.tolist() == [[7, 0, 1, 2, 3], [7, 0, 1, 2, 4], [7, 15, 0, 1, 2]]


def test_negative_zero_ties_with_zero():
    assert lists([[-0.0, 0.0, -0.0, 0.0, -1.0]], 3) == [[0, 1, 2]]


def test_seen_items_never_fill_a_list():
    assert lists([[SEEN, 2.0, SEEN, 1.0], [SEEN] * 4, [SEEN, SEEN, 5.0, SEEN]], 3) == [
        [1, 3, -1],
        [-1, -1, -1],
        [2, -1, -1],
    ]


def test_lists_longer_than_the_catalogue_are_padded():
    top = top_k(torch.tensor([[1.0, 2.0]]), 4)
    assert top.items.tolist() == [[1, 0, -1, -1]]
    assert top.tied.tolist() == [[False] * 4]


@pytest.mark.parametrize("constant", [0.0, -3.5, 7.0])
@pytest.mark.parametrize("k", [1, 2, 4, 9])
def test_a_constant_score_recommends_nothing(constant, k):
    scores = torch.full((2, 5), constant)
    scores[1, :2] = SEEN
    top = top_k(scores, k)
    assert top.items.eq(-1).all()
    assert top.tied.all()


def test_a_flat_top_with_something_below_it_is_a_recommendation():
    scores = torch.ones(1, 30)
    scores[0, 29] = 0.5
    assert lists(scores.tolist(), 3) == [[0, 1, 2]]


def test_tied_tells_where_the_code_decided():
    top = top_k(torch.tensor([[5.0, 4.0, 4.0, 1.0, 0.0]]), 4)
    assert top.tied.tolist() == [[False, True, False, False]]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, SEEN]), min_size=n, max_size=n),
            min_size=1,
            max_size=8,
        )
    ),
    st.integers(1, 14),
)
@pytest.mark.parametrize("compiled", [False, True])
def test_equals_a_plain_sort(compiled, scores, k):
    top = top_k(torch.tensor(scores), k, compiled=compiled)
    for row, own, is_tied in zip(scores, top.items.tolist(), top.tied.tolist(), strict=True):
        seen = {item for item, score in enumerate(row) if score == SEEN}
        expected = ranked_list(row, seen, k)
        assert own == expected + [-1] * (k - len(expected))
        assert is_tied == [bool(tied(row, seen, i)) for i in range(1, k + 1)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_type(dtype):
    assert top_k(torch.tensor([[1, 3, 3, 2]], dtype=dtype), 2).items.tolist() == [[1, 2]]


@pytest.mark.parametrize("k", [1, 10, 100, 400])
def test_the_compiled_scan_gives_the_same_lists(k):
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.normal(size=(40, 300)).astype(np.float32))
    scores[::2] = scores[::2].round(decimals=1)
    scores[random.random(scores.shape) < 0.2] = SEEN
    scores[:2] = torch.tensor([[1.0], [SEEN]])
    ours, plain = (top_k(scores, k, compiled=compiled) for compiled in (True, False))
    assert torch.equal(ours.items, plain.items)
    assert torch.equal(ours.tied, plain.tied)


def test_only_single_precision_on_the_cpu_is_scanned():
    assert can_scan(torch.zeros(1))
    assert not can_scan(torch.zeros(1, dtype=torch.float64))
    assert not can_scan(torch.zeros(1, device="meta"))

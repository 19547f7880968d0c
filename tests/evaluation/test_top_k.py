import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.evaluation.top_k import SEEN, scan, top_k
from recsys_cli.models.kernels.top_items import Rows
from tests.conftest import examples
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


def test_a_flat_row_beside_one_that_is_flat_at_the_top_alone():
    scores = torch.ones(2, 9)
    scores[1, 8] = 0.0
    assert top_k(scores, 2).items.tolist() == [[-1, -1], [0, 1]]


def test_tied_tells_where_the_code_decided():
    top = top_k(torch.tensor([[5.0, 4.0, 4.0, 1.0, 0.0]]), 4)
    assert top.tied.tolist() == [[False, True, False, False]]


@examples(300)
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
@pytest.mark.parametrize("find", [top_k, lambda scores, k: scanned(scores, k)])
def test_equals_a_plain_sort(find, scores, k):
    top = find(torch.tensor(scores), k)
    for row, own, is_tied in zip(scores, top.items.tolist(), top.tied.tolist(), strict=True):
        seen = {item for item, score in enumerate(row) if score == SEEN}
        expected = ranked_list(row, seen, k)
        assert own == expected + [-1] * (k - len(expected))
        assert is_tied == [bool(tied(row, seen, i)) for i in range(1, k + 1)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_type(dtype):
    assert top_k(torch.tensor([[1, 3, 3, 2]], dtype=dtype), 2).items.tolist() == [[1, 2]]


MATRICES = st.integers(1, 9).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([-2.0, 0.0, 1.0, 3.0, SEEN]), min_size=n, max_size=n),
        min_size=1,
        max_size=6,
    )
)


@given(MATRICES, st.integers(1, 10))
def test_a_user_has_the_same_list_in_any_company(scores, k):
    together = top_k(torch.tensor(scores), k)
    for row, items, told in zip(scores, together.items, together.tied, strict=True):
        alone = top_k(torch.tensor([row]), k)
        assert torch.equal(alone.items[0], items)
        assert torch.equal(alone.tied[0], told)


@given(MATRICES, st.integers(1, 8), st.integers(1, 4))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(scores, k, more):
    longer = top_k(torch.tensor(scores), k + more)
    shorter = top_k(torch.tensor(scores), k)
    assert torch.equal(longer.items[:, :k], shorter.items)
    assert torch.equal(longer.tied[:, :k], shorter.tied)


@given(MATRICES, st.integers(1, 10))
def test_only_the_order_of_the_scores_counts(scores, k):
    table = torch.tensor(scores)
    assert torch.equal(top_k(table * 4 + 2, k).items, top_k(table, k).items)


@given(st.permutations(range(8)), st.permutations(range(8)), st.integers(1, 9))
def test_without_ties_items_are_only_names(ranks, codes, k):
    scores = torch.tensor([ranks]).float()
    renamed = torch.empty_like(scores)
    renamed[0, list(codes)] = scores[0]
    expected = [codes[item] if item >= 0 else -1 for item in top_k(scores, k).items[0].tolist()]
    assert top_k(renamed, k).items[0].tolist() == expected


def rows(table):
    """Items of each row of a table of booleans."""
    starts = np.cumsum(table.sum(1)) - table.sum(1)
    return Rows(np.nonzero(table)[1].astype(np.int32), starts, starts + table.sum(1))


def scanned(scores, k):
    """By the compiled scan, which is told what is seen instead of finding it in the scores."""
    seen = (scores == SEEN).numpy()
    top, _ = scan(scores.masked_fill(scores == SEEN, 9.0), k, rows(seen), rows(seen[:, :0]))
    return top


@pytest.mark.parametrize("k", [1, 10, 100, 400])
def test_the_compiled_scan_gives_the_same_lists(k):
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.normal(size=(40, 300)).astype(np.float32))
    scores[::2] = (scores[::2] * 10).round()
    scores[torch.from_numpy(random.random(scores.shape) < 0.2)] = SEEN
    scores[:2] = torch.tensor([[1.0], [SEEN]])
    scores[2, 1:] = SEEN
    ours, plain = scanned(scores, k), top_k(scores, k)
    assert torch.equal(ours.items, plain.items)
    assert torch.equal(ours.tied, plain.tied)


def test_the_scan_counts_seen_targets_and_leaves_the_scores():
    scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    seen = np.array([[True, False, False], [False, True, True]])
    targets = np.array([[True, True, False], [True, True, True]])
    top, n_seen = scan(scores, 2, rows(seen), rows(targets))
    assert top.items.tolist() == [[1, 2], [0, -1]]
    assert n_seen == 3
    assert scores.tolist() == [[3, 2, 1], [1, 2, 3]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("item", [0, 70, 99])
def test_the_scan_gives_nothing_where_a_score_is_not_finite(bad, item):
    scores = torch.zeros(2, 100)
    nothing = rows(np.zeros((2, 100), bool))
    assert scan(scores, 3, nothing, nothing) is not None
    scores[1, item] = bad
    assert scan(scores, 3, nothing, nothing) is None
    assert scan(scores, 3, rows(np.ones((2, 100), bool)), nothing) is None, "seen or not"

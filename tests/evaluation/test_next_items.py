"""The list for one person: the best unseen items with their scores, by the rules of the evaluation."""

import numpy as np
import pytest
import torch

from recsys_cli.data.interactions import from_columns
from recsys_cli.data.next_question import of_history
from recsys_cli.errors import DivergedError
from recsys_cli.evaluation.next_items import next_items

EVENTS = from_columns(users=np.repeat([0, 1], 5), items=np.tile(np.arange(5), 2))
CPU = torch.device("cpu")


class Fixed(torch.nn.Module):
    reads = frozenset({"items"})
    history_length = None

    def __init__(self, *scores):
        super().__init__()
        self.row = torch.tensor(scores)
        self.dropout = torch.nn.Dropout(0.5)

    def score(self, queries):
        return self.dropout(self.row).repeat(len(queries), 1)


def ask(model, k, *history):
    items, scores = next_items(model, of_history(history, EVENTS, EVENTS), k, device=CPU)
    return items.tolist(), scores.tolist()


def test_the_best_unseen_items_come_with_their_scores_and_ties_go_by_item():
    assert ask(Fixed(0.5, 2.0, 0.5, 3.0, 1.0), 3, "3") == ([1, 4, 0], [2.0, 1.0, 0.5])


def test_there_are_no_more_than_unseen_ones_and_none_where_nothing_is_told():
    assert ask(Fixed(0.5, 2.0, 0.5, 3.0, 1.0), 5, "0", "1", "3")[0] == [4, 2]
    assert ask(Fixed(1.0, 1.0, 1.0, 1.0, 1.0), 2, "0") == ([], [])


def test_a_score_that_is_not_finite_is_an_error():
    with pytest.raises(DivergedError, match="for user somebody"):
        ask(Fixed(0.5, float("nan"), 0.5, 3.0, 1.0), 3, "3")

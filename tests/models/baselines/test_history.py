"""Histories as matrices."""

import numpy as np
import torch

from recsys_cli.models.baselines import history
from recsys_cli.models.baselines.history import float64_device, gram, incidence, multi_hot
from tests.models.baselines.examples import dense, some_events


def test_a_repeated_event_counts_once():
    events = some_events()
    assert len(events) > dense(events).sum()
    assert np.array_equal(incidence(events).toarray(), dense(events))


def test_gram_is_the_product_whatever_the_block(monkeypatch):
    matrix = incidence(some_events())
    expected = matrix.toarray().T @ matrix.toarray()
    assert np.array_equal(gram(matrix), expected)
    monkeypatch.setattr(history, "BLOCK_ITEMS", 5)
    assert np.array_equal(gram(matrix), expected)


def test_multi_hot_knows_padding_and_repeats():
    rows = multi_hot(torch.tensor([[-1, -1, 2], [0, 2, 2], [-1, -1, -1]]), 4)
    assert rows.tolist() == [[0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_a_device_without_64_bit_floats_leaves_the_solve_to_the_cpu(monkeypatch):
    def refuse(*_, device, **__):
        raise TypeError("no float64 here")

    assert float64_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setattr(torch, "zeros", refuse)
    assert float64_device(torch.device("mps")) == torch.device("cpu")

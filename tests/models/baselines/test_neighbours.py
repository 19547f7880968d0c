"""Which neighbours are kept, and what they add up to."""

import numpy as np
import torch

from recsys_cli.models.baselines.neighbours import ItemNeighbours, strongest

SIMILARITY = np.array(
    [[0.0, 0.5, 0.2, 0.9], [0.5, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0], [0.3, 0.1, 0.2, 0.0]]
)


def test_equal_neighbours_are_kept_in_the_order_of_their_codes():
    weights, items = strongest(np.full((1, 50), 0.25), 3)
    assert items.tolist() == [[0, 1, 2]]
    assert weights.tolist() == [[0.25] * 3]


def test_a_score_is_the_sum_over_the_kept_neighbours_in_the_history():
    nearest = ItemNeighbours(n_items=4, neighbours=2)
    nearest.keep_strongest(0, SIMILARITY[:2])
    nearest.keep_strongest(2, SIMILARITY[2:])
    scores = nearest(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]]))
    assert torch.allclose(scores, torch.tensor([[1.4, 1.0, 0.0, 0.5], [0.0, 0.5, 0.0, 0.2]]))


def test_more_neighbours_than_items_are_all_items():
    nearest = ItemNeighbours(n_items=4, neighbours=100)
    nearest.keep_strongest(0, SIMILARITY)
    history = torch.eye(4)
    assert torch.allclose(nearest(history), torch.from_numpy(SIMILARITY.T).float())

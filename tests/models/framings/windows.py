"""A batch of two windows and the queries that its positions are, for every model of sequences."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from recsys_cli.data.batches import Negatives, Sequences
from recsys_cli.data.context import ContextFacts
from recsys_cli.data.queries import Queries

N_ITEMS = 11
ITEMS = torch.tensor([[1, 5, 2, 0], [7, 3, 0, 0]])
TARGETS = torch.tensor([[5, 2, 9, 0], [3, 8, 0, 0]])
REAL = torch.tensor([[True, True, True, False], [True, True, False, False]])
NO_CONTEXT = ContextFacts({}, None)
PLACES = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


def batch(negatives: Negatives | None = None, **changed: torch.Tensor) -> Sequences:
    """Three events of one user and two of another, each with the next one as its target."""
    columns = {"items": ITEMS, "targets": TARGETS, "real": REAL} | changed
    return Sequences(**columns, times=None, now=None, negatives=negatives)


def scores(model: Any) -> torch.Tensor:
    """The model's answer to each position asked as a query of its own."""
    with torch.no_grad():
        asked = [Queries(items=ITEMS[row : row + 1, : t + 1]) for row, t in PLACES]
        return torch.cat([model.score(query) for query in asked])


def targets() -> torch.Tensor:
    """The targets of the positions."""
    return torch.stack([TARGETS[row, t] for row, t in PLACES])


def asked_one_by_one(model: Any) -> torch.Tensor:
    """The full softmax loss, from queries."""
    return cross_entropy(scores(model), targets())


def padded_by(n: int, queries: Queries) -> Queries:
    """The same questions with more padding."""
    assert queries.items is not None
    return Queries(items=torch.nn.functional.pad(queries.items, (n, 0), value=-1))

"""Small random histories, and the questions that they lead to."""

import numpy as np
import torch
from numpy.typing import NDArray

from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.queries import Queries


def some_events(n_users: int = 30, n_items: int = 12, seed: int = 0) -> Interactions:
    """Every user and item has an event; some events are repeated."""
    random = np.random.default_rng(seed)
    met = random.random((n_users, n_items)) < np.linspace(0.15, 0.7, n_items)
    met[np.arange(n_users), np.arange(n_users) % n_items] = True
    users, items = np.nonzero(met)
    return from_columns(users=np.append(users, users[:20]), items=np.append(items, items[:20]))


def dense(interactions: Interactions) -> NDArray[np.float64]:
    """Users x items: 1 where they met."""
    matrix = np.zeros((interactions.n_users, interactions.n_items))
    matrix[interactions.users, interactions.items] = 1.0
    return matrix


def histories(*items: list[int], users: list[int] | None = None) -> Queries:
    """Queries with these histories, of unseen users unless told."""
    longest = max(1, *(len(own) for own in items))
    padded = [[-1] * (longest - len(own)) + own for own in items]
    codes = [-1] * len(items) if users is None else users
    return Queries(users=torch.tensor(codes), items=torch.tensor(padded))


def as_rows(queries: Queries, n_items: int) -> NDArray[np.float64]:
    """The histories as 0/1 rows."""
    rows = np.zeros((len(queries), n_items))
    for row, items in zip(rows, queries.items.tolist(), strict=True):
        row[[item for item in items if item >= 0]] = 1.0
    return rows


QUERIES = histories([1, 4, 7], [], [2], [5, 5, 0, 11, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])

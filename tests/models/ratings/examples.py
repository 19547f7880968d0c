"""Small ratings with values that differ."""

from __future__ import annotations

import numpy as np

from recsys_cli.data.interactions import Interactions, from_columns


def ratings(
    n_users: int = 15, n_items: int = 12, share: float = 0.5, seed: int = 0
) -> Interactions:
    """Random ratings from 1 to 5; the last user and the last item of the vocabularies have none."""
    random = np.random.default_rng(seed)
    users, items = np.nonzero(random.random((n_users, n_items)) < share)
    users, items = np.append(users, n_users), np.append(items, n_items)
    values = random.integers(1, 6, len(users))
    events = from_columns(users=users, items=items, values=values)
    return events.take(events.items < n_items)

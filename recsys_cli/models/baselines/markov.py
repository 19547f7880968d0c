"""A Markov chain of first order: what comes next hangs on the last event alone.

The chances are the transitions that were counted, drawn towards popularity (Rendle, Freudenthaler and Schmidt-Thieme
2010 call this the dense, unfactorised chain). What a model of whole histories adds is what it gains over this.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Float
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.baselines.followers import Followers


class Markov(nn.Module):
    """An item deserves to be next as often as it came right after the last one.

    Args:
        n_items: Size of the catalogue.
        followers: Items kept for each item, those that came after it most.
        smoothing: Events that popularity counts for beside the transitions from an item.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        n_items: int,
        followers: Annotated[int, Ge(1), Le(1_000_000)],
        smoothing: Annotated[float, Gt(0), Le(1_000_000)],
    ) -> None:
        super().__init__()
        self.n_items = n_items
        self.followers = Followers(n_items=n_items, followers=followers, smoothing=smoothing)

    def fit(self, interactions: Interactions) -> None:
        """Count which item came right after which, user by user."""
        users, items = interactions.users, interactions.items
        same = users[1:] == users[:-1]
        pairs = items[:-1][same], items[1:][same]
        shape = self.n_items, self.n_items
        seen = sparse.csr_array((np.ones(len(pairs[0])), pairs), shape=shape)
        self.followers.keep(lambda rows: seen[rows], seen.sum(axis=1), interactions)

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """A block of items by items, and the transitions."""
        return self.followers.working_bytes() + 4 * 8 * len(train)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The chance of each item after the last one; without a history, popularity."""
        assert queries.items is not None
        chances: Tensor = self.followers(queries.items[:, -1])
        return chances

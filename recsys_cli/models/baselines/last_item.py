"""Popular with who met the last item: one item of context and no order.

Between popularity and a Markov chain: it knows the last event, and not what came before or after what (the co-count
of Linden, Smith and York, "Amazon.com recommendations", 2003, asked of the last item alone).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le
from jaxtyping import Float
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.baselines.followers import Followers
from recsys_cli.models.baselines.history import incidence


class LastItem(nn.Module):
    """An item deserves to be next as many of those who met the last one met it too.

    Args:
        n_items: Size of the catalogue.
        followers: Items kept for each item, those that it shares most users with.
        smoothing: Users that popularity counts for beside those of an item.
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
        """Count the users that each two items share."""
        matrix = incidence(interactions)
        by_item, users = matrix.T.tocsr(), matrix.sum(axis=0)

        def shared(rows: slice) -> sparse.csr_array:
            itself = sparse.diags_array(users, format="csr")[rows]
            return by_item[rows] @ matrix - itself

        self.followers.keep(shared, users, interactions)

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """A block of items by items, and the histories twice."""
        return self.followers.working_bytes() + 4 * 8 * len(train)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The share of the last item's users who met each item; without a history, popularity."""
        assert queries.items is not None
        chances: Tensor = self.followers(queries.items[:, -1])
        return chances

"""KNN baseline: how far people who rate alike were above or below their own baseline.

    r(u, i) = b_ui + sum of s(u, v) (r_vi - b_vi) / sum of s(u, v)

over the `neighbours` most similar raters v of item i, equals in the order of their codes; b is the `Baseline`. Two
people are as alike as s = 1 / (1 + their mean squared difference over the items that both rated), and not at all
with fewer than `min_common` of those.

Koren, "Factor in the neighbors: scalable and accurate collaborative filtering" (TKDD 2010); the similarity is that
of Shardanand and Maes, "Social information filtering" (CHI 1995).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Le
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.models.ratings.baseline import Baseline

BLOCK_USERS = 512


class KNNBaseline(nn.Module):
    """An item deserves to be next as far as people who rate alike rated it above what was to be expected.

    Args:
        n_users: Users of the data set.
        n_items: Items of the catalogue.
        neighbours: Most similar raters of an item who have a say.
        min_common: Items that two people must both have rated to be alike at all.
        l2_users: As in `Baseline`.
        l2_items: As in `Baseline`.
        epochs: As in `Baseline`.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None
    similarity: Float[Tensor, "users_and_unknown users"]
    raters: Int64[Tensor, " ratings"]
    residuals: Float[Tensor, " ratings"]
    item_starts: Int64[Tensor, " items_and_end"]

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        neighbours: Annotated[int, Ge(1), Le(1_000_000)],
        min_common: Annotated[int, Ge(1), Le(1_000_000)],
        l2_users: Annotated[float, Ge(0), Le(1_000_000)],
        l2_items: Annotated[float, Ge(0), Le(1_000_000)],
        epochs: Annotated[int, Ge(1), Le(10_000)],
    ) -> None:
        super().__init__()
        self.neighbours, self.min_common = neighbours, min_common
        self.baseline = Baseline(
            n_users=n_users, n_items=n_items, l2_users=l2_users, l2_items=l2_items, epochs=epochs
        )
        # The last row is that of code -1, an unknown user: like nobody.
        self.register_buffer("similarity", torch.zeros(n_users + 1, n_users))
        self.register_buffer("raters", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("residuals", torch.zeros(0))
        self.register_buffer("item_starts", torch.zeros(n_items + 1, dtype=torch.int64))
        self.register_load_state_dict_pre_hook(_resize)  # type: ignore[no-untyped-call]  # torch has no types here

    def fit(self, interactions: Interactions) -> None:
        """Find the baselines, how alike any two users are, and keep what every item's raters gave above theirs."""
        self.baseline.fit(interactions)
        device = self.similarity.device
        ratings, rated = _matrices(interactions)
        for start in range(0, interactions.n_users, BLOCK_USERS):
            rows = slice(start, min(start + BLOCK_USERS, interactions.n_users))
            alike = _alike(ratings, rated, rows, self.min_common)
            self.similarity[rows] = torch.from_numpy(alike).to(self.similarity)
        by_item = ratings.tocsc()
        items = np.repeat(np.arange(interactions.n_items), np.diff(by_item.indptr))
        self.raters = torch.from_numpy(by_item.indices).to(device, torch.int64)
        expected = self.baseline.predict(self.raters, torch.from_numpy(items).to(device))
        self.residuals = torch.from_numpy(by_item.data).to(expected) - expected
        self.item_starts.copy_(torch.from_numpy(by_item.indptr))

    def work(self, train: Interactions) -> float:
        """The meetings of users at items, and some passes over all pairs of users."""
        meetings = float(np.square(train.item_counts, dtype=np.float64).sum())
        return meetings + 10 * float(train.n_users) ** 2

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """A block of users by users in 64 bits, some times over."""
        return 3 * 8 * min(BLOCK_USERS, train.n_users) * train.n_users

    def predict(
        self, users: Int64[Tensor, " pairs"], items: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The rating that each user would give the item beside them; -1 is an unknown user."""
        predicted = self.baseline.predict(users, items)
        order = items.argsort(stable=True)
        ends = items.bincount(minlength=len(self.item_starts) - 1).cumsum(0)
        for item, pairs in enumerate(order.tensor_split(ends[:-1].cpu())):
            if len(pairs):
                predicted[pairs] += self._above_baseline(users[pairs], item)
        return predicted

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The predicted rating of every item."""
        assert queries.users is not None
        scores = self.baseline.score(queries)
        for item in range(scores.shape[1]):
            scores[:, item] += self._above_baseline(queries.users, item)
        return scores

    def _above_baseline(self, users: Int64[Tensor, " batch"], item: int) -> Float[Tensor, " batch"]:
        """What the nearest raters of an item gave above their baseline, weighted; 0 where nobody is alike."""
        own = slice(int(self.item_starts[item]), int(self.item_starts[item + 1]))
        alike = self.similarity[users[:, None], self.raters[own]]  # (batch, raters)
        nearest, at = alike.sort(dim=1, descending=True, stable=True)
        nearest, at = nearest[:, : self.neighbours], at[:, : self.neighbours]
        total = nearest.sum(dim=1)
        said = (nearest * self.residuals[own][at]).sum(dim=1)
        return torch.where(total > 0, said / total, 0.0)


def _matrices(interactions: Interactions) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Ratings and 0/1 of the same pairs, users x items; of a pair that was rated twice the last rating."""
    pairs = interactions.users.astype(np.int64) * interactions.n_items + interactions.items
    _, from_end = np.unique(pairs[::-1], return_index=True)
    last = len(pairs) - 1 - from_end
    shape = (interactions.n_users, interactions.n_items)
    where = (interactions.users[last], interactions.items[last])
    values = interactions.values[last].astype(np.float64)
    return (
        sparse.csr_array((values, where), shape=shape),
        sparse.csr_array((np.ones(len(last)), where), shape=shape),
    )


def _alike(ratings: sparse.csr_array, rated: sparse.csr_array, rows: slice, min_common: int) -> Any:
    """Similarity of some users to all, rows x users, float64; 0 to themselves."""
    squares = ratings.multiply(ratings).tocsr()
    common = (rated[rows] @ rated.T).toarray()
    apart = (squares[rows] @ rated.T + rated[rows] @ squares.T).toarray()
    apart -= 2 * (ratings[rows] @ ratings.T).toarray()
    enough = common >= min_common
    alike = np.where(enough, common / np.where(enough, common + apart.clip(min=0), 1), 0.0)
    alike[np.arange(len(alike)), np.arange(rows.start, rows.stop)] = 0.0
    return alike


def _resize(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Make room for as many ratings as the weights hold that are about to be loaded."""
    for name in ("raters", "residuals"):
        if prefix + name in state:
            setattr(module, name, state[prefix + name].new_empty(len(state[prefix + name])))

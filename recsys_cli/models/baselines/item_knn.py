"""ItemKNN: items like those in the history (Sarwar et al. 2001; shrinkage: Bell and Koren 2007).

With U_i the users who met item i in training, c = |U_i & U_j| and `shrink` added to each denominator:

- cosine:  c / (sqrt(|U_i| |U_j|) + shrink)
- jaccard: c / (|U_i or U_j| + shrink)
- tfidf:   the cosine of items as vectors of users, each user u weighing idf_u = log((1 + items) / (1 + |I_u|)):
           who met everything says little about what is alike
- bm25:    sum over the common users of w_iu w_ju with w_iu = idf_u (K + 1) / (K (1 - B + B |U_i| / mean |U|) + 1),
           K = 1.2, B = 0.75, idf_u as above; it has its own length normalisation and no denominator to shrink

Each target item keeps its `neighbours` most similar items (equal ones by item code), and is not its own neighbour.
A history's score for the item is the sum of the similarities of those of them that are in the history.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ModelError
from recsys_cli.models.baselines.history import BLOCK_ITEMS, incidence, multi_hot, n_meetings
from recsys_cli.models.baselines.neighbours import ItemNeighbours

Similarity = Literal["cosine", "jaccard", "tfidf", "bm25"]
BM25_K, BM25_B = 1.2, 0.75


class ItemKNN(nn.Module):
    """An item deserves to be next as far as its nearest items are in the history.

    Args:
        n_items: Size of the catalogue.
        similarity: How alike two items are.
        neighbours: Most similar items kept for each item.
        shrink: Added to the similarity's denominator: trust less what few users say.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: int | None = None

    def __init__(
        self,
        *,
        n_items: int,
        similarity: Similarity,
        neighbours: Annotated[int, Ge(1), Le(1_000_000)],
        shrink: Annotated[float, Ge(0), Le(1_000_000)],
    ) -> None:
        super().__init__()
        if similarity == "bm25" and shrink:
            raise ModelError(
                f"model.shrink={shrink:g} has no meaning with model.similarity=bm25, which has no denominator",
                "set model.shrink=0",
            )
        self.n_items = n_items
        self.similarity = similarity
        self.shrink = shrink
        self.nearest = ItemNeighbours(n_items=n_items, neighbours=neighbours)

    def fit(self, interactions: Interactions) -> None:
        """Compare all pairs of items, a block of items at a time."""
        vectors = _item_vectors(incidence(interactions), self.similarity)
        by_user = vectors.T.tocsr()
        squares = vectors.power(2).sum(axis=1)  # (items,)
        for start in range(0, self.n_items, BLOCK_ITEMS):
            block = slice(start, start + BLOCK_ITEMS)
            dot = (vectors[block] @ by_user).toarray()
            alike = self._alike(dot, squares[block, None], squares[None, :])
            alike[np.arange(len(alike)), start + np.arange(len(alike))] = 0.0
            self.nearest.keep_strongest(start, alike)

    def work(self, train: Interactions) -> float:
        """The meetings of items, and some passes over all pairs of items."""
        return n_meetings(train) + 10 * float(train.n_items) ** 2

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """A block of items by items in 64 bits, some times over."""
        return 4 * 8 * min(BLOCK_ITEMS, self.n_items) * self.n_items

    def _alike(
        self, dot: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self.similarity == "bm25":
            return dot
        below = left + right - dot if self.similarity == "jaccard" else np.sqrt(left * right)
        below = below + self.shrink
        return np.divide(dot, below, out=np.zeros_like(dot), where=below > 0)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The summed similarity of each item to the history."""
        assert queries.items is not None
        scores: Tensor = self.nearest(multi_hot(queries.items, self.n_items))
        return scores


def _item_vectors(matrix: sparse.csr_array, similarity: Similarity) -> sparse.csr_array:
    """Items x users, weighted as the similarity asks."""
    by_item = matrix.T.tocsr()
    if similarity in ("cosine", "jaccard"):
        return by_item
    met = matrix.sum(axis=1)  # (users,)
    idf = np.log((1 + by_item.shape[0]) / (1 + met))
    by_item = by_item @ sparse.diags_array(idf)
    if similarity == "bm25":
        length = np.diff(by_item.indptr)
        relative = length / length.mean()
        by_item = (
            sparse.diags_array((BM25_K + 1) / (BM25_K * (1 - BM25_B + BM25_B * relative) + 1))
            @ by_item
        )
    return by_item.tocsr()

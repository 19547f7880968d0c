"""iALS: matrix factorisation of implicit feedback by alternating exact solves.

Hu, Koren and Volinsky 2008, with the loss and scaling of Rendle et al., "Revisiting the performance of iALS", 2022.
With S the events, s_ui = p_u . q_i, n users, m items, U_i and I_u the users of i and the items of u:

    sum over S of (1 - s)^2 + a0 sum over all pairs of s^2
    + l2 (sum_u (|I_u| + a0 m)^nu ||p_u||^2 + sum_i (|U_i| + a0 n)^nu ||q_i||^2)

where a0 is `unobserved_weight` and nu `frequency_power`. The loss of 2008 (weight 1 + c on events with target 1, 1 on
all other pairs with target 0, penalty r) is this one up to scale with a0 = 1 / c, nu = 0 and l2 = r / (1 + c).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import PADDING, Queries
from recsys_cli.errors import ConfigError, ModelError
from recsys_cli.models.baselines.history import incidence

BLOCK_VECTORS = 32_768  # vectors gathered at once: they should stay in a CPU's cache
CG_STEPS = 3
PIECE_EVENTS = 1 << 17  # what a thread solves at a time: some hundredths of a second


class IALS(nn.Module):
    """An item deserves to be next as its vector fits the vector that explains the whole history best.

    Only the items' vectors are kept: a history's own vector is one solve away, for users new and old.

    Args:
        n_items: Size of the catalogue.
        rank: Length of the vectors.
        unobserved_weight: Weight of the square of any score: how sure it is that what was not met is not liked.
        l2: Weight of the vectors' squared lengths.
        frequency_power: How much more the penalty weighs on users and items with many events; 0 = no more.
        epochs: Solves of all users and all items.
        init_sd: Standard deviation of the first vectors' lengths: each entry has init_sd / sqrt(rank).
        solver: `cg`: three steps of conjugate gradients from the vectors as they are, by a compiled kernel on a CPU
            (Takacs, Pilaszy and Tikk 2011); `cholesky`: exact; `auto`: `cg` on a CPU. A score's solve is exact.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"items"})
    history_length: int | None = None
    item_vectors: Float[Tensor, "items rank"]

    def __init__(
        self,
        *,
        n_items: int,
        rank: Annotated[int, Ge(1), Le(4096)],
        unobserved_weight: Annotated[float, Gt(0), Le(10_000)],
        l2: Annotated[float, Gt(0), Le(1000)],
        frequency_power: Annotated[float, Ge(0), Le(2)],
        epochs: Annotated[int, Ge(1), Le(10_000)],
        init_sd: Annotated[float, Gt(0), Le(10)],
        solver: Literal["auto", "cg", "cholesky"],
    ) -> None:
        super().__init__()
        self.unobserved_weight = unobserved_weight
        self.l2 = l2
        self.frequency_power = frequency_power
        self.epochs = epochs
        self.solver = solver
        first = torch.randn(n_items, rank) * init_sd / rank**0.5
        self.register_buffer("item_vectors", first)

    def fit(self, interactions: Interactions) -> None:
        """Solve all users given the items, then all items given the users, so many times from the vectors as they are.

        Raises:
            ModelError: `l2` is too small for the solves.
        """
        by_user = incidence(interactions)
        by_item = by_user.T.tocsr()
        user_vectors = self.item_vectors.new_zeros(interactions.n_users, self.item_vectors.shape[1])
        solve = self._descend if self.uses_kernel(self.item_vectors.device) else self._solve_all
        for _ in range(self.epochs):
            solve(by_user, self.item_vectors, user_vectors)
            solve(by_item, user_vectors, self.item_vectors)
        if not self.item_vectors.isfinite().all():
            raise ModelError(
                f"model=ials: the vectors are not finite (l2={self.l2:g})", "make model.l2 larger"
            )

    def uses_kernel(self, device: torch.device) -> bool:
        """Whether conjugate gradients of a compiled kernel do the solves.

        Raises:
            ConfigError: They are wanted where they cannot.
        """
        if self.solver == "cg" and device.type != "cpu":
            raise ConfigError(
                f"model.solver=cg: it runs on CPUs, not on {device}", "take model.solver=cholesky"
            )
        return self.solver != "cholesky" and device.type == "cpu"

    def load_kernel(self) -> None:
        """Have the kernel ready."""
        one = self.item_vectors[:1]
        self._descend(sparse.csr_array(np.ones((1, 1))), one, one.clone())

    def work(self, train: Interactions) -> float:
        """Each event from both sides, and a product with the vectors' own square matrix for each vector."""
        rank = self.item_vectors.shape[1]
        return 4.0 * len(train) + float(train.n_users + train.n_items) * rank

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """All vectors in two forms, and the systems of a block of rows with their factors."""
        rank = self.item_vectors.shape[1]
        vectors = 2 * (train.n_users + train.n_items) * rank
        systems = 0
        for events in (np.diff(train.offsets), train.item_counts):
            shortest = int(events[events > 0].min(initial=BLOCK_VECTORS))
            systems = max(systems, min(len(events), BLOCK_VECTORS // shortest) * rank**2)
        return 4 * (vectors + 3 * systems + 2 * BLOCK_VECTORS * rank)

    def _solve_all(
        self,
        rows: sparse.csr_array,
        others: Float[Tensor, "others rank"],
        found: Float[Tensor, "rows rank"],
    ) -> None:
        """Exact solves, by Cholesky's factors."""
        solver = self._solver(others)
        found.zero_()
        for index, met in _blocks(rows):
            found[index.to(others.device)] = solver(met.to(others.device))

    def _descend(
        self,
        rows: sparse.csr_array,
        others: Float[Tensor, "others rank"],
        found: Float[Tensor, "rows rank"],
    ) -> None:
        """Some steps of conjugate gradients from where the last ones led; on all of torch's threads."""
        from recsys_cli.models.kernels.least_squares import solve_rows

        starts, met = rows.indptr.astype(np.int64), rows.indices.astype(np.int32)
        system = self._solver(others)
        shared, penalties = (
            system.shared.numpy(),
            system.penalties(torch.from_numpy(np.diff(starts))),
        )

        def solve(first: int, last: int) -> None:
            solve_rows(
                starts,
                met,
                others.numpy(),
                shared,
                penalties.numpy(),
                CG_STEPS,
                found.numpy(),
                first,
                last,
            )

        pieces = np.arange(0, starts[-1], PIECE_EVENTS)
        cuts = [*np.unique(np.searchsorted(starts[:-1], pieces)).tolist(), len(starts) - 1]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(solve, cuts[:-1], cuts[1:]))

    def _solver(self, others: Float[Tensor, "others rank"]) -> _Solver:
        return _Solver(others, self.unobserved_weight, self.l2, self.frequency_power)

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """The dot products of the vector that solves the history with all items."""
        assert queries.items is not None
        met = _once(queries.items)
        solver = self._solver(self.item_vectors)
        rows = max(1, BLOCK_VECTORS // met.shape[1])
        vectors = torch.cat([solver(block) for block in torch.split(met, rows)])
        return vectors @ self.item_vectors.T


class _Solver:
    """The vectors that explain what rows met (users' items, or items' users), given the vectors of these."""

    def __init__(
        self,
        others: Float[Tensor, "others rank"],
        unobserved_weight: float,
        l2: float,
        frequency_power: float,
    ) -> None:
        self.padded = torch.cat([others, others.new_zeros(1, others.shape[1])])
        self.shared = unobserved_weight * others.T @ others
        self.unobserved = unobserved_weight * len(others)
        self.l2 = l2
        self.frequency_power = frequency_power

    def penalties(self, count: Int64[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        """The weight of the squared length of a row that met so many."""
        return self.l2 * (count + self.unobserved) ** self.frequency_power

    def __call__(self, met: Int64[Tensor, "rows length"]) -> Float[Tensor, "rows rank"]:
        count = (met != PADDING).sum(dim=1)
        others = self.padded[met]  # (rows, length, rank); code -1 is the last row, which is zero
        system = torch.baddbmm(self.shared.expand(len(met), -1, -1), others.mT, others)
        system.diagonal(dim1=1, dim2=2).add_(self.penalties(count)[:, None])
        factor, failed = torch.linalg.cholesky_ex(system)
        if failed.any():
            raise ModelError(
                f"model=ials: l2={self.l2:g} leaves a solve singular", "make model.l2 larger"
            )
        return torch.cholesky_solve(others.sum(dim=1)[:, :, None], factor).squeeze(2)


def _blocks(rows: sparse.csr_array) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows with an event, those of like length together: their indices, and what they met padded with -1."""
    length = np.diff(rows.indptr)
    order = np.argsort(length, kind="stable")[np.count_nonzero(length == 0) :][::-1]
    start = 0
    while start < len(order):
        longest = int(length[order[start]])
        index = order[start : start + max(1, BLOCK_VECTORS // longest)]
        at = rows.indptr[index][:, None] + np.arange(longest)
        real = np.arange(longest) < length[index][:, None]
        met = np.where(real, rows.indices[np.where(real, at, 0)], PADDING)
        yield torch.from_numpy(index.copy()), torch.from_numpy(met.astype(np.int64))
        start += len(index)


def _once(items: Int64[Tensor, "batch length"]) -> Int64[Tensor, "batch length"]:
    """The same histories, sorted, with padding in the place of repeated items."""
    ordered = items.sort(dim=1).values
    repeated = ordered[:, 1:] == ordered[:, :-1]
    return torch.cat([ordered[:, :1], ordered[:, 1:].masked_fill(repeated, PADDING)], dim=1)

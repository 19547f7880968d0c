"""Conjugate gradients on the weighted least squares of iALS: a twin of the solves of `IALS`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_cli.models.kernels.compiling import kernel, part

Vectors = NDArray[np.float32]
ZERO, ONE = np.float32(0), np.float32(1)
SOLVED = np.float32(1e-20)  # a squared residual of this size is one of rounding


@kernel
def solve_rows(
    starts: NDArray[np.int64],
    met: NDArray[np.int32],
    others: Vectors,
    shared: Vectors,
    penalties: Vectors,
    steps: int,
    found: Vectors,
    first: int,
    last: int,
) -> None:
    """Take steps of conjugate gradients from each row's vector x, in place, to where its loss is least.

    The loss is the sum of (1 - x . y)^2 over what the row met, plus x' shared x, plus penalty ||x||^2.

    Args:
        starts: Where each row begins in `met`, and where the last one ends.
        met: What the rows met: rows of `others`.
        others: Their vectors y.
        shared: What all rows have in common, (rank, rank).
        penalties: One a row.
        steps: Most steps; after as many as the rank has entries it is solved.
        found: The rows' vectors; those that met nothing become 0.
        first: The first row to be solved.
        last: The row after the last.
    """
    rank = others.shape[1]
    step = np.empty(rank, np.float32)
    image = np.empty(rank, np.float32)
    residual = np.empty(rank, np.float32)
    for row in range(first, last):
        x, start, stop = found[row], starts[row], starts[row + 1]
        if start == stop:
            x[:] = ZERO
            continue
        _apply(x, ONE, met[start:stop], others, shared, penalties[row], image)
        for d in range(rank):
            residual[d] = -image[d]
            step[d] = residual[d]
        size = _dot(residual, residual)
        for _ in range(steps):
            if size < SOLVED:
                break
            _apply(step, ZERO, met[start:stop], others, shared, penalties[row], image)
            length = size / _dot(step, image)
            for d in range(rank):
                x[d] += length * step[d]
                residual[d] -= length * image[d]
            before, size = size, _dot(residual, residual)
            turn = size / before
            for d in range(rank):
                step[d] = residual[d] + turn * step[d]


@part
def _apply(
    x: Vectors,
    target: Any,
    met: NDArray[np.int32],
    others: Vectors,
    shared: Vectors,
    penalty: Any,
    image: Vectors,
) -> None:
    """(shared + penalty) x - sum of (target - x . y) y: with target 1 half the gradient, with 0 the system times x.

    Four rows are taken at a time: their sums overlap, and `image` is read and written once for them.
    """
    rank = x.shape[0]
    for d in range(rank):
        image[d] = penalty * x[d]
    fours = rank - rank % 4
    for e in range(0, fours, 4):
        for d in range(rank):
            image[d] += (
                x[e] * shared[e, d]
                + x[e + 1] * shared[e + 1, d]
                + x[e + 2] * shared[e + 2, d]
                + x[e + 3] * shared[e + 3, d]
            )
    for e in range(fours, rank):
        for d in range(rank):
            image[d] += x[e] * shared[e, d]
    fours = met.shape[0] - met.shape[0] % 4
    for k in range(0, fours, 4):
        a, b, c, e = met[k], met[k + 1], met[k + 2], met[k + 3]
        xa, xb, xc, xe = -target, -target, -target, -target
        for d in range(rank):
            xa += x[d] * others[a, d]
            xb += x[d] * others[b, d]
            xc += x[d] * others[c, d]
            xe += x[d] * others[e, d]
        for d in range(rank):
            image[d] += (
                xa * others[a, d] + xb * others[b, d] + xc * others[c, d] + xe * others[e, d]
            )
    for k in range(fours, met.shape[0]):
        a, xa = met[k], -target
        for d in range(rank):
            xa += x[d] * others[a, d]
        for d in range(rank):
            image[d] += xa * others[a, d]


@part
def _dot(x: Vectors, y: Vectors) -> Any:
    product = ZERO
    for d in range(x.shape[0]):
        product += x[d] * y[d]
    return product

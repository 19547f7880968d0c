"""Asks a model for the scores of all items, block of users by block, and keeps the top of each list.

Memory is constant: a block has a number of rows that follows from the size of the catalogue alone, never users x
items. All blocks have the same number of rows, because the last bits of a matrix product may depend on it: the
last block is filled up by repeating its last user.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import make_queries
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DivergedError, ModelError
from recsys_cli.evaluation.metrics import r_precision, user_auc
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.targets import Targets
from recsys_cli.evaluation.top_k import SEEN, TopK, scan, top_k
from recsys_cli.models.contract import Model
from recsys_cli.progress import Progress

MAX_ROWS = 256
MAX_SCORES = 1 << 24  # 64 MiB of float32
SCAN_FROM_SCORES = (
    1 << 28
)  # from here on a compiled scan saves more than the second that loading it may take
NEEDS_SCORES = frozenset({"r_precision", "user_auc", "tied"})


@dataclass(frozen=True, eq=False)
class Ranking:
    """The list of each user, and what can only be told while all scores are there.

    Attributes:
        users: Codes of the users, ascending.
        items: (users, k) codes, best first, int32; -1 where the list is shorter.
        from_scores: Per-user values of the metrics in `NEEDS_SCORES` that were asked for, by key.
        n_seen_targets: Targets that were taken out of the ranking because their user already had them.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int32]
    from_scores: dict[str, NDArray[np.float64]]
    n_seen_targets: int


def rows_per_block(n_items: int) -> int:
    """How many users are scored at once, from the size of the catalogue alone."""
    return max(1, min(MAX_ROWS, MAX_SCORES // n_items))


def rank(
    model: Model,
    holdout: Holdout,
    targets: Targets,
    protocol: RankingProtocol,
    *,
    device: torch.device,
    progress: Progress,
    what: str,
) -> Ranking:
    """The top of every user's ranking of the whole catalogue.

    Raises:
        DivergedError: A score is NaN or infinite.
        ModelError: The scores have the wrong shape or type.
    """
    users = holdout.users
    ranking = Ranking(
        users=users,
        items=np.empty((len(users), protocol.longest), dtype=np.int32),
        from_scores={
            key: np.empty(len(users))
            for key in protocol.keys
            if key.split("_at_")[0] in NEEDS_SCORES
        },
        n_seen_targets=0,
    )
    n_seen_targets = 0
    size = rows_per_block(holdout.history.n_items)
    scannable = scan_pays(len(users) * holdout.history.n_items, device, protocol, progress)
    buffer: Tensor | None = None
    with evaluating(model), progress.bar(f"evaluate {what}", len(users), "users") as bar:
        for start in range(0, len(users), size):
            block = users[start : start + size]
            scores = _scores(model, holdout, block, size, device)
            rows = slice(start, start + len(block))
            if scannable and scores.dtype == torch.float32 and scores.is_contiguous():
                found = _scan(scores[: len(block)], block, holdout, targets, protocol)
                if found is None:
                    raise _diverged(model, holdout, block, scores)
                top, masked = found
                values = _of_ties(top, protocol)
            else:
                # Least and greatest are NaN if any score is: one pass instead of three.
                if not torch.stack(torch.aminmax(scores)).isfinite().all():
                    raise _diverged(model, holdout, block, scores)
                if buffer is None:
                    buffer = torch.empty((size, scores.shape[1]), dtype=scores.dtype, device=device)
                # A copy: a model may return a view of its own weights, and seen items are masked in place.
                scores = buffer[: len(block)].copy_(scores[: len(block)])
                if protocol.exclude_seen:
                    _mask_seen(scores, holdout.seen, block)
                top, values, masked = _read(scores, block, targets, protocol)
            ranking.items[rows] = top.items.cpu().numpy()
            for key, value in values.items():
                ranking.from_scores[key][rows] = value
            n_seen_targets += masked
            bar.advance(len(block))
    return replace(ranking, n_seen_targets=n_seen_targets)


def _scan(
    scores: Tensor,
    users: NDArray[np.int64],
    holdout: Holdout,
    targets: Targets,
    protocol: RankingProtocol,
) -> tuple[TopK, int] | None:
    """The lists of a block by the compiled scan, and how many targets are seen; None as `scan` says."""
    from recsys_cli.models.kernels.top_items import Rows

    seen = holdout.seen
    stops = seen.offsets[users + 1] if protocol.exclude_seen else seen.offsets[users]
    return scan(
        scores,
        protocol.longest,
        Rows(seen.items, seen.offsets[users], stops),
        Rows(targets.keys, targets.offsets[users], targets.offsets[users + 1]),
    )


def _of_ties(top: TopK, protocol: RankingProtocol) -> dict[str, NDArray[Any]]:
    if "tied" not in protocol.metrics:
        return {}
    tied = top.tied.cpu().numpy()
    return {f"tied_at_{k}": tied[:, k - 1] for k in protocol.cutoffs}


def _read(
    scores: Tensor, users: NDArray[np.int64], targets: Targets, protocol: RankingProtocol
) -> tuple[TopK, dict[str, NDArray[Any]], int]:
    """The lists of a block, the metrics that need all its scores, and how many targets are masked."""
    top = top_k(scores, protocol.longest)
    values = _of_ties(top, protocol)
    own = torch.from_numpy(targets.padded(users)).to(scores.device)
    masked = (own >= 0) & (scores.gather(1, own.clamp(min=0)) == SEEN)
    if "user_auc" in protocol.metrics:
        values["user_auc"] = user_auc(scores, own).numpy()
    if "r_precision" in protocol.metrics:
        order = top_k(scores, own.shape[1]).items.cpu().numpy()
        hits, n_relevant = targets.find(users, order)[0], targets.counts(users)
        values["r_precision"] = r_precision(
            torch.from_numpy(hits), torch.from_numpy(n_relevant)
        ).numpy()
    return top, values, int(masked.sum())


def scan_pays(
    n_scores: int, device: torch.device, protocol: RankingProtocol, progress: Progress
) -> bool:
    """Whether the compiled scan can do it and is worth its loading; it is ready then. The lists are the same."""
    if device.type != "cpu" or (NEEDS_SCORES - {"tied"}) & set(protocol.metrics):
        return False
    if n_scores < SCAN_FROM_SCORES and "numba" not in sys.modules:
        return False
    from recsys_cli.models.kernels.compiling import warm
    from recsys_cli.models.kernels.top_items import compile_scan

    warm(progress, compile_scan)
    return True


def _scores(
    model: Model, holdout: Holdout, users: NDArray[Any], size: int, device: torch.device
) -> Tensor:
    """The model's scores of all items for these users; the last rows repeat the last user."""
    full = np.concatenate([users, np.full(size - len(users), users[-1])])
    queries = make_queries(holdout, full, model.reads, model.history_length).to(device)
    scores = model.score(queries)
    wanted = (size, holdout.history.n_items)
    if tuple(scores.shape) != wanted or not scores.is_floating_point():
        raise ModelError(
            f"{type(model).__name__}.score gives {scores.dtype} of shape {tuple(scores.shape)}, "
            f"expected floating-point numbers of shape {wanted}",
            "score every item of the catalogue for every query",
        )
    return scores


def _diverged(model: Model, holdout: Holdout, users: NDArray[Any], scores: Tensor) -> DivergedError:
    """The error that names the first score that is not finite."""
    row, item = (int(i) for i in (~scores.isfinite()).nonzero()[0])
    user = users[min(row, len(users) - 1)]  # the last rows repeat the last user
    user_id = holdout.history.user_ids.decode(np.array([user]))[0]
    item_id = holdout.history.item_ids.decode(np.array([item]))[0]
    return DivergedError(
        f"{type(model).__name__} scores item {item_id} for user {user_id} as {float(scores[row, item])}, "
        "not a finite number",
        "lower the learning rate or raise the regularisation",
    )


def _mask_seen(scores: Tensor, seen: Interactions, users: NDArray[Any]) -> None:
    """Set the scores of what each user already had to `SEEN`, in place."""
    start, stop = seen.offsets[users], seen.offsets[users + 1]
    length = stop - start
    if (
        users[-1] - users[0] == len(users) - 1
    ):  # ascending: nobody is left out, and the rows are a slice
        items = seen.items[start[0] : stop[-1]]
    else:
        first = np.cumsum(length) - length
        items = seen.items[np.repeat(start - first, length) + np.arange(int(length.sum()))]
    flat = np.repeat(np.arange(len(users)) * seen.n_items, length) + items
    scores.view(-1).index_fill_(0, torch.from_numpy(flat).to(scores.device), SEEN)


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """No gradients and no dropout inside the block; every layer's mode is put back after it."""
    layers = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [layer.training for layer in layers]
    for layer in layers[:1]:
        layer.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode

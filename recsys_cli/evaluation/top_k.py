"""The k best items of each user, with an exact rule for equal scores.

The rule: score descending, then item code ascending, always. Two safeguards keep that rule from flattering anybody.
A user whose unseen items all have one and the same score was told nothing and gets an empty list, so that a
constant score is never a hit, however the codes happen to be ordered. And for every cut-off it is noted whether the
code, and not the score, decided who is inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

if TYPE_CHECKING:
    from recsys_cli.models.kernels.top_items import Rows

SEEN = -torch.inf
NO_ITEM = -1


@dataclass(frozen=True, eq=False)
class TopK:
    """The lists of some users.

    Attributes:
        items: Codes, best first; -1 where a user has fewer than k unseen items, or was told nothing.
        tied: Whether positions i and i + 1 (from 1; i is the column + 1) have the same score.
    """

    items: Int64[Tensor, "users k"]
    tied: Bool[Tensor, "users k"]


def top_k(scores: Tensor, k: int) -> TopK:
    """The first k items of each row by score descending, then code ascending.

    Args:
        scores: (users, items), finite, or `SEEN` where an item must not be recommended.
        k: Length of the lists; may be more than there are items.
    """
    n_items = scores.shape[1]
    values, items = _sorted_top(scores, min(k + 1, n_items))
    if n_items > k:
        crossing = (values[:, k - 1] == values[:, k]) & (values[:, k] > SEEN)
        rows = crossing.nonzero().squeeze(1)
        if len(rows):
            items[rows, :k] = _lowest_codes(scores[rows], values[rows, :k], items[rows, :k])
    return _lists(values, items, _told_nothing(scores, values), k)


def scan(scores: Tensor, k: int, seen: Rows, targets: Rows) -> tuple[TopK, int] | None:
    """The same by a compiled scan that leaves out what is seen by itself, and how many targets are seen.

    None where a score is not finite: the scan sees that as it goes.

    Args:
        scores: (users, items), float32, on the CPU, contiguous; left as it is.
        k: Length of the lists; may be more than there are items.
        seen: Each user's items that must not be recommended.
        targets: Each user's items that are looked for among them.
    """
    from recsys_cli.models.kernels.top_items import best_unseen

    best = best_unseen(scores.numpy(), min(k + 1, scores.shape[1]), seen, targets)
    if not best.finite:
        return None
    values, items, flat = (torch.from_numpy(part) for part in best[:3])
    return _lists(values, items, flat, k), best.seen_targets


def _lists(values: Tensor, items: Tensor, told_nothing: Tensor, k: int) -> TopK:
    """Lists of k out of the best k + 1, or all items where these are fewer."""
    missing = k + 1 - values.shape[1]
    values = torch.nn.functional.pad(values, (0, missing), value=SEEN)
    items = torch.nn.functional.pad(items, (0, missing), value=NO_ITEM)
    items = items.masked_fill(values == SEEN, NO_ITEM)[:, :k]
    tied = (values[:, :-1] == values[:, 1:]) & (values[:, 1:] > SEEN)
    return TopK(items.masked_fill(told_nothing[:, None], NO_ITEM), tied | told_nothing[:, None])


def _sorted_top(scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """`torch.topk`, whose order among equal scores is unspecified, put in the order of the rule."""
    values, items = scores.topk(width, dim=1)
    items, order = items.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, items.gather(1, order)


def _lowest_codes(scores: Tensor, values: Tensor, items: Tensor) -> Tensor:
    """The lists of rows whose ties go on past the end: there `topk` took any of the tied, we take the lowest codes."""
    k, n_items = values.shape[1], scores.shape[1]
    last = values[:, -1:]
    codes = torch.arange(n_items, device=scores.device, dtype=torch.int32)
    tied_codes = torch.where(scores == last, codes, n_items)
    lowest = tied_codes.topk(k, dim=1, largest=False).values.to(items.dtype)
    n_above = (values > last).sum(1, keepdim=True)
    position = torch.arange(k, device=scores.device)
    return torch.where(
        position < n_above, items, lowest.gather(1, (position - n_above).clamp(min=0))
    )


def _told_nothing(scores: Tensor, values: Tensor) -> Tensor:
    """Rows with two or more unseen items, all of one score; the whole row is read only where the top is flat."""
    best = values[:, :1]
    if values.shape[1] < 2:
        return torch.zeros(len(values), dtype=torch.bool, device=values.device)
    flat = ((values == best) | (values == SEEN)).all(1) & (values[:, 1] == best[:, 0])
    flat &= values[:, 1] > SEEN
    rows = flat.nonzero().squeeze(1)
    if len(rows):
        flat[rows] = ((scores[rows] == best[rows]) | (scores[rows] == SEEN)).all(1)
    return flat

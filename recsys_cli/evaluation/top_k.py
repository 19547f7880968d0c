"""The k best items of each user, with an exact rule for equal scores.

The rule: score descending, then item code ascending, always. Two safeguards keep that rule from flattering anybody.
A user whose unseen items all have one and the same score was told nothing and gets an empty list, so that a
constant score is never a hit, however the codes happen to be ordered. And for every cut-off it is noted whether the
code, and not the score, decided who is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

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


def top_k(scores: Tensor, k: int, *, compiled: bool = False) -> TopK:
    """The first k items of each row by score descending, then code ascending.

    Args:
        scores: (users, items), finite, or `SEEN` where an item must not be recommended.
        k: Length of the lists; may be more than there are items.
        compiled: Find them by the compiled scan, which needs half the time or less; see `can_scan`.
    """
    n_items = scores.shape[1]
    width = min(k + 1, n_items)
    if compiled:
        from recsys_cli.models.kernels.top_items import best_items

        values, items = best_items(scores, width)
    else:
        values, items = _top_by_rule(scores, width, k)
    missing = k + 1 - values.shape[1]
    values = torch.nn.functional.pad(values, (0, missing), value=SEEN)
    items = torch.nn.functional.pad(items, (0, missing), value=NO_ITEM)
    items = items.masked_fill(values == SEEN, NO_ITEM)[:, :k]
    tied = (values[:, :-1] == values[:, 1:]) & (values[:, 1:] > SEEN)
    told_nothing = _told_nothing(scores, values)
    return TopK(items.masked_fill(told_nothing[:, None], NO_ITEM), tied | told_nothing[:, None])


def can_scan(scores: Tensor) -> bool:
    """Whether the compiled scan reads such scores."""
    return scores.device.type == "cpu" and scores.dtype == torch.float32


def _top_by_rule(scores: Tensor, width: int, k: int) -> tuple[Tensor, Tensor]:
    """The values of so many items, and their codes, of which the first k follow the rule."""
    values, items = _sorted_top(scores, width)
    if width > k:
        crossing = (values[:, k - 1] == values[:, k]) & (values[:, k] > SEEN)
        rows = crossing.nonzero().squeeze(1)
        if len(rows):
            items[rows, :k] = _lowest_codes(scores[rows], values[rows, :k], items[rows, :k])
    return values, items


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
    flat = ((values == best) | (values == SEEN)).all(1) & (values[:, 1] == best[:, 0])
    flat &= values[:, 1] > SEEN
    rows = flat.nonzero().squeeze(1)
    if len(rows):
        flat[rows] = ((scores[rows] == best[rows]) | (scores[rows] == SEEN)).all(1)
    return flat

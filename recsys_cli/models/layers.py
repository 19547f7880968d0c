"""Parts that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding

ContextName = Literal["gap", "weekday", "hour"]
GAP_BUCKETS = 32
SIZES: dict[str, int] = {"gap": GAP_BUCKETS, "weekday": 7, "hour": 24}


def time_codes(
    name: ContextName, now: Int64[Tensor, "*shape"], before: Int64[Tensor, "*shape"]
) -> Int64[Tensor, "*shape"]:
    """What a moment looks like to a clock, as small codes.

    Args:
        name: `gap`: 0 for none, else 1 + floor(log2(seconds since `before`)), cut at 31; `weekday`: 0 = Monday;
            `hour`: 0-23; both in UTC.
        now: Seconds since 1970-01-01 UTC.
        before: Seconds of the event before; a later one counts as no gap.
    """
    if name == "gap":
        seconds = (now - before).clamp(min=0)
        # log2 of an integer below 2**53 in float64 has an exact floor
        codes = torch.where(seconds > 0, 1 + seconds.clamp(min=1).double().log2().floor().long(), 0)
        return codes.clamp(max=GAP_BUCKETS - 1)
    if name == "weekday":
        return (now // 86_400 + 3) % 7
    return now // 3_600 % 24


class LatentCross(nn.Module):
    """Context as a mask: h (1 + sum of the contexts' vectors), element by element.

    Beutel et al., "Latent Cross", 2018: the vectors start near 0, so that the layer starts as the identity.

    Args:
        names: The contexts, any of `gap`, `weekday`, `hour`; none of them makes this the identity.
        dim: Length of what is crossed.
    """

    def __init__(self, names: Sequence[ContextName], dim: int) -> None:
        super().__init__()
        self.names = list(names)
        self.tables = nn.ModuleDict({name: nn.Embedding(SIZES[name], dim) for name in names})
        for table in self.tables.values():
            nn.init.normal_(table.weight, std=0.01)  # type: ignore[arg-type]

    def forward(
        self,
        states: Float[Tensor, "*shape dim"],
        now: Int64[Tensor, "*shape"] | None,
        before: Int64[Tensor, "*shape"] | None,
    ) -> Float[Tensor, "*shape dim"]:
        """Cross the states with the moment `now`, `before` being the moment of the event before it."""
        if not self.names:
            return states
        assert now is not None
        assert before is not None
        mask = torch.ones_like(states)
        for name in self.names:
            mask = mask + self.tables[name](time_codes(name, now, before))
        return states * mask


def take_rows(
    table: Float[Tensor, "rows ..."], codes: Int64[Tensor, "*shape"]
) -> Float[Tensor, "..."]:
    """The rows of a table, or the numbers of a vector, whose gradients add up.

    On a CPU by `index_select`, whose gradient takes 35-70 ns a row where that of `embedding` takes several times as
    long; elsewhere by `embedding`, which adds in an order that repeats.
    """
    if table.device.type == "cpu":
        return table.index_select(0, codes.flatten()).view(*codes.shape, *table.shape[1:])
    if table.dim() == 1:
        return embedding(codes, table[:, None]).squeeze(-1)
    return embedding(codes, table)


class Dropout(nn.Dropout):
    """Drops each number with a chance of p, rounded to a multiple of 1/256, and scales up the rest to keep the mean.

    On a CPU one random byte decides on a number: a quarter of the time of `torch.nn.Dropout`, which draws a number
    for each. The bytes come from torch's global generator, as other draws of dropout do. On an accelerator it is
    torch's own, with the rounded chance.

    Args:
        p: Chance to be dropped, from 0 to below 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__(min(round(p * 256), 255) / 256)

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The same numbers in evaluation, some of them 0 in training."""
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= round(self.p * 256)
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))

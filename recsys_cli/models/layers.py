"""Parts that several networks share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding

from recsys_cli.data.context import ContextFacts
from recsys_cli.errors import ConfigError, nearest

GAP_BUCKETS = 32
CLOCK_CODES = {"gap": GAP_BUCKETS, "weekday": 7, "hour": 24, "hour_of_week": 7 * 24}
CLOCK = "clock"  # the moment as numbers
DAY, WEEK = 86_400, 7 * 86_400
N_NUMBERS = 6


@dataclass(frozen=True, eq=False)
class Moments:
    """When and where events, or requests, took place.

    Attributes:
        now: Their seconds; None where no clock is read.
        before: Seconds of the event before each.
        columns: Column of context -> codes.
    """

    now: Int64[Tensor, "*shape"] | None = None
    before: Int64[Tensor, "*shape"] | None = None
    columns: Mapping[str, Int64[Tensor, "*shape"]] = field(default_factory=dict)

    @property
    def turned(self) -> Moments:
        """The same of (batch, length) as (length, batch), or the other way round."""
        return Moments(
            None if self.now is None else self.now.T,
            None if self.before is None else self.before.T,
            {name: codes.T for name, codes in self.columns.items()},
        )


def time_codes(
    name: str, now: Int64[Tensor, "*shape"], before: Int64[Tensor, "*shape"]
) -> Int64[Tensor, "*shape"]:
    """What a moment looks like to a clock, as small codes.

    Args:
        name: `gap`: 0 for none, else 1 + floor(log2(seconds since `before`)), cut at 31; `weekday`: 0 = Monday;
            `hour`: 0-23; `hour_of_week`: 24 weekday + hour; all in UTC.
        now: Seconds since 1970-01-01 UTC.
        before: Seconds of the event before; a later one counts as no gap.
    """
    if name == "gap":
        seconds = (now - before).clamp(min=0)
        # log2 of an integer below 2**53 in float64 has an exact floor
        codes = torch.where(seconds > 0, 1 + seconds.clamp(min=1).double().log2().floor().long(), 0)
        return codes.clamp(max=GAP_BUCKETS - 1)
    weekday, hour = (now // DAY + 3) % 7, now // 3_600 % 24
    return {"weekday": weekday, "hour": hour, "hour_of_week": 24 * weekday + hour}[name]


def time_numbers(
    now: Int64[Tensor, "*shape"], before: Int64[Tensor, "*shape"], span: tuple[int, int]
) -> Float[Tensor, "*shape numbers"]:
    """What a moment looks like as numbers between -1 and 1.

    How far training has gone by then, which stays at 1 after its end, since nothing is known of what lies beyond; the
    logarithm of the gap since `before`; sine and cosine of the time of day and of the week (UTC).

    Args:
        now: Seconds since 1970-01-01 UTC.
        before: Seconds of the event before.
        span: First and last second of training.
    """
    first, last = span
    gone = ((now - first).double() / max(last - first, 1)).clamp(0, 1) * 2 - 1
    gap = (1 + (now - before).clamp(min=0).double()).log2() / GAP_BUCKETS
    turns = [2 * math.pi * (now % period).double() / period for period in (DAY, WEEK)]
    waves = [wave for turn in turns for wave in (turn.sin(), turn.cos())]
    return torch.stack([gone, gap.clamp(max=1), *waves], -1).float()


class ContextVectors(nn.Module):
    """What a moment tells, as the sum of a vector for each context; the vectors start near 0.

    Args:
        names: The contexts: `gap`, `weekday`, `hour`, `hour_of_week` of the clock as codes, `clock` as numbers, or
            columns of the data, which come first where a column has such a name.
        dim: Length of the vectors.
        facts: The columns of the data, and the span of its clock.

    Raises:
        ConfigError: A name is none of these.
    """

    def __init__(self, names: Sequence[str], dim: int, facts: ContextFacts) -> None:
        super().__init__()
        sizes = CLOCK_CODES | facts.sizes
        for name in names:
            if name not in (*sizes, CLOCK):
                raise ConfigError(
                    f"model.context: {name!r} is neither of the clock nor a column of this data",
                    nearest(name, [*sizes, CLOCK]),
                )
        self.coded = [name for name in names if name in sizes]
        self.columns = [name for name in self.coded if name in facts.sizes]
        self.span = facts.span or (0, 1)
        self.tables = nn.ModuleDict({name: nn.Embedding(sizes[name], dim) for name in self.coded})
        self.numbers = nn.Linear(N_NUMBERS, dim, bias=False) if CLOCK in names else None
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.01)

    @property
    def reads_clock(self) -> bool:
        """Whether it must know the moment."""
        return self.numbers is not None or self.coded != self.columns

    @property
    def empty(self) -> bool:
        """Whether there is no context."""
        return not self.coded and self.numbers is None

    def added_to(
        self, start: Float[Tensor, "*shape dim"], moments: Moments
    ) -> Float[Tensor, "*shape dim"]:
        """The vectors of the moments, on top of what is there."""
        now, before, total = moments.now, moments.before, start
        for name in self.coded:
            if name in self.columns:
                codes = moments.columns[name]
            else:
                assert now is not None
                assert before is not None
                codes = time_codes(name, now, before)
            total = total + self.tables[name](codes)
        if self.numbers is not None:
            assert now is not None
            assert before is not None
            total = total + self.numbers(time_numbers(now, before, self.span))
        return total


class LatentCross(ContextVectors):
    """Context as a mask: h (1 + sum of the contexts' vectors), element by element; without a context the identity.

    Beutel et al., "Latent Cross", 2018.
    """

    def forward(
        self, states: Float[Tensor, "*shape dim"], moments: Moments
    ) -> Float[Tensor, "*shape dim"]:
        """Cross the states with their moments."""
        if self.empty:
            return states
        return states * self.added_to(torch.ones_like(states), moments)


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

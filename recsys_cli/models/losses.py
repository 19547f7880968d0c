"""How wrong a score is. All are means over the examples of a batch."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PairLoss = Literal["squared", "logistic", "bpr"]


def pair_loss(
    kind: PairLoss,
    positive: Float[Tensor, " batch"],
    negatives: Float[Tensor, "batch negatives"],
) -> Float[Tensor, ""]:
    """How badly scores tell an event's item from items that the user has no event with.

    Args:
        kind: `squared`: mean of (y - s)^2 with y = 1 for the event and 0 for each negative;
            `logistic`: mean of log(1 + exp(-s)) and log(1 + exp(s)); `bpr`: mean of -log sigma(s+ - s-),
            Rendle et al. 2009.
        positive: Scores of the events' items.
        negatives: Scores of the sampled items.
    """
    if kind == "bpr":
        return functional.softplus(negatives - positive[:, None]).mean()
    scores = torch.cat([positive[:, None], negatives], dim=1)
    truth = torch.zeros_like(scores)
    truth[:, 0] = 1.0
    if kind == "squared":
        return functional.mse_loss(scores, truth)
    return functional.binary_cross_entropy_with_logits(scores, truth)

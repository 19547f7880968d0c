"""How wrong a score is. All are means over the examples of a batch."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

PairLoss = Literal["squared", "logistic", "bpr"]
REMOVED = -1e30  # a logit that has no weight; minus infinity would make 0/0 of a row without others


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


def pair_slope(
    kind: PairLoss, scores: Float[Tensor, "slots batch"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "slots batch"]]:
    """`pair_loss` with its derivatives.

    Args:
        kind: As there.
        scores: Of the event's own item, then of the sampled items; for `bpr`, which knows differences alone, those of
            the sampled items less that of the event's own.
    """
    if kind == "squared":
        off = scores.clone()
        off[0] -= 1
        return off.square().mean(), off.mul_(2 / off.numel())
    wrong = scores  # what is to be low
    if kind == "logistic":
        wrong = scores.clone()
        wrong[0].neg_()
    slope = wrong.sigmoid().div_(wrong.numel())
    if kind == "logistic":
        slope[0].neg_()
    return functional.softplus(wrong).mean(), slope


def calibration_power(n_negatives: int, n_items: int, calibration: float) -> float:
    """The power beta that undoes the overconfidence of a sample, Petrov and Macdonald 2023 (gSASRec), equation 17.

    With alpha = negatives / (items - 1), the chance of an item to be a negative, and t the calibration:
    beta = alpha (t (1 - 1 / alpha) + 1 / alpha). It is 1 for t = 0, and alpha for t = 1, where the scores' sigmoids
    become chances again. A draw of more than all others needs no calibration.
    """
    alpha = min(n_negatives / max(n_items - 1, 1), 1.0)
    return alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)


def binary_loss(
    positive: Float[Tensor, " examples"],
    negatives: Float[Tensor, "examples negatives"],
    wrong: Bool[Tensor, "examples negatives"],
    power: float,
) -> Float[Tensor, ""]:
    """Generalised binary cross-entropy: mean of -power log sigma(s+) and -log sigma(-s-) of each negative.

    Petrov and Macdonald 2023; with a power of 1 it is binary cross-entropy, with one negative that of SASRec.

    Args:
        positive: Scores of the targets.
        negatives: Scores of the sampled items.
        wrong: False where the sampled item is the target itself, which then counts for nothing.
        power: The positives' sigmoids are raised to it.
    """
    of_target = -power * functional.logsigmoid(positive)
    of_others = (functional.softplus(negatives) * wrong).sum(1)
    return (of_target + of_others).mean() / (1 + negatives.shape[1])


def bpr_max_loss(
    positive: Float[Tensor, " examples"],
    negatives: Float[Tensor, "examples negatives"],
    wrong: Bool[Tensor, "examples negatives"],
    l2: float,
) -> Float[Tensor, ""]:
    """BPR against the negatives that score most: Hidasi and Karatzoglou 2018.

    With w the softmax of a row's negatives: mean of -log sum_j w_j sigma(s+ - s_j), and l2 sum_j w_j s_j^2.

    Args:
        positive: Scores of the targets.
        negatives: Scores of the sampled items.
        wrong: False where the sampled item is the target itself, which then has no weight.
        l2: Weight of the squared scores.
    """
    log_weights = negatives.masked_fill(~wrong, REMOVED).log_softmax(1)
    beaten = log_weights + functional.logsigmoid(positive[:, None] - negatives)
    size = (log_weights.exp() * negatives.square()).sum(1)
    return (l2 * size - beaten.logsumexp(1)).mean()

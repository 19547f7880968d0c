"""What the next item is told from in training: all items, or some that are drawn.

A model of sequences ends in a vector for each position, whose product with an item's vector, plus the item's bias, is
that item's score. These are the losses over such scores.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recsys_cli.data.batches import Draws, Negatives
from recsys_cli.models.layers import take_rows
from recsys_cli.models.losses import binary_loss, calibration_power
from recsys_cli.models.softmax import sampled_softmax_loss, softmax_loss

LossName = Literal["softmax", "sampled_softmax", "bce", "gbce"]


class NextItemLoss:
    """How wrong the scores of the next items are.

    Args:
        name: `softmax`: which of all items is it; `sampled_softmax`: which of the target and a draw that all positions
            of a step share; `bce`: is it the target, is it an item drawn for each position (Kang and McAuley 2018);
            `gbce`: the same of the target and a shared draw, calibrated (Petrov and Macdonald 2023).
        n_items: Items of the catalogue.
        n_negatives: Items in a shared draw.
        logq: Share of the logarithm of its chance by which `sampled_softmax` lowers a drawn item's logit.
        calibration: Of `gbce`, their t: 0 = plain binary cross-entropy, 1 = as if nothing had been left undrawn.

    Attributes:
        negatives: Items drawn; None where there is no draw.
        draws: How they are drawn.
    """

    def __init__(
        self, name: LossName, *, n_items: int, n_negatives: int, logq: float, calibration: float
    ) -> None:
        self.negatives = {"softmax": None, "bce": 1}.get(name, n_negatives)
        self.draws = Draws() if name == "sampled_softmax" else Draws(power=0.0, each=name == "bce")
        self._name = name
        self._logq = logq
        self._power = (
            calibration_power(n_negatives, n_items, calibration) if name == "gbce" else 1.0
        )

    def __call__(
        self,
        vectors: Float[Tensor, "examples dim"],
        items: Float[Tensor, "items dim"],
        bias: Float[Tensor, " items"],
        targets: Int64[Tensor, " examples"],
        drawn: Negatives | None,
    ) -> Float[Tensor, ""]:
        """The mean over the examples.

        Args:
            vectors: What is known of each example.
            items: A vector for each item.
            bias: A number for each item.
            targets: The right items.
            drawn: Shared negatives, or those of each example; None = all items.
        """
        if drawn is None:
            return softmax_loss(vectors, items, bias, targets)
        if self._name == "sampled_softmax":
            once = -math.log(
                len(drawn.items)
            )  # the chance of what is expected once needs no correction
            chance = once + self._logq * (drawn.log_chance - once)
            return sampled_softmax_loss(vectors, items, bias, targets, drawn.items, chance)
        positive = (vectors * take_rows(items, targets)).sum(1) + take_rows(bias, targets)
        others, others_bias = take_rows(items, drawn.items), take_rows(bias, drawn.items)
        if drawn.items.dim() == 1:
            scores = torch.addmm(others_bias, vectors, others.T)
        else:
            scores = (others * vectors[:, None]).sum(2) + others_bias
        return binary_loss(positive, scores, drawn.items != targets[:, None], self._power)

    def in_words(self) -> str:
        """What the next item is told from."""
        if self._name == "softmax":
            return "softmax over all items"
        if self._name == "sampled_softmax":
            return f"softmax over the next item and {self.negatives:,} drawn a step"
        if self._name == "bce":
            return "the next item and one drawn for each, by binary cross-entropy"
        return (
            f"the next item to the power {self._power:.3g} and {self.negatives:,} drawn a step, "
            "by binary cross-entropy"
        )

"""Softmax over many items: which one was it, out of all of them or out of a sample?

The logits of a batch are never all there at once. They are made a few rows at a time, turned into gradients on
the spot and forgotten, so that memory holds one chunk of them and not positions x items, twice over.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import logsigmoid

from recsys_cli.models.layers import take_rows

ROWS_ON_CPU = 128  # a chunk of some thousand items stays in the second-level cache
SCORES_ON_ACCELERATOR = 1 << 26  # few launches count for more than a small chunk
REMOVED = -1e30  # added to a logit; minus infinity would make 0/0 of a row without others


def softmax_loss(
    states: Float[Tensor, "examples dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    targets: Int64[Tensor, " examples"],
) -> Float[Tensor, ""]:
    """Mean of -log softmax over the whole catalogue at the target."""
    positive = (states * take_rows(items, targets)).sum(1) + take_rows(bias, targets)
    return _against_others(states, items, bias, positive, targets)


def sampled_softmax_loss(
    states: Float[Tensor, "examples dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    targets: Int64[Tensor, " examples"],
    negatives: Int64[Tensor, " negatives"],
    log_chance: Float[Tensor, " items"],
) -> Float[Tensor, ""]:
    """Mean of -log softmax at the target, the other items estimated from a sample that the whole batch shares.

    A drawn item stands for all that might have been drawn in its place: its logit is lowered by the logarithm of how
    often it is expected among the draws (logQ), so that the sum over the draws is on average that over the catalogue,
    and the popular are not pushed down for being drawn more often. The target is not drawn: its logit stays as it is,
    and where it is among the draws it is taken out (Jean, Cho, Memisevic and Bengio 2015).

    Args:
        states: What is known of each example.
        items: A vector for each item.
        bias: A number for each item.
        targets: The right items.
        negatives: Items drawn with replacement.
        log_chance: Logarithm of each item's chance in one draw.
    """
    drawn, times = torch.unique(negatives, return_counts=True)
    expected = log_chance[drawn] + math.log(len(negatives))
    return weighted_softmax_loss(
        states, items, bias, targets, drawn, times.to(bias.dtype).log() - expected
    )


def weighted_softmax_loss(
    states: Float[Tensor, "examples dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    targets: Int64[Tensor, " examples"],
    others: Int64[Tensor, " others"],
    log_weights: Float[Tensor, " others"],
    target_log_weights: Float[Tensor, " examples"] | None = None,
) -> Float[Tensor, ""]:
    """Mean of -log softmax at the target, among it and some others, each of which counts with a weight of its own.

    Args:
        states: What is known of each example.
        items: A vector for each item.
        bias: A number for each item.
        targets: The right items; where one is among the others it is taken out there.
        others: Items, each once.
        log_weights: Added to the logits of the others.
        target_log_weights: Added to those of the targets; None = 0.
    """
    positive = (states * take_rows(items, targets)).sum(1) + take_rows(bias, targets)
    if target_log_weights is not None:
        positive = positive + target_log_weights
    column = targets.new_full((len(items),), -1)
    column[others] = torch.arange(len(others), device=others.device)
    weighted = take_rows(bias, others) + log_weights
    return _against_others(states, take_rows(items, others), weighted, positive, column[targets])


def _against_others(*given: Tensor) -> Tensor:
    """In the precision of the weights, whatever the matrix products before it were made in."""
    dtype = given[1].dtype
    same = (each.to(dtype) if each.is_floating_point() else each for each in given)
    with torch.autocast(given[0].device.type, enabled=False):
        loss: Tensor = _AgainstOthers.apply(*same)  # type: ignore[no-untyped-call]  # torch does not type it
    return loss


class _AgainstOthers(torch.autograd.Function):
    """Mean over examples of log(1 + sum over others j of exp(s_j - s+)), s_j = states @ others + bias.

    With p the softmax over the others alone and w = sigmoid(logsumexp(s_j) - s+), the gradient of s_j is w p_j and
    that of s+ is -w.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        others: Tensor,
        bias: Tensor,
        positive: Tensor,
        own: Tensor,
    ) -> Tensor:
        """The loss; the gradients are made on the way.

        Args:
            ctx: Keeps the gradients.
            states: (examples, dim).
            others: (others, dim).
            bias: (others,).
            positive: (examples,) the targets' scores.
            own: (examples,) where an example's target is among the others; -1 = nowhere.
        """
        n, rows = len(states), _rows(states, len(others))
        d_states, weights = torch.empty_like(states), torch.empty_like(positive)
        d_others, d_bias = torch.zeros_like(others), torch.zeros_like(bias)
        buffer = states.new_empty(min(rows, n), len(others))
        loss = states.new_zeros(())
        for start in range(0, n, rows):
            chunk = slice(start, start + rows)
            scores = torch.addmm(bias, states[chunk], others.T, out=buffer[: n - start])
            hit = own[chunk, None]
            scores.scatter_add_(1, hit.clamp(min=0), torch.where(hit < 0, 0, REMOVED).to(scores))
            greatest = scores.amax(1)
            share = torch.softmax(scores, 1, out=scores)
            margin = greatest - share.amax(1).log() - positive[chunk]
            loss -= logsigmoid(-margin).sum()
            weight = torch.sigmoid(margin, out=weights[chunk])
            torch.mm(share, others, out=d_states[chunk]).mul_(weight[:, None])
            d_others.addmm_(share.T, states[chunk] * weight[:, None])
            d_bias.addmv_(share.T, weight)
        ctx.save_for_backward(d_states, d_others, d_bias, weights)
        return loss / n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients, times that of the loss."""
        d_states, d_others, d_bias, weights = ctx.saved_tensors
        scale = grads[0] / len(d_states)
        return d_states * scale, d_others * scale, d_bias * scale, weights * -scale, None


def _rows(states: Tensor, n_others: int) -> int:
    """Rows of a chunk."""
    if states.device.type == "cpu":
        return ROWS_ON_CPU
    return max(ROWS_ON_CPU, SCORES_ON_ACCELERATOR // n_others)

"""`factorisation.descend` for events with one negative each, in two passes over three vectors.

All that a step is made of follows from the two scores and from four lengths, which one pass over the vectors gives;
another moves them. That halves the time of an epoch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_cli.models.kernels.compiling import kernel, part
from recsys_cli.models.kernels.factorisation import (
    BPR,
    LARGE,
    ONE,
    SQUARED,
    TINY,
    TWO,
    ZERO,
    Codes,
    Rule,
    Table,
    Tables,
    move_number,
)

HALF = np.float32(0.5)


@kernel
def descend_one(
    users: Codes,
    items: Codes,
    negatives: Codes,
    tables: Tables,
    sums: Tables,
    rule: Rule,
) -> float:
    """Take a step for each event, in order and in place; the mean of the losses, each before its step.

    Args:
        users: Codes, one an event.
        items: The items of the events.
        negatives: An item that the user has no event with, (events, 1).
        tables: The parameters.
        sums: The sum of mean squared gradients of each row, for row-wise Adagrad.
        rule: What is minimised, and how.
    """
    P, b, Q, c, mean = tables
    sum_P, sum_b, sum_Q, sum_c, sum_mean = sums
    share = ONE if rule.loss == BPR else HALF
    of_user, of_item = TWO * rule.l2, rule.l2
    total, factors = 0.0, 1.0
    for event in range(users.shape[0]):
        user, item, other = users[event], items[event], negatives[event, 0]
        dot, other_dot, length, size, other_size, apart = _measure(P, user, Q, item, other)
        base, bias, other_bias = mean[0, 0] + b[user, 0], c[item, 0], c[other, 0]
        loss, factor, pull, push = _pulls(dot + base + bias, other_dot + base + other_bias, rule)
        factors *= factor
        if factors > LARGE:
            total += share * np.log(factors)
            factors = 1.0
        total += share * loss + rule.l2 * (length + b[user, 0] * b[user, 0])
        total += HALF * rule.l2 * (size + other_size + bias * bias + other_bias * other_bias)
        lr_user = lr_item = lr_other = rule.lr
        if rule.adaptive:
            both = pull + push
            squares = pull * pull * apart + pull * both * (size - other_size - apart)
            squares += both * both * other_size
            crossed = pull * dot + push * other_dot
            lr_user = _shorten(P, user, squares, of_user, crossed, length, sum_P, rule.lr)
            lr_item = _shorten(
                Q, item, pull * pull * length, of_item, pull * dot, size, sum_Q, rule.lr
            )
            lr_other = _shorten(
                Q,
                other,
                push * push * length,
                of_item,
                push * other_dot,
                other_size,
                sum_Q,
                rule.lr,
            )
        keep, step, away = ONE - lr_user * of_user, lr_user * pull, lr_user * push
        keep_item, step_item = ONE - lr_item * of_item, lr_item * pull
        keep_other, step_other = ONE - lr_other * of_item, lr_other * push
        for d in range(P.shape[1]):
            p, q, r = P[user, d], Q[item, d], Q[other, d]
            P[user, d] = keep * p - step * q - away * r
            Q[item, d] = keep_item * q - step_item * p
            Q[other, d] = keep_other * r - step_other * p
        if rule.of_items:
            move_number(c, item, pull + of_item * bias, sum_c, rule)
            move_number(c, other, push + of_item * other_bias, sum_c, rule)
        if rule.of_users:
            move_number(b, user, pull + push + of_user * b[user, 0], sum_b, rule)
            move_number(mean, 0, pull + push, sum_mean, rule)
    mean_loss: float = (total + share * np.log(factors)) / max(users.shape[0], 1)
    return mean_loss


@part
def _measure(P: Table, user: int, Q: Table, item: int, other: int) -> Any:
    """The products with the user's vector, the squared lengths of all three, and of the items' difference."""
    dot, other_dot, length, size, other_size, apart = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    for d in range(P.shape[1]):
        p, q, r = P[user, d], Q[item, d], Q[other, d]
        dot += p * q
        other_dot += p * r
        length += p * p
        size += q * q
        other_size += r * r
        apart += (q - r) * (q - r)
    return dot, other_dot, length, size, other_size, apart


@part
def _pulls(score: Any, other: Any, rule: Rule) -> Any:
    """The loss but for the logarithm of a factor, that factor, and the derivatives by the two scores."""
    if rule.loss == SQUARED:
        off = score - ONE
        return off * off + other * other, ONE, off, other
    if rule.loss == BPR:
        margin = score - other
        small = np.exp(-abs(margin))
        push = (small if margin > ZERO else ONE) / (ONE + small)
        return max(-margin, ZERO), ONE + small, -push, push
    small, other_small = np.exp(-abs(score)), np.exp(-abs(other))
    pull = -HALF * (small if score > ZERO else ONE) / (ONE + small)
    push = HALF * (ONE if other > ZERO else other_small) / (ONE + other_small)
    factor = (ONE + small) * (ONE + other_small)
    return max(-score, ZERO) + max(other, ZERO), factor, pull, push


@part
def _shorten(
    table: Table,
    row: int,
    squares: Any,
    decay: Any,
    crossed: Any,
    length: Any,
    sums: Table,
    lr: Any,
) -> Any:
    """The row's step size by row-wise Adagrad, whose sum gets the mean square of the gradient g + decay x.

    Args:
        table: Parameters.
        row: Place in it.
        squares: Squared length of g.
        decay: How strongly the row is drawn to zero.
        crossed: Product of g and x, the row as it is.
        length: Squared length of x.
        sums: The row's sum is moved on.
        lr: Step size at a sum of one.
    """
    whole = squares + TWO * decay * crossed + decay * decay * length
    sums[row, 0] += max(whole, ZERO) / np.float32(table.shape[1])
    return lr / (np.sqrt(sums[row, 0]) + TINY)

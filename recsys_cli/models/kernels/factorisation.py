"""Gradient descent on a matrix factorisation, a step for each event: the twin of `MF.loss` with batches of one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys_cli.models.kernels.compiling import kernel, part

Table = NDArray[np.float32]
Codes = NDArray[np.int64]
LOSSES = ("squared", "logistic", "bpr")
SQUARED, BPR = LOSSES.index("squared"), LOSSES.index("bpr")
TINY = np.float32(1e-10)
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
LARGE = 1e300  # a product of numbers in [1, 2] that stops here does not overflow


class Tables(NamedTuple):
    """Parameters with a row for each user, for each item, and of the mean; or what an optimiser knows of the rows."""

    users: Table
    user_bias: Table
    items: Table
    item_bias: Table
    mean: Table


class Rule(NamedTuple):
    """What is minimised, and how.

    Attributes:
        loss: Place in `LOSSES`.
        lr: Step size.
        l2: Weight of the squared length of what an event uses.
        adaptive: Row-wise Adagrad; otherwise plain steps.
        of_users: Whether the users' biases and the mean are trained.
        of_items: Whether the items' biases are.
    """

    loss: int
    lr: np.float32
    l2: np.float32
    adaptive: bool
    of_users: bool
    of_items: bool


@kernel
def descend(
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
        negatives: Items that the user has no event with, (events, negatives).
        tables: The parameters.
        sums: The sum of mean squared gradients of each row, for row-wise Adagrad.
        rule: What is minimised, and how.
    """
    P, b, Q, c, mean = tables  # an array is taken out of a tuple once: it is counted each time
    sum_P, sum_b, sum_Q, sum_c, sum_mean = sums
    n = negatives.shape[1] + 1
    at, count = np.empty(n, np.int64), np.empty(n, np.float32)
    dot, square = np.empty(n, np.float32), np.empty(n, np.float32)
    pull, gradient = np.empty(n, np.float32), np.empty(P.shape[1], np.float32)
    total = 0.0
    for event in range(users.shape[0]):
        user = users[event]
        at[0] = items[event]
        for s in range(1, n):
            at[s] = negatives[event, s - 1]
        length = _measure(P, user, Q, at, dot, square)
        of_items = ZERO
        for s in range(n):
            bias = c[at[s], 0]
            pull[s] = dot[s] + mean[0, 0] + b[user, 0] + bias
            of_items += square[s] + bias * bias
        total += rule.l2 * (length + b[user, 0] * b[user, 0] + of_items / np.float32(n))
        total += _bpr(pull) if rule.loss == BPR else _pointwise(pull, rule.loss == SQUARED)
        pulled = ZERO
        for s in range(n):
            pulled += pull[s]
        _count_repeated(at, pull, count)
        _move_items(P, user, Q, at, pull, count, length, dot, square, gradient, sum_Q, rule)
        _move_user(P, user, gradient, sum_P, rule)
        if rule.of_items:
            _move_numbers(c, at, pull, count, sum_c, rule)
        if rule.of_users:
            move_number(b, user, pulled + TWO * rule.l2 * b[user, 0], sum_b, rule)
            move_number(mean, 0, pulled, sum_mean, rule)
    mean_loss: float = total / max(users.shape[0], 1)
    return mean_loss


@part
def _measure(P: Table, user: int, Q: Table, at: Codes, dot: Table, square: Table) -> Any:
    """Fill in the products with the user's vector and the squared lengths; its own squared length."""
    length = ZERO
    for d in range(P.shape[1]):
        length += P[user, d] * P[user, d]
    for s in range(at.shape[0]):
        item = at[s]
        product, size = ZERO, ZERO
        for d in range(P.shape[1]):
            product += P[user, d] * Q[item, d]
            size += Q[item, d] * Q[item, d]
        dot[s], square[s] = product, size
    return length


@part
def _bpr(pull: Table) -> float:
    """Mean of -log sigma(s+ - s-) at these scores, which become its derivatives.

    Logarithms are what is dear here, so those of factors 1 + e^-|x| are taken together.
    """
    share = ONE / np.float32(pull.shape[0] - 1)
    first, back = pull[0], ZERO
    loss, factors = 0.0, 1.0
    for s in range(1, pull.shape[0]):
        margin = first - pull[s]
        small = np.exp(-abs(margin))
        factors *= 1.0 + small
        if factors > LARGE:
            loss += np.log(factors)
            factors = 1.0
        loss += max(-margin, ZERO)
        pull[s] = share * (small if margin > ZERO else ONE) / (ONE + small)
        back -= pull[s]
    pull[0] = back
    mean: float = (loss + np.log(factors)) * share
    return mean


@part
def _pointwise(pull: Table, squared: bool) -> float:
    """Mean of (y - s)^2, or of log(1 + exp(-s)) for the event and log(1 + exp(s)) for negatives; likewise."""
    share = ONE / np.float32(pull.shape[0])
    loss, factors = 0.0, 1.0
    for s in range(pull.shape[0]):
        if squared:
            off = pull[s] - (ONE if s == 0 else ZERO)
            loss += off * off
            pull[s] = TWO * share * off
        else:
            sign = ONE if s == 0 else -ONE
            margin = sign * pull[s]
            small = np.exp(-abs(margin))
            factors *= 1.0 + small
            if factors > LARGE:
                loss += np.log(factors)
                factors = 1.0
            loss += max(-margin, ZERO)
            pull[s] = -sign * share * (small if margin > ZERO else ONE) / (ONE + small)
    mean: float = (loss + np.log(factors)) * share
    return mean


@part
def _count_repeated(at: Codes, pull: Table, count: Table) -> None:
    """Put what belongs to one row where it stands first: the gradient of a row is squared as a whole."""
    for s in range(at.shape[0]):
        count[s] = ONE
        for earlier in range(1, s):
            if at[earlier] == at[s]:
                pull[earlier] += pull[s]
                count[earlier] += ONE
                count[s] = ZERO
                break


@part
def _move_items(
    P: Table,
    user: int,
    Q: Table,
    at: Codes,
    pull: Table,
    count: Table,
    length: Any,
    dot: Table,
    square: Table,
    gradient: Table,
    sums: Table,
    rule: Rule,
) -> None:
    """Move the items' vectors; how they pull the user's, as they were, goes into `gradient`.

    The squared length of an item's gradient, pull p + decay q, follows from those of p and q and their product.
    """
    rank = P.shape[1]
    for d in range(rank):
        gradient[d] = ZERO
    for s in range(at.shape[0]):
        if count[s] == ZERO:
            continue
        item, strength = at[s], pull[s]
        decay = TWO * rule.l2 * count[s] / np.float32(at.shape[0])
        lr = rule.lr
        if rule.adaptive:
            cross = TWO * strength * decay * dot[s]
            squares = strength * strength * length + cross + decay * decay * square[s]
            sums[item, 0] += max(squares, ZERO) / np.float32(rank)
            lr /= np.sqrt(sums[item, 0]) + TINY
        keep, step = ONE - lr * decay, lr * strength
        for d in range(rank):
            q = Q[item, d]
            gradient[d] += strength * q
            Q[item, d] = keep * q - step * P[user, d]


@part
def _move_user(P: Table, user: int, gradient: Table, sums: Table, rule: Rule) -> None:
    """Move the user's vector."""
    rank = P.shape[1]
    decay = TWO * rule.l2
    lr = rule.lr
    if rule.adaptive:
        squares = ZERO
        for d in range(rank):
            whole = gradient[d] + decay * P[user, d]
            squares += whole * whole
        sums[user, 0] += squares / np.float32(rank)
        lr /= np.sqrt(sums[user, 0]) + TINY
    keep = ONE - lr * decay
    for d in range(rank):
        P[user, d] = keep * P[user, d] - lr * gradient[d]


@part
def _move_numbers(c: Table, at: Codes, pull: Table, count: Table, sums: Table, rule: Rule) -> None:
    """Move the items' biases."""
    for s in range(at.shape[0]):
        if count[s] > ZERO:
            decay = TWO * rule.l2 * count[s] / np.float32(at.shape[0])
            move_number(c, at[s], pull[s] + decay * c[at[s], 0], sums, rule)


@part
def move_number(table: Table, row: int, gradient: Any, sums: Table, rule: Rule) -> None:
    """Move a row of one number."""
    lr = rule.lr
    if rule.adaptive:
        sums[row, 0] += gradient * gradient
        lr /= np.sqrt(sums[row, 0]) + TINY
    table[row, 0] -= lr * gradient

"""Does a little of each piece of work of a training, on its own model and data, and tells how long all of it takes.

Steps and rankings are told from their number. A closed form is fitted to parts of the data, each larger than the one
before, as long as there is time, and the rest follows from the law by which its work grows (`contract.TellsWork`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import Holdout
from recsys_cli.devices import Device
from recsys_cli.errors import DataError, ModelError
from recsys_cli.evaluation.evaluate import evaluate
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.scoring import rows_per_block, scan_pays
from recsys_cli.models.baselines.neighbours import ItemNeighbours
from recsys_cli.models.contract import TellsWork
from recsys_cli.preparation import Draft, Prepared
from recsys_cli.progress import Progress, Silent
from recsys_cli.seeds import isolated, numpy_generator
from recsys_cli.training.loop import GradientTrainer
from recsys_cli.training.optimisers import make_optimiser

STEPS_SECONDS, FIT_SECONDS, RANKING_SECONDS = 1.0, 1.2, 0.4
FIRST_EVENTS, FIRST_ITEMS = 20_000, 1_000  # of the smallest part that a closed form is fitted to
GROWTH = 1.5  # of the share of users and items that make the next part


@dataclass(frozen=True)
class Learning:
    """What was seen of the learning.

    Attributes:
        before_seconds: What is done or loaded once, before the first epoch or solve: samplers, kernels, optimisers.
        seconds: An epoch, or the solve.
        seen: How much of it was done, from 0 to 1; the rest is told from that.
    """

    before_seconds: float
    seconds: float
    seen: float


def probe_steps(ready: Prepared, trainer: GradientTrainer, progress: Progress) -> Learning:
    """Take steps of gradient descent for about a second; the model is then not what it was."""
    device, model = ready.device, ready.model
    began = device.now()
    optimiser = make_optimiser(trainer.optimiser, model.parameters(), trainer.lr)
    steps = trainer.steps(model, optimiser, ready.split.train, device, progress)
    model.train()
    with isolated(trainer.seed, "epoch", 1):
        for loss in islice(
            steps.epoch(1, 0), 1
        ):  # the first step takes what only a first one takes
            float(loss)
        started, done, seconds = device.now(), 0, 0.0
        for loss in steps.epoch(2, 0):
            float(loss)
            done, seconds = done + 1, device.now() - started
            if seconds > STEPS_SECONDS:
                break
    step = seconds / done
    return Learning(
        before_seconds=max(started - began - step, 0.0),
        seconds=step * len(steps),
        seen=done / len(steps),
    )


def probe_fit(draft: Draft, ready: Prepared, progress: Progress) -> Learning:
    """Fit a closed form to growing parts of the data; the model is fitted only where all of it was reached."""
    train, device = draft.split.train, draft.device
    share = min(1.0, (FIRST_EVENTS / len(train)) ** 0.5, FIRST_ITEMS / train.n_items)
    spent, before, told = 0.0, 0.0, Learning(0.0, 0.0, 0.0)
    while True:
        part = train if share == 1.0 else _part(train, share)
        if part is not None:
            began = device.now()
            solve = _fit(draft, ready.model if part is train else None, part, progress)
            if solve is not None:
                taken = device.now() - began
                before, spent = max(before, taken - solve), spent + taken
                seen = min(_work(ready.model, part) / max(_work(ready.model, train), 1e-9), 1.0)
                told = Learning(before, solve / seen, seen)
                if part is train:
                    return told
                if told.seconds <= FIT_SECONDS - spent:
                    share = 1.0
                    continue
                if spent + GROWTH**3 * solve > FIT_SECONDS:
                    return told
        share = min(1.0, share * GROWTH)


def _part(train: Interactions, share: float) -> Interactions | None:
    """The events of a share of the users with a share of the items; None where there are none."""
    chance = numpy_generator(0, "plan")
    users, items = chance.random(train.n_users) < share, chance.random(train.n_items) < share
    kept = users[train.users] & items[train.items]
    return train.take(kept).compact() if kept.any() else None


def _fit(draft: Draft, model: Any | None, part: Interactions, progress: Progress) -> float | None:
    """Seconds of a solve, of a model of its own where none is given; None where a part is too small for it."""
    device: Device = draft.device
    with isolated(0, "plan"):
        own = model if model is not None else _of_size(draft, part)
        try:
            history = draft.trainer.fit(
                own,
                part,
                device=device,
                primary="",
                validate=dict,
                report=_nothing,
                progress=_NotesOnly(progress),
            )
        except (ModelError, DataError):
            if model is not None:
                raise
            return None
    return float(history.epoch_seconds[0])


class _NotesOnly(Silent):
    """Tells that a kernel is compiled, and shows no bars of fits that are a part of a probe."""

    def __init__(self, outer: Progress) -> None:
        self._outer = outer

    def note(self, text: str) -> None:
        """Print one line."""
        self._outer.note(text)


def _of_size(draft: Draft, part: Interactions) -> Any:
    return draft.make(n_users=part.n_users, n_items=part.n_items).to(draft.device.torch)


def _work(model: Any, train: Interactions) -> float:
    """How much there is to do, in a unit of the model's own: its events where it tells nothing."""
    return float(model.work(train)) if isinstance(model, TellsWork) else float(len(train))


def _nothing(epoch: int, numbers: Any) -> None:
    """A report that nobody reads."""


def look_fitted(model: nn.Module) -> bool:
    """Put random numbers where a fit would have put its own, so that scoring takes as long; whether that can be done.

    It cannot where only a fit knows how large its buffers are.
    """
    buffers = list(model.buffers())
    if any(buffer.numel() == 0 for buffer in buffers):
        return False
    for module in model.modules():
        if isinstance(module, ItemNeighbours):
            module.items.random_(0, len(module.items))
    for buffer in buffers:
        if buffer.is_floating_point():
            buffer.normal_()
    return True


def probe_ranking(ready: Prepared, part: str) -> tuple[float, float]:
    """Seconds to measure the model on a part of the data, told from as many of its users as there is time for.

    Returns:
        What is taken only the first time in this process, and each time.
    """
    began = ready.device.now()
    holdout = ready.parts[part]
    users = numpy_generator(0, "plan").permutation(holdout.users)
    size = rows_per_block(ready.split.n_items)
    if isinstance(
        ready.protocol, RankingProtocol
    ):  # all users may pay for a kernel that few do not
        n_scores = len(users) * ready.split.n_items
        scan_pays(n_scores, ready.device.torch, ready.protocol, Silent())
    _seconds(ready, holdout, users[:size])
    first = ready.device.now() - began
    n, spent, before = min(size, len(users)), 0.0, (0, 0.0)
    while True:
        seconds = _seconds(ready, holdout, users[:n])
        if not before[0]:
            first = max(first - seconds, 0.0)
        spent += seconds
        if n == len(users):
            return first, seconds
        if spent + 2 * seconds > RANKING_SECONDS:
            break
        before, n = (n, seconds), min(2 * n, len(users))
    slope = (seconds - before[1]) / (n - before[0])
    return first, seconds + max(slope, 0.5 * seconds / n) * (len(users) - n)


def _seconds(ready: Prepared, holdout: Holdout, users: NDArray[np.int64]) -> float:
    asked = np.zeros(ready.split.n_users, dtype=bool)
    asked[users] = True
    few = replace(holdout, targets=holdout.targets.take(asked[holdout.targets.users]))
    began = ready.device.now()
    try:
        evaluate(ready.model, few, ready.protocol, device=ready.device.torch)
    except DataError:
        if len(users) == len(holdout.users):  # that a few users have no value says nothing
            raise
    return ready.device.now() - began

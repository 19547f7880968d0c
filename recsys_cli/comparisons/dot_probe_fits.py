"""A generated function of vectors, and one combination of vectors trained to compute it.

Vectors u ~ N(0, r^(-1/modes) I) of r numbers make the numbers sum_k u_k v_k (w_k): a dot product of two, or its
like of three, of variance 1 (Beutel et al., "Latent Cross", 2018, section 4). Nine tenths of all cells are learnt from,
by squared error. Either the embeddings are learnt too, and the question is the other tenth; or the very vectors are
given, and the question is the cells of other vectors that were never seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recsys_cli.models.first_try.combining import DotProduct, HiddenLayer, product_of
from recsys_cli.seeds import generator
from recsys_cli.training.optimisers import make_optimiser

Vectors = Literal["learnt", "given"]

PER_MODE = 100  # users, items, and contexts of three
DIM = 20  # of the embeddings that are learnt
HELD_OUT = 10  # one cell in so many is asked about
ASKED = 20_000  # at most
BATCH = 1_000
LR, WARM_UP = 0.03, 0.1  # largest step; the share of the training in which it is reached
INIT_SD = 0.3  # of embeddings: with 1 some nets of three-way products were still noise at the end


@dataclass(frozen=True)
class Task:
    """A function to learn.

    Attributes:
        modes: How many vectors are multiplied.
        rank: Numbers of each.
        vectors: Whether a net learns its embeddings, or is given the vectors.
    """

    modes: int
    rank: int
    vectors: Vectors

    @property
    def name(self) -> str:
        """In words."""
        ways = {2: "two-way", 3: "three-way"}[self.modes]
        return f"{ways}, rank {self.rank}, vectors {self.vectors}"


@dataclass(frozen=True)
class Fit:
    """How well a combination of vectors learnt a task.

    Attributes:
        task: The function.
        hidden: Units of the hidden layer; 0 = the dot product.
        trained: Pearson's correlation with the truth on what it was trained on; NaN where it is constant.
        asked: The same on what it was not trained on.
        parameters: Numbers that were learnt.
        starts: `asked` of each random start, from the worst to the best, of which this is the one in the middle; empty
            where there is but this one.
    """

    task: Task
    hidden: int
    trained: float
    asked: float
    parameters: int
    starts: tuple[float, ...] = ()


@dataclass(frozen=True)
class World:
    """A task's truth.

    Attributes:
        vectors: Of each mode, (rows, rank).
        trained: Cells to learn from, in random order.
        asked: Cells to be asked about.
        unit: What the numbers are divided by, so that those of training have a variance of 1.
    """

    vectors: list[Float[Tensor, "rows rank"]]
    trained: Int64[Tensor, "cells modes"]
    asked: Int64[Tensor, "others modes"]
    unit: float

    def truth(self, cells: Int64[Tensor, "cells modes"]) -> Float[Tensor, " cells"]:
        """The numbers to be learnt."""
        return product_of(self.vectors, cells) / self.unit


def make_world(task: Task, seed: int) -> World:
    """Draw the vectors, and part the cells; where vectors are given, those asked about are of other vectors."""
    drawing = generator(seed, "probe", task.name)
    given = task.vectors == "given"
    rows = 2 * PER_MODE if given else PER_MODE
    scale = task.rank ** (-1 / (2 * task.modes))
    vectors = [torch.randn(rows, task.rank, generator=drawing) * scale for _ in range(task.modes)]
    cells = _cells(task.modes, 0, drawing)
    n_asked = len(cells) // HELD_OUT
    trained, others = cells[n_asked:], cells[:n_asked]
    asked = _cells(task.modes, PER_MODE, drawing) if given else others
    unit = float(product_of(vectors, trained).std())
    return World(vectors, trained, asked[:ASKED], unit)


def _cells(modes: int, first: int, drawing: torch.Generator) -> Int64[Tensor, "cells modes"]:
    """All combinations of the rows from `first` on, in random order."""
    rows = torch.arange(first, first + PER_MODE)
    cells = torch.cartesian_prod(*[rows] * modes)
    return cells[torch.randperm(len(cells), generator=drawing)]


def fit_often(task: Task, world: World, hidden: int, steps: int, seed: int, starts: int) -> Fit:
    """Train one combination of vectors from several random starts; the one in the middle by what it was not trained on.

    One net of the same width may learn a task and the next one not, so a single start says little of the width. Of an even
    number of starts it is the worse one of the two in the middle.
    """
    fits = sorted(
        (fit(task, world, hidden, steps, seed, start) for start in range(starts)), key=_goodness
    )
    return replace(fits[(starts - 1) // 2], starts=tuple(each.asked for each in fits))


def _goodness(fit: Fit) -> float:
    return -math.inf if math.isnan(fit.asked) else fit.asked


def fit(task: Task, world: World, hidden: int, steps: int, seed: int, start: int = 0) -> Fit:
    """Train one combination of vectors.

    Args:
        task: The function.
        world: What `make_world` drew for it.
        hidden: Units of the net's hidden layer; 0 = the dot product, which has nothing to learn of given vectors.
        steps: Of training.
        seed: From which all randomness comes.
        start: Of several: which first weights, and which order of cells.
    """
    if task.vectors == "given" and not hidden:
        return Fit(task, hidden, trained=1.0, asked=1.0, parameters=0)
    drawing = generator(seed, "probe", task.name, hidden, start)
    net = _net(task, world, hidden, drawing)
    optimiser = make_optimiser("adam", net.parameters(), LR)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = LR * _size(step / steps)
        cells = world.trained[torch.randint(len(world.trained), (BATCH,), generator=drawing)]
        loss = (net(cells) - world.truth(cells)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        trained, asked = (
            _correlation(net(cells), world.truth(cells))
            for cells in (world.trained[:ASKED], world.asked)
        )
    learnt = sum(each.numel() for each in net.parameters() if each.requires_grad)
    return Fit(task, hidden, trained, asked, learnt)


def _net(task: Task, world: World, hidden: int, drawing: torch.Generator) -> nn.Module:
    rows = len(world.vectors[0])
    if task.vectors == "given":
        tables = [vectors.clone() for vectors in world.vectors]
    else:
        tables = [torch.randn(rows, DIM, generator=drawing) * INIT_SD for _ in range(task.modes)]
    if hidden:
        learn = task.vectors == "learnt"
        return HiddenLayer(tables, hidden=hidden, learn_tables=learn, drawing=drawing)
    return DotProduct(tables)


def _size(done: float) -> float:
    """The size of a step, when so much of the training is done: up in a line, then down to 0 by a cosine."""
    if done < WARM_UP:
        return done / WARM_UP
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def _correlation(found: Float[Tensor, " cells"], truth: Float[Tensor, " cells"]) -> float:
    """Pearson's; NaN where all that was found is one number."""
    return float(torch.corrcoef(torch.stack([found.double(), truth.double()]))[0, 1])

"""How much memory a run will need, told before any of it is taken.

The model is made on torch's meta device, where tensors have shapes and no values, so that a model of a terabyte is
measured in milliseconds. What its training needs beside its weights follows from the optimiser; what only the model
knows (a dense matrix of items by items) it tells itself, see `contract.TellsMemory`.

The amounts come on top of what the process holds already, events included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from recsys_cli.data.interactions import Interactions
from recsys_cli.devices import Device
from recsys_cli.errors import ResourceError
from recsys_cli.evaluation.scoring import rows_per_block
from recsys_cli.models.contract import SolvesByKernel, TellsMemory
from recsys_cli.resources import in_words, memory
from recsys_cli.training.loop import GradientTrainer
from recsys_cli.training.optimisers import OptimiserName
from recsys_cli.training.steps import TORCH_BATCH

FLOAT = 4
SCORE_COPIES = (
    4  # the scores, the copy in which seen items are masked, and what the search for the top takes
)
# An event in the matrix of users by items; and as pairs, order and unseen items of an epoch, in 64 bits.
SOLVED_EVENT_BYTES, STEPPED_EVENT_BYTES = 24, 72
# What is loaded only when results are measured and written, what torch's own optimisers load besides, and the compiler.
LIBRARIES, OPTIMISER_LIBRARIES, KERNEL_LIBRARIES = 48 << 20, 80 << 20, 110 << 20
SHARES_NAMED = 2


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run needs on top of what its process holds before the model is built.

    Attributes:
        weights: Parameters and buffers.
        best: The copy of the best epoch's weights.
        optimiser: What the optimiser remembers.
        gradients: As large as what is trained.
        learning: Beside these, at the highest moment of a step or of a solve.
        saving: The copy that goes to disk.
        measuring: The scores of a block of users.
        data: The training events in the form that they are learnt from.
        libraries: Code that is not loaded yet.
    """

    weights: int
    best: int
    optimiser: int
    gradients: int
    learning: int
    saving: int
    measuring: int
    data: int
    libraries: int

    @property
    def peak(self) -> int:
        """The highest moment: a step, a checkpoint or an evaluation."""
        shares: dict[str, int] = vars(self)
        in_turn = (self.learning, self.saving, self.measuring)
        return sum(shares.values()) - sum(in_turn) + max(in_turn)

    def in_words(self) -> str:
        """The largest shares: `weights 8.2 GB, gradients 8.2 GB`."""
        shares = sorted(vars(self).items(), key=lambda share: -share[1])[:SHARES_NAMED]
        return ", ".join(f"{name} {in_words(share)}" for name, share in shares)


def estimate(
    make: Callable[[], nn.Module], *, train: Interactions, trainer: Any
) -> Footprint | None:
    """What a run will need; None where the model cannot be made without values.

    Args:
        make: Builds the model on torch's current device.
        train: What it learns from.
        trainer: How it learns.
    """
    try:
        with torch.device("meta"), _NoValues():
            model = make()
    except (
        RuntimeError,
        NotImplementedError,
        TypeError,
    ):  # a model of the user's own may need the values
        return None
    held = list(model.state_dict().values())
    weights, largest = _bytes(held), max((tensor.nbytes for tensor in held), default=0)
    by_steps = isinstance(trainer, GradientTrainer)
    batch_size = (trainer.batch_size or TORCH_BATCH) if by_steps else 0
    own = model.working_bytes(train, batch_size) if isinstance(model, TellsMemory) else 0
    n_scores = rows_per_block(train.n_items) * train.n_items
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = _bytes(trained) if by_steps else 0
    optimiser = _optimiser_bytes(trainer.optimiser, trained) if by_steps else 0
    best = weights if by_steps else 0
    step = max((parameter.nbytes for parameter in trained), default=0) if by_steps else 0
    return Footprint(
        weights=weights,
        best=best,
        optimiser=optimiser,
        gradients=gradients,
        learning=step + own,
        saving=weights + best + optimiser if by_steps else largest,
        measuring=SCORE_COPIES * FLOAT * n_scores,
        data=(STEPPED_EVENT_BYTES if by_steps else SOLVED_EVENT_BYTES) * len(train),
        libraries=LIBRARIES
        + (OPTIMISER_LIBRARIES if by_steps and trainer.optimiser != "rowwise_adagrad" else 0)
        + (KERNEL_LIBRARIES if _by_kernel(model, trainer) else 0),
    )


def check_room(needed: Footprint, *, model: str) -> None:
    """Refuse a run that cannot fit.

    Args:
        needed: What `estimate` found.
        model: The model's name, for the message.

    Raises:
        ResourceError: There is less memory than it needs.
    """
    there = memory()
    if there is not None and needed.peak > there.free:
        raise ResourceError(
            f"model={model} needs about {in_words(needed.peak)} of memory ({needed.in_words()}), "
            f"{in_words(there.free)} are free in {there.bound}",
            f"make it smaller (recsys models {model} lists its settings), take less data, or give it more memory",
        )


class _NoValues(TorchFunctionMode):
    """Leaves out what would fill tensors that have no values: doing so takes torch seconds to learn."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Return a tensor as it is instead of filling it, and an empty one instead of a random one."""
        name = getattr(func, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        if in_place and args and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]
        if name in ("rand", "randn"):
            return torch.empty(*args, **(kwargs or {}))
        if name in ("mul", "div") and isinstance(args[1], int | float):
            return args[0]
        return func(*args, **(kwargs or {}))


def _by_kernel(model: nn.Module, trainer: Any) -> bool:
    """Whether a compiled kernel learns; asked of what will be on a CPU."""
    if isinstance(trainer, GradientTrainer):
        return trainer.uses_kernel(model, Device("cpu", 1))
    return isinstance(model, SolvesByKernel) and model.uses_kernel(torch.device("cpu"))


def _optimiser_bytes(name: OptimiserName, trained: Iterable[Tensor]) -> int:
    """What an optimiser remembers: a number a row, two a weight, or nothing."""
    if name == "adam":
        return 2 * _bytes(trained)
    if name == "sgd":
        return 0
    return sum(FLOAT * (tensor.shape[0] if tensor.dim() > 1 else 1) for tensor in trained)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)

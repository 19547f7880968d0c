"""What takes the steps of an epoch: torch, a batch at a time, or a compiled kernel, an event at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from typing import Any, Literal, Protocol

import torch

from recsys_cli.data.batches import Batches, PairBatches, Pairs, SequenceBatches
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.side_by_side import SideBySideBatches
from recsys_cli.devices import Device
from recsys_cli.errors import ConfigError
from recsys_cli.models.contract import DerivesRows, HasKernel
from recsys_cli.progress import Progress
from recsys_cli.training.optimisers import OptimiserName, RowwiseAdagrad

EngineName = Literal["auto", "kernel", "torch"]
TORCH_BATCH = 2048
BY_ROWS: tuple[OptimiserName, ...] = ("rowwise_adagrad", "sgd")
KINDS: dict[str, Callable[..., Batches]] = {
    kind.name: kind for kind in (PairBatches, SequenceBatches, SideBySideBatches)
}


class Steps(Protocol):
    """Takes the steps of epochs.

    Attributes:
        n_examples: Things predicted in an epoch.
    """

    n_examples: int

    def __len__(self) -> int:
        """Steps an epoch."""
        ...

    def epoch(self, number: int, done: int) -> Iterator[torch.Tensor | float]:
        """Take the steps of epoch `number` after the first `done`; the mean loss of each, before it."""
        ...


class Way(Protocol):
    """How torch takes a step."""

    def phases(self, batch: Any) -> Iterator[torch.Tensor]:
        """Take a step, stopping after its forward pass, its backward pass and its update, each time at the loss."""
        ...


class Autograd:
    """By automatic differentiation of the model's `loss`."""

    def __init__(self, model: Any, optimiser: torch.optim.Optimizer) -> None:
        self._model, self._optimiser = model, optimiser

    def phases(self, batch: Any) -> Iterator[torch.Tensor]:
        """Take a step."""
        self._optimiser.zero_grad(set_to_none=True)
        loss: torch.Tensor = self._model.loss(batch)
        yield loss
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        yield loss
        self._optimiser.step()
        yield loss


class ByRows:
    """By the gradient that the model works out, moving the rows that a batch touches: the same step in less time.

    Args:
        model: Works it out.
        optimiser: Row-wise Adagrad, or plain steps.
        lr: Step size.
    """

    def __init__(self, model: DerivesRows, optimiser: torch.optim.Optimizer, lr: float) -> None:
        self._model, self._lr = model, lr
        self._adagrad = optimiser if isinstance(optimiser, RowwiseAdagrad) else None

    def phases(self, batch: Any) -> Iterator[torch.Tensor]:
        """Take a step."""
        loss, gradients = self._model.derive(batch)
        yield loss
        found = gradients(1.0 if self._adagrad else -self._lr)
        yield loss
        for parameter, rows, values in found:
            if self._adagrad:
                self._adagrad.move_rows(parameter, rows, values)
            else:
                parameter.detach().index_add_(0, rows, values)
        yield loss


class TorchSteps:
    """A step a batch, on any device."""

    def __init__(self, way: Way, batches: Batches) -> None:
        self._way, self._batches = way, batches
        self.n_examples = batches.n_examples

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int, done: int) -> Iterator[torch.Tensor]:
        """Take the steps of an epoch."""
        for batch in islice(self._batches.epoch(number), done, None):
            yield train_step(self._way, batch)


class KernelSteps:
    """A step an event. What is counted, shown and saved after is a stretch of events: some hundredths of a second."""

    def __init__(
        self, model: HasKernel, optimiser: torch.optim.Optimizer, lr: float, batches: Batches
    ) -> None:
        self._model, self._optimiser, self._lr, self._batches = model, optimiser, lr, batches
        self.n_examples = batches.n_examples

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int, done: int) -> Iterator[float]:
        """Take the steps of an epoch."""
        sums = self._optimiser.sums() if isinstance(self._optimiser, RowwiseAdagrad) else None
        for pairs in islice(self._batches.epoch(number), done, None):
            yield self._model.descend(pairs, self._lr, sums)


def train_step(way: Way, batch: Any) -> torch.Tensor:
    """One step of gradient descent; the loss of the batch before it, not yet waited for."""
    *_, loss = way.phases(batch)
    return loss.detach()


def choose_engine(
    wanted: EngineName,
    model: Any,
    device: Device,
    optimiser: OptimiserName,
    batch_size: int | None,
) -> Literal["kernel", "torch"]:
    """The kernel where it can do what is wanted, unless torch is.

    Raises:
        ConfigError: The kernel is wanted and cannot do it.
    """
    hinders = ""
    if not isinstance(model, HasKernel):
        hinders = f"{type(model).__name__} has none"
    elif device.is_accelerator:
        hinders = f"it runs on CPUs, not on {device.name}"
    elif optimiser == "adam":
        hinders = "it knows sgd and rowwise_adagrad"
    elif batch_size not in (None, 1):
        hinders = f"it takes a step for each event (trainer.batch_size={batch_size})"
    if wanted == "kernel" and hinders:
        raise ConfigError(
            f"trainer.engine=kernel: {hinders}", "leave it out, or trainer.engine=torch"
        )
    return "torch" if hinders or wanted == "torch" else "kernel"


def in_words(engine: Literal["kernel", "torch"], batch_size: int | None) -> str:
    """`compiled kernel (numba 0.68.1), a step an event`: what took the steps."""
    if engine == "kernel":
        return f"{compiled_kernel()}, a step an event"
    return f"torch, a step each {batch_size or TORCH_BATCH:,}"


def compiled_kernel() -> str:
    """`compiled kernel (numba 0.68.1)`: numba is not imported for it."""
    return f"compiled kernel (numba {version('numba')})"


def torch_batches(
    model: Any, train: Interactions, device: Device, *, batch_size: int | None, seed: int
) -> Batches:
    """The batches that the model asks for."""
    return KINDS[model.batches](
        train, model, batch_size=batch_size or TORCH_BATCH, seed=seed, device=device.torch
    )


def kernel_batches(
    model: HasKernel, train: Interactions, device: Device, *, seed: int, progress: Progress
) -> Batches:
    """Stretches of events for the model's kernel, which is compiled or loaded here."""
    from recsys_cli.models.kernels.compiling import warm
    from recsys_cli.models.kernels.negatives import CompiledUnseenItems

    nothing = torch.zeros((0, model.negatives), dtype=torch.long)
    no_codes = nothing.flatten()
    none = Pairs(no_codes, no_codes, nothing)
    warm(progress, CompiledUnseenItems.compile, lambda: model.descend(none, 0.0, None))
    return PairBatches(
        train,
        model,
        batch_size=model.events_at_once,
        seed=seed,
        device=device.torch,
        unseen=CompiledUnseenItems,
    )

"""The two ways to learn: at once, or by gradient descent with validation after each epoch.

Neither knows how validation is measured or where numbers are written: both come in as functions.

Between two steps a training can be saved, and gone on with so that it ends with the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import nn

from recsys_cli.data.batches import Batches
from recsys_cli.data.interactions import Interactions
from recsys_cli.devices import Device, Loss, PrecisionName
from recsys_cli.errors import ConfigError, DivergedError
from recsys_cli.models.contract import DerivesRows, SolvesByKernel
from recsys_cli.progress import Bar, Progress
from recsys_cli.seeds import isolated
from recsys_cli.training.checkpoint import Checkpoints
from recsys_cli.training.early_stopping import Direction, EarlyStopping
from recsys_cli.training.interruption import deferred
from recsys_cli.training.keeper import Keeper
from recsys_cli.training.optimisers import OptimiserName, make_optimiser
from recsys_cli.training.state import History, TrainingState
from recsys_cli.training.steps import (
    BY_ROWS,
    Autograd,
    ByRows,
    EngineName,
    KernelSteps,
    Steps,
    TorchSteps,
    Way,
    choose_engine,
    compiled_kernel,
    in_words,
    kernel_batches,
    torch_batches,
)

Validate = Callable[[], Mapping[str, float]]
Report = Callable[[int, Mapping[str, float]], None]
CHECK_EVERY_STEPS = 50


class GivenUp(Exception):  # noqa: N818  # it is no error
    """Raised by a `Report`: the numbers so far are such that the training is not worth going on with."""


@dataclass(frozen=True, kw_only=True)
class ClosedFormTrainer:
    """For models that learn in one go: there is nothing to set."""

    def engine_for(self, model: Any, device: Device) -> str:
        """What does the work, in words.

        Raises:
            ConfigError: A kernel is wanted that cannot do what is wanted.
        """
        kernel = isinstance(model, SolvesByKernel) and model.uses_kernel(device.torch)
        return compiled_kernel() if kernel else "one go"

    def fit(
        self,
        model: Any,
        train: Interactions,
        *,
        device: Device,
        primary: str,
        validate: Validate,
        report: Report,
        progress: Progress,
        better: Direction = "higher",
        checkpoints: Checkpoints | None = None,
    ) -> History:
        """Solve; validation is measured once, by the caller, and there is nothing to go on from."""
        if isinstance(model, SolvesByKernel) and model.uses_kernel(device.torch):
            from recsys_cli.models.kernels.compiling import warm

            warm(progress, model.load_kernel)
        start = time.perf_counter()
        with progress.bar(f"fit {type(model).__name__}", 1, "step") as bar:
            model.fit(train)
            device.synchronize()
            bar.advance()
        return History(epoch_seconds=[time.perf_counter() - start], examples=len(train))


@dataclass(frozen=True, kw_only=True)
class GradientTrainer:
    """Epochs of steps; after each epoch validation decides which weights are kept and when to stop.

    Args:
        epochs: Most epochs.
        batch_size: Events (or positions of sequences) a step; None = 1 for a compiled kernel, 2048 for torch.
        engine: `kernel`: the model's compiled kernel, an event a step, on a CPU; `torch`; `auto`: the kernel where
            it can do what is wanted.
        optimiser: `rowwise_adagrad`, `adam` or `sgd`.
        lr: Step size.
        validate_every: Epochs between validations.
        patience: Validations without a better value after which to stop.
        checkpoint_seconds: Least seconds between checkpoints; 0 = one at the end of each epoch.
        checkpoint_every_steps: One after so many steps too; None = no.
        seed: From which order, negatives and dropout are derived.
        precision: Of matrix products in steps by torch; `bf16` by autocast.
        compile: Whether torch compiles the steps.
    """

    epochs: Annotated[int, Ge(1), Le(100_000)]
    batch_size: Annotated[int, Ge(1), Le(10_000_000)] | None
    engine: EngineName
    optimiser: OptimiserName
    lr: Annotated[float, Gt(0), Le(100)]
    validate_every: Annotated[int, Ge(1), Le(100_000)]
    patience: Annotated[int, Ge(1), Le(100_000)]
    checkpoint_seconds: Annotated[float, Ge(0), Le(86_400)]
    checkpoint_every_steps: Annotated[int, Ge(1), Le(1_000_000_000)] | None
    seed: int
    precision: PrecisionName = "fp32"  # as in runs of versions that had no such setting
    compile: bool = False

    def batches(self, model: Any, train: Interactions, device: Device) -> Batches:
        """The batches that the model asks for, for steps by torch."""
        return torch_batches(model, train, device, batch_size=self.batch_size, seed=self.seed)

    def engine_for(self, model: Any, device: Device) -> str:
        """What takes the steps, in words.

        Raises:
            ConfigError: A kernel is wanted that cannot do what is wanted.
        """
        how = in_words(self._engine(model, device), self.batch_size)
        return ", ".join([how, *self._unusual()])

    def _unusual(self) -> list[str]:
        return [
            *([] if self.precision == "fp32" else [f"{self.precision} by autocast"]),
            *(["compiled by torch"] if self.compile else []),
        ]

    def uses_kernel(self, model: Any, device: Device) -> bool:
        """Whether the model's compiled kernel takes the steps.

        Raises:
            ConfigError: It is wanted and cannot do what is wanted.
        """
        return self._engine(model, device) == "kernel"

    def _engine(self, model: Any, device: Device) -> Literal["kernel", "torch"]:
        wanted = self.engine
        if self._unusual():
            if wanted == "kernel":
                raise ConfigError(
                    "trainer.engine=kernel: trainer.precision and trainer.compile are torch's",
                    "leave them out, or trainer.engine=torch",
                )
            wanted = "torch"
        return choose_engine(wanted, model, device, self.optimiser, self.batch_size)

    def loss_of(self, model: Any, device: Device) -> Loss:
        """The model's loss in the precision that is wanted, compiled if that is wanted."""
        return Loss(model, device, self.precision, compiled=self.compile)

    def way(self, model: Any, optimiser: torch.optim.Optimizer, device: Device) -> Way:
        """How torch takes the steps: row by row where model and optimiser can, in fp32 and not compiled."""
        by_rows = isinstance(model, DerivesRows) and self.optimiser in BY_ROWS
        if by_rows and not self._unusual():
            return ByRows(model, optimiser, self.lr)
        return Autograd(self.loss_of(model, device), optimiser)

    def steps(
        self,
        model: Any,
        optimiser: torch.optim.Optimizer,
        train: Interactions,
        device: Device,
        progress: Progress,
    ) -> Steps:
        """What takes the steps of this model's epochs."""
        if self._engine(model, device) == "torch":
            way = self.way(model, optimiser, device)
            return TorchSteps(way, self.batches(model, train, device))
        batches = kernel_batches(model, train, device, seed=self.seed, progress=progress)
        return KernelSteps(model, optimiser, self.lr, batches)

    def fit(
        self,
        model: Any,
        train: Interactions,
        *,
        device: Device,
        primary: str,
        validate: Validate,
        report: Report,
        progress: Progress,
        better: Direction = "higher",
        checkpoints: Checkpoints | None = None,
    ) -> History:
        """Train, and leave the model with the weights of its best validated epoch.

        Args:
            model: A `Trained` model, on the device.
            train: Events to learn from.
            device: Where the model is.
            primary: The validation metric that chooses the epoch.
            validate: Measures the model on the validation part.
            report: Is told each epoch's numbers.
            progress: Shows the steps.
            better: Which direction of `primary` is an improvement.
            checkpoints: Where the state is kept; what is there already is gone on with. None = nowhere.

        Raises:
            DivergedError: The loss is no longer a finite number.
            CheckpointError: What is kept is corrupt, or not of this model.
            ResourceError: A checkpoint cannot be written.
        """
        optimiser = make_optimiser(self.optimiser, model.parameters(), self.lr)
        steps = self.steps(model, optimiser, train, device, progress)
        state = TrainingState(
            model,
            optimiser,
            EarlyStopping(self.patience, better),
            History(examples=steps.n_examples),
            loss_sum=torch.zeros((), device=device.torch),
        )
        title = f"train {type(model).__name__}"
        with (
            deferred() as stop,
            progress.bar(title, self.epochs * len(steps), "step") as bar,
        ):
            keeper = Keeper(
                state,
                checkpoints,
                stop,
                progress,
                steps=len(steps),
                epochs=self.epochs,
                lr=self.lr,
                every_steps=self.checkpoint_every_steps,
                every_seconds=self.checkpoint_seconds,
            )
            keeper.resume()
            bar.advance((state.epoch - 1) * len(steps) + state.step)
            while state.epoch <= self.epochs and not state.stopping.exhausted:
                loss = self._epoch(state, steps, device, bar, keeper)
                numbers = {"train_loss": loss, "epoch_seconds": state.seconds}
                if state.epoch % self.validate_every == 0 or state.epoch == self.epochs:
                    metrics, seconds = keeper.interruptible(validate)
                    numbers |= {f"valid_{name}": value for name, value in metrics.items()}
                    state.stopping.update(state.epoch, metrics[primary], model)
                    state.history.validation_seconds.append(seconds)
                    shown = {primary: metrics[primary]}
                    bar.advance(0, epoch=state.epoch, loss=loss, **shown)
                report(state.epoch, numbers)
                state.history.epoch_seconds.append(state.seconds)
                state.history.epochs = state.epoch
                state.end_epoch()
                keeper.after_epoch()
        return self._end(state, primary, progress)

    def _end(self, state: TrainingState, primary: str, progress: Progress) -> History:
        """Leave the best weights, and say why there are no more epochs."""
        stopping, history = state.stopping, state.history
        if stopping.exhausted:
            progress.note(
                f"stopped after epoch {history.epochs}: {primary} has not passed "
                f"{stopping.best_value:.4f} (epoch {stopping.best_epoch}) for {self.patience} validations"
            )
        stopping.restore(state.model)
        history.best_epoch = stopping.best_epoch
        return history

    def _epoch(
        self,
        state: TrainingState,
        steps: Steps,
        device: Device,
        bar: Bar,
        keeper: Keeper,
    ) -> float:
        """What is left of an epoch; the mean loss of all its steps."""
        state.model.train()
        every = (
            CHECK_EVERY_STEPS if device.is_accelerator else 1
        )  # reading a number waits for the device
        started = time.perf_counter() - state.seconds
        with isolated(self.seed, "epoch", state.epoch):
            if state.step:
                state.resume_generators()
            for loss in steps.epoch(state.epoch, done=state.step):
                state.loss_sum += loss
                state.step += 1
                due = keeper.due()
                if due or state.step % every == 0 or state.step == len(steps):
                    self._check_finite(state, len(steps))
                bar.advance()
                if due:
                    state.seconds = time.perf_counter() - started
                    keeper.save()
        device.synchronize()
        state.seconds = time.perf_counter() - started
        return float(state.loss_sum) / len(steps)

    def _check_finite(self, state: TrainingState, steps: int) -> None:
        if not math.isfinite(float(state.loss_sum)):
            raise DivergedError(
                f"the loss of {type(state.model).__name__} is not finite at epoch {state.epoch}, "
                f"step {state.step} of {steps} (trainer.lr={self.lr:g})",
                "lower trainer.lr",
            )


def n_parameters(model: nn.Module) -> int:
    """Numbers that the model learns."""
    return sum(tensor.numel() for tensor in model.state_dict().values())

"""The two ways to learn: at once, or by gradient descent with validation after each epoch.

Neither knows how validation is measured or where numbers are written: both come in as functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from torch import nn

from recsys_cli.data.batches import KINDS, Batches
from recsys_cli.data.interactions import Interactions
from recsys_cli.devices import Device
from recsys_cli.errors import DivergedError
from recsys_cli.progress import Bar, Progress
from recsys_cli.seeds import isolated
from recsys_cli.training.early_stopping import EarlyStopping
from recsys_cli.training.optimisers import OptimiserName, make_optimiser

Validate = Callable[[], Mapping[str, float]]
Report = Callable[[int, Mapping[str, float]], None]
CHECK_EVERY_STEPS = 50


@dataclass
class History:
    """What happened in training.

    Attributes:
        epochs: Epochs that ran.
        best_epoch: The epoch whose weights the model has now; 0 for a closed form.
        epoch_seconds: Time of each epoch without validation.
        validation_seconds: Time of each validation.
        examples: Things predicted in an epoch.
    """

    epochs: int = 0
    best_epoch: int = 0
    epoch_seconds: list[float] = field(default_factory=list)
    validation_seconds: list[float] = field(default_factory=list)
    examples: int = 0


@dataclass(frozen=True, kw_only=True)
class ClosedFormTrainer:
    """For models that learn in one go: there is nothing to set."""

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
    ) -> History:
        """Solve; validation is measured once, by the caller."""
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
        batch_size: Events (or positions of sequences) a step.
        optimiser: `rowwise_adagrad`, `adam` or `sgd`.
        lr: Step size.
        validate_every: Epochs between validations.
        patience: Validations without a better value after which to stop.
        seed: From which order, negatives and dropout are derived.
    """

    epochs: Annotated[int, Ge(1), Le(100_000)]
    batch_size: Annotated[int, Ge(1), Le(10_000_000)]
    optimiser: OptimiserName
    lr: Annotated[float, Gt(0), Le(100)]
    validate_every: Annotated[int, Ge(1), Le(100_000)]
    patience: Annotated[int, Ge(1), Le(100_000)]
    seed: int

    def batches(self, model: Any, train: Interactions, device: Device) -> Batches:
        """The batches that the model asks for."""
        return KINDS[model.batches](
            train, model, batch_size=self.batch_size, seed=self.seed, device=device.torch
        )

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
    ) -> History:
        """Train, and leave the model with the weights of its best validated epoch.

        Args:
            model: A `Trained` model, on the device.
            train: Events to learn from.
            device: Where the model is.
            primary: The validation metric that chooses the epoch; greater is better.
            validate: Measures the model on the validation part.
            report: Is told each epoch's numbers.
            progress: Shows the steps.

        Raises:
            DivergedError: The loss is no longer a finite number.
        """
        batches = self.batches(model, train, device)
        optimiser = make_optimiser(self.optimiser, model.parameters(), self.lr)
        stopping = EarlyStopping(self.patience)
        history = History(examples=batches.n_examples)
        title = f"train {type(model).__name__}"
        with progress.bar(title, self.epochs * len(batches), "step") as bar:
            for epoch in range(1, self.epochs + 1):
                start = time.perf_counter()
                loss = self._epoch(model, optimiser, batches, epoch, device, bar)
                history.epoch_seconds.append(time.perf_counter() - start)
                history.epochs = epoch
                numbers = {"train_loss": loss, "epoch_seconds": history.epoch_seconds[-1]}
                stop = False
                if epoch % self.validate_every == 0 or epoch == self.epochs:
                    start = time.perf_counter()
                    metrics = validate()
                    history.validation_seconds.append(time.perf_counter() - start)
                    numbers |= {f"valid_{name}": value for name, value in metrics.items()}
                    stop = stopping.update(epoch, metrics[primary], model)
                    bar.advance(0, epoch=epoch, loss=loss, **{primary: metrics[primary]})
                report(epoch, numbers)
                if stop:
                    progress.note(
                        f"stopped after epoch {epoch}: {primary} has not passed "
                        f"{stopping.best_value:.4f} (epoch {stopping.best_epoch}) for {self.patience} validations"
                    )
                    break
        stopping.restore(model)
        history.best_epoch = stopping.best_epoch
        return history

    def _epoch(
        self,
        model: Any,
        optimiser: torch.optim.Optimizer,
        batches: Batches,
        epoch: int,
        device: Device,
        bar: Bar,
    ) -> float:
        """One pass; the mean loss of its steps."""
        model.train()
        total = torch.zeros((), device=device.torch)
        every = (
            CHECK_EVERY_STEPS if device.is_accelerator else 1
        )  # reading a number waits for the device
        steps = len(batches)
        with isolated(self.seed, "epoch", epoch):
            for step, batch in enumerate(batches.epoch(epoch), start=1):
                total += train_step(model, optimiser, batch)
                if (step % every == 0 or step == steps) and not torch.isfinite(total):
                    raise DivergedError(
                        f"the loss of {type(model).__name__} is not finite at epoch {epoch}, step {step} "
                        f"of {steps} (trainer.lr={self.lr:g})",
                        "lower trainer.lr",
                    )
                bar.advance()
        device.synchronize()
        return float(total) / steps


def train_step(model: Any, optimiser: torch.optim.Optimizer, batch: Any) -> torch.Tensor:
    """One step of gradient descent; the loss of the batch before it, not yet waited for."""
    optimiser.zero_grad(set_to_none=True)
    loss: torch.Tensor = model.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    optimiser.step()
    return loss.detach()


def n_parameters(model: nn.Module) -> int:
    """Numbers that the model learns."""
    return sum(tensor.numel() for tensor in model.state_dict().values())

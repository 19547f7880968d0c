"""All that the rest of a training depends on, between two of its steps.

The order of an epoch and its negatives follow from the seed and the epoch's number, so neither a permutation nor
their generators are kept: to go on in the middle of an epoch, its first batches are drawn again and left out. What
the model itself draws (dropout) comes from torch's global generators, whose state is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from recsys_cli.errors import CheckpointError
from recsys_cli.training.checkpoint import Saved
from recsys_cli.training.early_stopping import EarlyStopping
from recsys_cli.training.optimisers import state_shape

MODEL, BEST, OPTIMISER, LOSS, GENERATOR = "model.", "best.", "optimiser.", "loss_sum", "generator."


@dataclass
class History:
    """What happened in training.

    Attributes:
        epochs: Epochs that ran.
        best_epoch: The epoch whose weights the model has now; 0 for a closed form.
        epoch_seconds: Time of each epoch without validation.
        validation_seconds: Time of each validation.
        examples: Things predicted in an epoch.
        earlier_seconds: Time that processes before this one spent on what was kept of their work.
    """

    epochs: int = 0
    best_epoch: int = 0
    epoch_seconds: list[float] = field(default_factory=list)
    validation_seconds: list[float] = field(default_factory=list)
    examples: int = 0
    earlier_seconds: float = 0.0


@dataclass
class TrainingState:
    """A training between two steps.

    Attributes:
        model: On the device, with its weights.
        optimiser: Over the weights of the model.
        stopping: The best epoch so far.
        history: What happened so far.
        loss_sum: Sum of the losses of the steps of this epoch.
        epoch: The epoch that is under way, from 1.
        step: Steps of it that are done.
        seconds: Time that they took.
    """

    model: Any
    optimiser: torch.optim.Optimizer
    stopping: EarlyStopping
    history: History
    loss_sum: Tensor
    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    generators: dict[str, Tensor] = field(default_factory=dict)

    def end_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.loss_sum = torch.zeros_like(self.loss_sum)

    def pack(self) -> Saved:
        """The state as tensors and JSON values. Draws no random number."""
        tensors = {LOSS: self.loss_sum}
        tensors |= {MODEL + name: tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {BEST + name: tensor for name, tensor in self.stopping.best_weights.items()}
        for place, of_parameter in self.optimiser.state_dict()["state"].items():
            tensors |= {f"{OPTIMISER}{place}.{name}": held for name, held in of_parameter.items()}
        tensors |= {GENERATOR + name: held for name, held in self._generators().items()}
        values = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "stopping": self.stopping.state(),
            "history": asdict(self.history),
        }
        return Saved({name: tensor.detach() for name, tensor in tensors.items()}, values)

    def resume(self, saved: Saved, *, epochs: int, steps: int) -> None:
        """Take the state that `pack` gave. All of it is compared with the model before any of it is used.

        Args:
            saved: The state.
            epochs: How many there may be.
            steps: Of an epoch.

        Raises:
            CheckpointError: It is not of this model and trainer.
        """
        own = self.model.state_dict()
        weights, best = _under(saved, MODEL), _under(saved, BEST)
        _check_fits(weights, own)
        if best:
            _check_fits(best, own)
        optimiser = self._optimiser_state(_under(saved, OPTIMISER))
        self._resume_values(saved, best)
        if self.epoch > epochs + 1 or self.step > steps:
            raise _other(f"epoch {self.epoch} of {epochs}, step {self.step} of {steps}")
        self.model.load_state_dict(weights)
        self.optimiser.load_state_dict(optimiser)
        self.generators = _under(saved, GENERATOR)

    def resume_generators(self) -> None:
        """Let torch's global generators go on where they were; to be called where the epoch's are active."""
        self._set_generators(self.generators)

    def _resume_values(self, saved: Saved, best: dict[str, Tensor]) -> None:
        values, device = saved.values, self.loss_sum.device
        try:
            _check_fits({LOSS: saved.tensors[LOSS]}, {LOSS: self.loss_sum})
            history = History(**values["history"])
            epoch, step = values["epoch"], values["step"]
            self.stopping.resume(
                values["stopping"], {name: tensor.to(device) for name, tensor in best.items()}
            )
            self.seconds = float(values["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise _other(f"no {error}" if isinstance(error, KeyError) else str(error)) from error
        whole = isinstance(epoch, int) and isinstance(step, int) and epoch >= 1 and step >= 0
        if not whole or bool(best) != bool(self.stopping.best_epoch):
            raise _other(f"epoch {epoch}, step {step}, best epoch {self.stopping.best_epoch}")
        if not history.epochs == len(history.epoch_seconds) == epoch - 1:
            raise _other(f"a history of {history.epochs} epochs in epoch {epoch}")
        self.epoch, self.step = epoch, step
        self.loss_sum = saved.tensors[LOSS].to(device)
        vars(self.history).update(vars(history))
        spent = (*history.epoch_seconds, *history.validation_seconds, self.seconds)
        self.history.earlier_seconds = sum(spent)

    def _optimiser_state(self, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """The optimiser's own form of its state, each tensor as large as the weights that it belongs to."""
        trained = [held for group in self.optimiser.param_groups for held in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            place, _, what = name.partition(".")
            if not place.isdecimal() or int(place) >= len(trained):
                raise _other(f"the optimiser has no {name}")
            expected = state_shape(what, trained[int(place)])
            if expected is None or tensor.shape != expected:
                raise _other(f"the optimiser's {name} has shape {list(tensor.shape)}")
            state.setdefault(int(place), {})[what] = tensor
        return {"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]}

    def _generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if (device := self.loss_sum.device).type != "cpu":
            states[device.type] = torch.get_device_module(device).get_rng_state(device)
        return states

    def _set_generators(self, states: Mapping[str, Tensor]) -> None:
        device = self.loss_sum.device
        try:
            torch.set_rng_state(states["cpu"])
            if device.type != "cpu":
                torch.get_device_module(device).set_rng_state(states[device.type], device)
        except (KeyError, RuntimeError, TypeError) as error:
            raise _other(f"the state of a random generator: {error}") from error


def _under(saved: Saved, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in saved.tensors.items()
        if name.startswith(prefix)
    }


def _check_fits(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    if odd := sorted(found.keys() ^ own.keys()):
        raise _other(f"{odd[0]} is not both in it and in the model")
    for name, tensor in found.items():
        if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
            raise _other(
                f"{name} is {tensor.dtype} {list(tensor.shape)}, the model has "
                f"{own[name].dtype} {list(own[name].shape)}"
            )


def _other(what: str) -> CheckpointError:
    return CheckpointError(f"the checkpoint is not of this model and trainer: {what}", "train anew")

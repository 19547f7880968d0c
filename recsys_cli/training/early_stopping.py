"""Keep the best epoch by validation, and stop when it has not been beaten for a while."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn

Direction = Literal["higher", "lower"]


class EarlyStopping:
    """Remembers the weights of the best epoch.

    Attributes:
        best_epoch: The epoch with the best value so far, from 1; 0 before the first.
        best_value: Its value.
        best_weights: Its parameters and buffers.

    Args:
        patience: Validations without a better value after which to stop.
        better: Which direction is an improvement.
    """

    def __init__(self, patience: int, better: Direction = "higher") -> None:
        self.best_epoch = 0
        self.best_value = -math.inf if better == "higher" else math.inf
        self.best_weights: dict[str, Tensor] = {}
        self._is_better = operator.gt if better == "higher" else operator.lt
        self._patience = patience
        self._without_gain = 0

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self._without_gain >= self._patience

    def update(self, epoch: int, value: float, model: nn.Module) -> bool:
        """Note an epoch's value; true when it is time to stop. Of equal values the earlier epoch stays."""
        if self._is_better(value, self.best_value):
            self.best_epoch, self.best_value = epoch, value
            self._without_gain = 0
            self.best_weights = {
                name: tensor.detach().clone() for name, tensor in model.state_dict().items()
            }
        else:
            self._without_gain += 1
        return self.exhausted

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights of the best epoch."""
        if self.best_weights:
            model.load_state_dict(self.best_weights)

    def state(self) -> dict[str, Any]:
        """All but the weights, as JSON has it; no value before the first validation."""
        return {
            "best_epoch": self.best_epoch,
            "best_value": self.best_value if self.best_epoch else None,
            "without_gain": self._without_gain,
        }

    def resume(self, state: Mapping[str, Any], best_weights: dict[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: It is not what `state` gives.
        """
        self.best_epoch = int(state["best_epoch"])
        if self.best_epoch:
            self.best_value = float(state["best_value"])
            if not math.isfinite(self.best_value):
                raise ValueError(f"the best value is {self.best_value}")
        self._without_gain = int(state["without_gain"])
        self.best_weights = best_weights

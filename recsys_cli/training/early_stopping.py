"""Keep the best epoch by validation, and stop when it has not been beaten for a while."""

from __future__ import annotations

import math

from torch import Tensor, nn


class EarlyStopping:
    """Remembers the weights of the best epoch.

    Attributes:
        best_epoch: The epoch with the highest value so far, from 1; 0 before the first.
        best_value: Its value.

    Args:
        patience: Validations without a better value after which to stop.
    """

    def __init__(self, patience: int) -> None:
        self.best_epoch = 0
        self.best_value = -math.inf
        self._patience = patience
        self._without_gain = 0
        self._weights: dict[str, Tensor] = {}

    def update(self, epoch: int, value: float, model: nn.Module) -> bool:
        """Note an epoch's value; true when it is time to stop. Of equal values the earlier epoch stays."""
        if value > self.best_value:
            self.best_epoch, self.best_value = epoch, value
            self._without_gain = 0
            self._weights = {
                name: tensor.detach().clone() for name, tensor in model.state_dict().items()
            }
            return False
        self._without_gain += 1
        return self._without_gain >= self._patience

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights of the best epoch."""
        if self._weights:
            model.load_state_dict(self._weights)

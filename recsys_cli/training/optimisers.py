"""Optimisers for tables of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

OptimiserName = Literal["rowwise_adagrad", "adam", "sgd"]
EPSILON = 1e-10
FEW_ROWS = 2  # a table of at most so many rows for each that is to move is gone over as a whole: that is quicker


def _spare_the_compiler() -> None:
    """Let an optimiser be made without torch's compiler, whose import takes a second and more.

    torch imports it at the first call of these methods, only to mark them as not to be compiled, and remembers that
    under this name; they are never compiled here. Should a later torch not ask for the mark, this does nothing.
    """
    optimiser = torch.optim.Optimizer
    for marked in (
        optimiser.add_param_group,
        optimiser.zero_grad,
        optimiser.state_dict,
        optimiser.load_state_dict,
    ):
        plain: Any = getattr(marked, "__wrapped__", marked)
        plain.__dynamo_disable = plain


_spare_the_compiler()


class RowwiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one step size a row of a matrix, so that rare users and items keep long steps.

    The accumulator of a row is the sum over steps of the mean squared gradient of the row; a vector or number
    is one row. Duchi et al. 2011, per row as in large embedding systems.

    Args:
        params: Parameters to train.
        lr: Step size at the first step of a row.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"])

    @torch.no_grad()
    def move_rows(
        self,
        parameter: Tensor,
        rows: Int64[Tensor, " places"],
        values: Float[Tensor, "places columns"],
    ) -> None:
        """Move some rows, as `step` does where no other has a gradient.

        Args:
            parameter: A matrix.
            rows: Places in it; the values of a row that is there several times are one gradient.
            values: A row for each place.
        """
        lr, n_rows = self.param_groups[0]["lr"], parameter.shape[0]
        if n_rows <= FEW_ROWS * rows.shape[0]:
            whole = torch.zeros_like(parameter).index_add_(0, rows, values)
            self._move(parameter, whole, lr)
            return
        total = self._sum(parameter)
        gradients = torch.zeros_like(values).index_add_(0, _first_places(rows, n_rows), values)
        total.index_add_(0, rows, gradients.square().mean(1))
        scale = lr / (total.index_select(0, rows).sqrt_() + EPSILON)
        parameter.index_add_(0, rows, gradients.mul_(scale.neg_()[:, None]))

    def sums(self) -> dict[Tensor, Tensor]:
        """The accumulator of each parameter: not a copy."""
        return {
            parameter: self._sum(parameter)
            for group in self.param_groups
            for parameter in group["params"]
        }

    def _sum(self, parameter: Tensor) -> Tensor:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            rows = parameter.shape[0] if parameter.dim() > 1 else 1
            state["sum"] = torch.zeros(rows, dtype=parameter.dtype, device=parameter.device)
        return state["sum"]

    def _move(self, parameter: Tensor, gradient: Tensor, lr: float) -> None:
        total = self._sum(parameter)
        flat = gradient.reshape(len(total), -1)
        total += flat.square().mean(1)
        scale = lr / (total.sqrt() + EPSILON)
        parameter.sub_((flat * scale[:, None]).view_as(parameter))


def _first_places(rows: Int64[Tensor, " places"], n_rows: int) -> Int64[Tensor, " places"]:
    """For each place one at which the same row is: the same one for all of them."""
    place = torch.empty(n_rows, dtype=torch.long, device=rows.device)
    place.index_copy_(0, rows, torch.arange(rows.shape[0], device=rows.device))
    return place.index_select(0, rows)


def make_optimiser(
    name: OptimiserName, parameters: Iterable[nn.Parameter], lr: float
) -> torch.optim.Optimizer:
    """The optimiser of this name over the parameters that are to be trained."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if name == "rowwise_adagrad":
        return RowwiseAdagrad(trained, lr)
    if name == "adam":
        return torch.optim.Adam(trained, lr=lr)
    return torch.optim.SGD(trained, lr=lr)


def state_shape(name: str, parameter: Tensor) -> tuple[int, ...] | None:
    """The shape of what an optimiser remembers of a parameter under this name; None where it is no such name."""
    rows = parameter.shape[0] if parameter.dim() > 1 else 1
    shapes: dict[str, tuple[int, ...]] = {
        "sum": (rows,),
        "step": (),
        "exp_avg": tuple(parameter.shape),
        "exp_avg_sq": tuple(parameter.shape),
    }
    return shapes.get(name)

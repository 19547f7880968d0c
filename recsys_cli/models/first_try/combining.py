"""Two ways to make one number of several vectors: their product, and a net over their concatenation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recsys_cli.models.layers import take_rows

Cells = Int64[Tensor, "cells modes"]


def product_of(
    tables: Sequence[Float[Tensor, "rows dim"]], cells: Cells
) -> Float[Tensor, " cells"]:
    """Sum over k of the products of the vectors' k-th numbers: for two vectors their dot product.

    Args:
        tables: The vectors of each mode.
        cells: A row of each table.
    """
    total = take_rows(tables[0], cells[:, 0])
    for mode in range(1, len(tables)):
        total = total * take_rows(tables[mode], cells[:, mode])
    return total.sum(1)


class DotProduct(nn.Module):
    """The product of learnt vectors, plus a number.

    Args:
        tables: The vectors of each mode, as they begin.
    """

    def __init__(self, tables: Sequence[Float[Tensor, "rows dim"]]) -> None:
        super().__init__()
        self.tables = nn.ParameterList(tables)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, cells: Cells) -> Float[Tensor, " cells"]:
        """A number for each cell."""
        return product_of(list(self.tables), cells) + self.bias


class HiddenLayer(nn.Module):
    """A net of one hidden layer of ReLU over the concatenated vectors.

    Its first layer is a sum over the modes, and is computed once a vector instead of once a cell.

    Args:
        tables: The vectors of each mode, as they begin.
        hidden: Units of the layer.
        learn_tables: Whether the vectors are learnt too, or stay as they are.
        drawing: Draws the first weights.
    """

    def __init__(
        self,
        tables: Sequence[Float[Tensor, "rows dim"]],
        *,
        hidden: int,
        learn_tables: bool,
        drawing: torch.Generator,
    ) -> None:
        super().__init__()
        inputs = sum(table.shape[1] for table in tables)
        self.tables = nn.ParameterList(
            nn.Parameter(table, requires_grad=learn_tables) for table in tables
        )
        self.first = nn.ParameterList(
            torch.randn(table.shape[1], hidden, generator=drawing) * (2 / inputs) ** 0.5
            for table in tables
        )
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.last = nn.Parameter(torch.randn(hidden, generator=drawing) / hidden**0.5)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, cells: Cells) -> Float[Tensor, " cells"]:
        """A number for each cell."""
        inner: Tensor = self.first_bias
        for mode, (table, weight) in enumerate(zip(self.tables, self.first, strict=True)):
            inner = inner + take_rows(table @ weight, cells[:, mode])
        return torch.relu(inner) @ self.last + self.bias

"""What a model is: something that says how much each item deserves to be next.

A model is a `torch.nn.Module` that has, beside its keyword-only constructor, `reads`, `history_length`, `score`,
and either `fit` (closed form) or `batches` and `loss` (trained by gradient descent). Its parameters and buffers
are all that it learns: they are what is saved, hashed and moved to a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor, device

from recsys_cli.data.batches import Pairs
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.queries import Queries


class Model(Protocol):
    """Scores the whole catalogue for each query.

    Attributes:
        reads: The fields of `Queries` that `score` uses.
        history_length: How many latest events of the history it uses; None = all.
    """

    reads: ClassVar[frozenset[str]]
    history_length: int | None

    def score(self, queries: Queries) -> Float[Tensor, "batch items"]:
        """How much each item deserves to be next; greater is better, any real number."""
        ...


@runtime_checkable
class ClosedForm(Protocol):
    """Learns in one go."""

    def fit(self, interactions: Interactions) -> None:
        """Set the buffers from the training events."""
        ...


@runtime_checkable
class TellsMemory(Protocol):
    """Knows what it needs while it learns, so that a run which cannot fit is refused before it begins."""

    def working_bytes(self, train: Interactions, batch_size: int) -> int:
        """Bytes at the highest moment beside parameters, buffers, their gradients and the optimiser's memory.

        Asked of a model whose tensors may have no values.

        Args:
            train: What it is to learn from.
            batch_size: Events (or positions of sequences) a step; 0 where it learns in one go.
        """
        ...


@runtime_checkable
class TellsWork(Protocol):
    """A closed form whose work does not grow as the events do."""

    def work(self, train: Interactions) -> float:
        """How much `fit` has to do, in a unit of its own: of use is how it grows from one data set to another."""
        ...


@runtime_checkable
class SolvesByKernel(Protocol):
    """A closed form that a compiled kernel can work out too, on a CPU."""

    def uses_kernel(self, device: device) -> bool:
        """Whether it does on this device.

        Raises:
            ConfigError: It is wanted where it cannot.
        """
        ...

    def load_kernel(self) -> None:
        """Have the kernel ready."""
        ...


@runtime_checkable
class Predicts(Protocol):
    """Knows the value of an event (a rating, the chance of a click) besides its place in a ranking."""

    def predict(
        self, users: Int64[Tensor, " pairs"], items: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The value of each pair, in the unit of `Interactions.values`; user -1 is one that training never saw."""
        ...


@runtime_checkable
class Trained(Protocol):
    """Learns by gradient descent.

    Attributes:
        batches: The kind of batch that `loss` reads, a name in `recsys_cli.training.steps.KINDS`.
    """

    batches: ClassVar[str]

    def loss(self, batch: Any) -> Float[Tensor, ""]:
        """The mean loss of a batch, differentiable."""
        ...


@runtime_checkable
class HasKernel(Protocol):
    """A `Trained` model of pairs whose steps a compiled kernel can take too, on a CPU and an event at a time.

    Attributes:
        negatives: Unseen items drawn for each event.
    """

    negatives: int

    @property
    def events_at_once(self) -> int:
        """Events whose steps take some hundredths of a second."""
        ...

    def descend(
        self, pairs: Pairs, lr: float, sums: Mapping[Tensor, Float[Tensor, " rows"]] | None
    ) -> float:
        """Take a step for each event, in order and in place; the mean loss, each event's before its step.

        Args:
            pairs: Events, on the CPU.
            lr: Step size.
            sums: What row-wise Adagrad holds of each parameter that is trained, moved on too; None for plain steps.
        """
        ...


class RowGradients(NamedTuple):
    """How a loss changes with some rows of a parameter, and no others.

    Attributes:
        parameter: A matrix.
        rows: Places in it; the values of a row that is there several times add up.
        values: A row for each place.
    """

    parameter: Tensor
    rows: Int64[Tensor, " places"]
    values: Float[Tensor, "places columns"]


@runtime_checkable
class DerivesRows(Protocol):
    """A `Trained` model that works out its loss's gradient by itself, for the rows that a batch touches alone.

    Automatic differentiation gives all rows of a table, most of them zero, and goes over them again in every step.
    """

    def derive(self, batch: Any) -> tuple[Float[Tensor, ""], Callable[[float], list[RowGradients]]]:
        """The `loss` of a batch, and what gives its gradient, multiplied by a number, without moving anything."""
        ...


@runtime_checkable
class SaysHow(Protocol):
    """Chooses a way by the size of the data, and says which."""

    def in_words(self) -> str:
        """One line for the log."""
        ...

"""How much arithmetic and how much memory traffic a piece of work asks for, counted operation by operation.

Arithmetic is that of matrix products, two operations a multiply-add: what torch's own counter counts. Traffic is what
every operation reads and writes if none of it were fused with the next: an operation that gathers rows reads the
rows and not the table. Views cost nothing. What happens outside of torch is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

GATHERS = ("index_select", "embedding", "index", "gather", "take")
SCATTERS = ("index_add", "index_add_", "index_put", "index_put_", "scatter_add", "scatter_add_",
            "embedding_dense_backward", "index_fill_")  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What a piece of work asks for.

    Attributes:
        flops: Floating-point operations of matrix products.
        bytes: Read and written.
    """

    flops: int
    bytes: int


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is done inside the block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._flops = self._bytes = 0

    @property
    def work(self) -> Work:
        """What was counted up to now."""
        return Work(self._flops, self._bytes)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do the operation, and count it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self._flops += int(count(*args, **kwargs, out_val=result))
        self._bytes += _traffic(func, list(_tensors((args, kwargs))), list(_tensors(result)))
        return result


def _tensors(tree: Any) -> Iterable[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _traffic(func: Any, given: list[Tensor], made: list[Tensor]) -> int:
    """Bytes that one operation reads and writes."""
    name = func.overloadpacket.__name__
    if func.is_view or name in ("detach", "empty"):
        return 0
    if name in GATHERS:
        return 2 * _size(made) + _size(given[1:])
    if name in SCATTERS:  # each row is read, added to, and written
        return 2 * _size(given[1:])
    return _size(given) + _size(made)


def _size(tensors: Iterable[Tensor]) -> int:
    """Bytes of memory behind them; a row that is repeated by a stride of 0 is there once."""
    return sum(min(each.nbytes, each.untyped_storage().nbytes()) for each in tensors)

"""One seed, many independent named streams of random numbers; the global generators stay untouched.

A stream is named by what it is for (`generator(seed, "order", epoch)`), so adding one draw in one place
changes nothing in another, and an epoch can be repeated without its predecessors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream with these names, the same on every machine and Python."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A torch generator (on the CPU) for the named stream."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the named stream."""
    import numpy as np

    return np.random.default_rng(derive(seed, *names))


@contextmanager
def isolated(seed: int, *names: str | int) -> Iterator[None]:
    """Seed torch's global generators inside the block, and put them back as they were after it.

    For code that can only draw from the global generator: layer initialisation and dropout.
    """
    import torch

    accelerator = torch.accelerator.current_accelerator()
    with torch.random.fork_rng(device_type=accelerator.type if accelerator else "cuda"):
        torch.manual_seed(derive(seed, *names))  # noqa: TID251
        yield

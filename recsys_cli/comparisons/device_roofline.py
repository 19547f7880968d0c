"""What a device can do at best, measured in the same run, and how near to it a piece of work comes.

The roof is the fastest of what was seen here: matrix products, copies of sizes from the first-level cache to main
memory, gathers of rows, and the work itself, should it outrun them. Nothing is ever above 100 % of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_work import Work
from recsys_cli.devices import Device

BoundName = Literal["compute", "memory", "overhead"]
SQUARES = (256, 512, 1024)
ACCELERATOR_SQUARES = (1024, 4096)
COPIES = (1 << 16, 1 << 18, 1 << 20, 1 << 23, 1 << 26)  # bytes: from cache to main memory
TABLE_ROWS, ROW_NUMBERS, GATHERED = 1 << 17, 64, 1 << 14  # 32 MiB in rows of 256 bytes
SECONDS_A_PROBE = 0.1
LEAST_SHARE = 0.25  # of both roofs: below it neither holds the work up


@dataclass(frozen=True)
class Roof:
    """The best that was seen of a setup.

    Attributes:
        flops_per_second: Of matrix products, in its precision.
        bytes_per_second: Read and written, wherever the fastest copy lay.
        main_memory_bytes_per_second: Of the largest copy.
        gathered_bytes_per_second: Of rows of 256 bytes in random order, read and written.
    """

    flops_per_second: float
    bytes_per_second: float
    main_memory_bytes_per_second: float
    gathered_bytes_per_second: float

    def raised_by(self, work: Iterable[tuple[Work, float]]) -> Roof:
        """The roof where none of this work is above it: what was achieved can be achieved."""
        done = list(work)
        return Roof(
            max([self.flops_per_second, *(each.flops / seconds for each, seconds in done)]),
            max([self.bytes_per_second, *(each.bytes / seconds for each, seconds in done)]),
            self.main_memory_bytes_per_second,
            self.gathered_bytes_per_second,
        )


@dataclass(frozen=True)
class Bound:
    """What holds a piece of work up.

    Attributes:
        name: `compute` or `memory`, the roof that it is nearer to; `overhead` where it is far from both: launches,
            Python, index arithmetic, functions like exp.
        compute_share: Of the roof's operations a second, 0 to 1.
        memory_share: Of the roof's bytes a second, 0 to 1.
        flops_per_second: Achieved.
        bytes_per_second: Achieved.
    """

    name: BoundName
    compute_share: float
    memory_share: float
    flops_per_second: float
    bytes_per_second: float


def bound(work: Work, seconds: float, roof: Roof) -> Bound:
    """What holds this work up, which took so long under this roof."""
    flops, moved = work.flops / seconds, work.bytes / seconds
    compute, memory = flops / roof.flops_per_second, moved / roof.bytes_per_second
    name: BoundName = "compute" if compute >= memory else "memory"
    if max(compute, memory) < LEAST_SHARE:
        name = "overhead"
    return Bound(name, compute, memory, flops, moved)


def measure_roof(setup: Setup) -> Roof:
    """Probe a device in the precision of a setup.

    Raises:
        DeviceError: It does not have the precision.
    """
    device = setup.device
    with device.active(), torch.no_grad():
        squares = ACCELERATOR_SQUARES if device.is_accelerator else SQUARES
        with device.autocast(setup.precision):
            products = [2 * n**3 / _best(device, _product(device, n)) for n in squares]
        copies = [2 * size / _best(device, _copy(device, size)) for size in COPIES]
        moved = 2 * 4 * ROW_NUMBERS * GATHERED
        gathered = moved / _best(device, _gather(device))
    return Roof(max(products), max([*copies, gathered]), copies[-1], gathered)


def _product(device: Device, n: int) -> Callable[[], Tensor]:
    square = torch.ones(n, n, device=device.torch)
    return lambda: square @ square


def _copy(device: Device, size: int) -> Callable[[], Tensor]:
    source = torch.ones(size // 4, device=device.torch)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _gather(device: Device) -> Callable[[], Tensor]:
    table = torch.ones(TABLE_ROWS, ROW_NUMBERS, device=device.torch)
    # A fixed walk that jumps about: no generator is needed for it.
    rows = (torch.arange(GATHERED, device=device.torch) * 48_271) % TABLE_ROWS
    return lambda: table.index_select(0, rows)


def _best(device: Device, work: Callable[[], Tensor]) -> float:
    """Seconds of the fastest of several goes, each long enough for the clock."""
    begin = device.now()
    work()
    goes = max(1, int(1e-3 / max(device.now() - begin, 1e-9)))
    fastest, end = float("inf"), device.now() + SECONDS_A_PROBE
    while True:
        start = device.now()
        for _ in range(goes):
            work()
        stop = device.now()
        fastest = min(fastest, max(stop - start, 1e-9) / goes)
        if stop >= end:
            return fastest

"""Where the arithmetic runs: the only file that knows accelerators, threads, precision, compiling, clocks, memory, energy.

Built on `torch.accelerator`, so that an accelerator that torch learns about later needs no change elsewhere.
"""

from __future__ import annotations

import gc
import os
import platform
import re
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal, get_args

import torch
from annotated_types import Ge, Le
from threadpoolctl import threadpool_limits

from recsys_cli import __version__
from recsys_cli.allocator import keep_freed_memory
from recsys_cli.errors import DeviceError, nearest
from recsys_cli.resources import OUT_OF_MEMORY

PrecisionName = Literal["fp32", "bf16"]
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)
COMPILERS = ("torch._dynamo", "torch._inductor")
POWER_METERS = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Device:
    """A device that is there, and how many CPU threads serve it.

    Attributes:
        name: As a person writes it: `cpu`, `cuda`, `cuda:1`, `mps`.
        threads: CPU threads that torch may use.
    """

    name: str
    threads: int

    @property
    def torch(self) -> torch.device:
        """What torch calls it."""
        return torch.device(self.name)

    @property
    def is_accelerator(self) -> bool:
        """Whether work is queued on it and must be waited for."""
        return self.torch.type != "cpu"

    @property
    def label(self) -> str:
        """`cpu:2` for a CPU with its threads, the name otherwise."""
        return self.name if self.is_accelerator else f"cpu:{self.threads}"

    @property
    def hardware(self) -> str:
        """The maker's name of the processor."""
        if self.torch.type == "cuda":
            return torch.cuda.get_device_name(self.torch)
        return processor()

    def synchronize(self) -> None:
        """Wait until all queued work is done; a clock read before that measures nothing."""
        if self.is_accelerator:
            torch.accelerator.synchronize(self.torch)

    def now(self) -> float:
        """Seconds on a clock that never goes back, read once all queued work is done."""
        self.synchronize()
        return perf_counter()

    def mark(self) -> Mark:
        """A moment in this device's work, which `seconds_between` understands; nothing is waited for where it need not be.

        An accelerator notes the moment itself when it gets there; a CPU has done its work by now.
        """
        if not self.is_accelerator or self.torch.type == "mps":
            return self.now()
        event = torch.Event(self.torch, enable_timing=True)
        event.record()
        return event

    def seconds_between(self, start: Mark, end: Mark) -> float:
        """Seconds of this device's time from one mark to another."""
        if isinstance(start, float) and isinstance(end, float):
            return end - start
        assert isinstance(start, torch.Event)
        assert isinstance(end, torch.Event)
        self.synchronize()
        return float(start.elapsed_time(end)) / 1e3

    @contextmanager
    def autocast(self, precision: PrecisionName) -> Iterator[None]:
        """Compute in this precision inside the block: `bf16` = matrix products in it, sums and weights in fp32.

        Raises:
            DeviceError: The device does not have it.
        """
        if precision == "fp32":
            yield
            return
        self._refuse_emulation()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns, and goes on in fp32
            try:
                casting = torch.autocast(self.torch.type, dtype=torch.bfloat16)
            except (RuntimeError, UserWarning) as error:
                raise DeviceError(f"not supported: {precision} on {self.name}", "fp32") from error
        with casting:
            yield

    def _refuse_emulation(self) -> None:
        if self.torch.type == "cuda" and not torch.cuda.is_bf16_supported(
            including_emulation=False
        ):
            raise DeviceError(f"not supported: {self.hardware} has no bf16", "fp32")

    def energy_joules(self) -> float | None:
        """Energy used up to now, by a meter that only goes up; None where the machine does not report it.

        Of a CPU that of its packages (RAPL, whoever uses them), of an NVIDIA GPU that of the board (NVML).
        """
        if self.torch.type == "cpu":
            return _packages_joules()
        return _board_joules(self.torch) if self.torch.type == "cuda" else None

    def release_memory(self) -> None:
        """Give back what nothing refers to any more: the next measurement starts from the same ground."""
        gc.collect()
        if self.is_accelerator:
            torch.accelerator.empty_cache()

    def reset_peak_memory(self) -> None:
        """Start to measure peak memory anew."""
        if not self.is_accelerator:
            _reset_resident_peak()
        elif self.torch.type != "mps":
            torch.accelerator.reset_peak_memory_stats(self.torch)

    def peak_memory_bytes(self) -> int:
        """Most memory held since the reset: tensors on an accelerator, this whole process on a CPU.

        On a CPU where the system cannot reset the mark it is the peak since the process began; on an Apple GPU,
        which keeps no mark, it is what is held now.
        """
        if not self.is_accelerator:
            return _resident_peak()
        if self.torch.type == "mps":
            return torch.mps.driver_allocated_memory()
        return torch.accelerator.max_memory_allocated(self.torch)

    def failure(self, error: Exception) -> str | None:
        """Why this device could not do its work; None where the error is not the device's.

        Args:
            error: What was raised while it worked.
        """
        text = next(iter(str(error).splitlines()), "") or type(error).__name__
        if isinstance(error, DeviceError):
            return text
        if isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(text)
        ):
            return f"out of memory: {text}"
        # What an accelerator lacks (an operation, a precision) shows as one of these two.
        if self.is_accelerator and isinstance(error, RuntimeError | TypeError):
            return f"not supported: {text}"
        return None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Use this device's threads inside the block, in torch and in NumPy's BLAS; the former number after it."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with threadpool_limits(self.threads, user_api="blas"):
                yield
        finally:
            torch.set_num_threads(before)


Mark = float | torch.Event


class Loss:
    """The loss of a model as it is wanted: in a precision, compiled or not.

    Compiling happens at the first step, and again where a batch has another shape.

    Args:
        model: Has `loss`.
        device: Where it is.
        precision: Of matrix products.
        compiled: Whether torch compiles it.
    """

    def __init__(
        self, model: Any, device: Device, precision: PrecisionName, *, compiled: bool
    ) -> None:
        self._device, self._precision = device, precision
        self._of: Callable[[Any], torch.Tensor] = (
            torch.compile(model.loss) if compiled else model.loss
        )

    def loss(self, batch: Any) -> torch.Tensor:
        """The mean loss of a batch, differentiable.

        Raises:
            DeviceError: The device lacks the precision, or torch cannot compile the model for it.
        """
        with self._device.autocast(self._precision):
            try:
                return self._of(batch)
            except Exception as error:
                if not type(error).__module__.startswith(COMPILERS):
                    raise
                why = next(iter(str(error).splitlines()), type(error).__name__)
                raise DeviceError(f"cannot be compiled: {why}", "trainer.compile=false") from error


def open_device(*, name: str, threads: Annotated[int, Ge(1), Le(1024)] | None) -> Device:
    """The device of this name.

    Args:
        name: `auto` (an accelerator where there is one, else the CPU) or a name in `available()`.
        threads: CPU threads; None = as many as this process may use.

    Raises:
        DeviceError: There is no such device here.
    """
    keep_freed_memory()
    there = available()
    if name == "auto":
        name = there[1] if len(there) > 1 else "cpu"
    if name not in there:
        raise DeviceError(f"no device called {name!r} on this machine", nearest(name, there))
    return Device(name, threads if threads is not None else usable_cores())


def available() -> list[str]:
    """Names of the devices that are there, `cpu` first."""
    numbered = accelerators()
    return ["cpu", *dict.fromkeys(name.partition(":")[0] for name in numbered), *numbered]


def accelerators() -> list[str]:
    """Each accelerator that torch shows, once: `cuda:0`, `cuda:1`."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return []
    return [f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count())]


def every_device() -> list[Device]:
    """The CPU with one thread and with all, where these differ, and each accelerator."""
    cores, numbered = usable_cores(), accelerators()
    names = [name.partition(":")[0] for name in numbered] if len(numbered) == 1 else numbered
    cpus = [Device("cpu", threads) for threads in sorted({1, cores})]
    return [*cpus, *(Device(name, cores) for name in names)]


def parse_devices(labels: str) -> list[Device]:
    """The devices of a list such as `cpu:1,cpu:2,cuda`; after `cpu:` stands the number of threads.

    Raises:
        DeviceError: One of them is not there, or is not named as devices are.
    """
    return [_parse_device(label.strip()) for label in labels.split(",")]


def _parse_device(label: str) -> Device:
    cores, names = usable_cores(), available()
    if label in names:
        return Device(label, cores)
    threads = re.fullmatch(r"cpu:([1-9]\d{0,3})", label)
    if threads and int(threads[1]) <= cores:
        return Device("cpu", int(threads[1]))
    counted = "cpu:1" if cores == 1 else f"cpu:1 to cpu:{cores}"
    there_are = ", ".join(["cpu", counted, *names[1:]])
    raise DeviceError(f"no device called {label!r} on this machine", f"there are: {there_are}")


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def busy() -> float | None:
    """Processes that wanted a core in the last minute, this one among them; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def processor() -> str:
    """The name of the CPU."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def environment(device: Device) -> dict[str, str]:
    """What a number depends on beside the settings: versions (that of this program first) and hardware."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "device": device.label,
        "device_hardware": device.hardware,
        "threads": str(device.threads),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def host_peak_bytes() -> int:
    """Most memory that this process held, since a CPU's peak was reset or since it began."""
    return _resident_peak()


def _packages_joules() -> float | None:
    """The sum of the meters of all CPU packages."""
    meters = sorted(POWER_METERS.glob("intel-rapl:?/energy_uj"))
    if not meters or not all(os.access(meter, os.R_OK) for meter in meters):
        return None
    return sum(int(meter.read_text()) for meter in meters) / 1e6


def _board_joules(device: torch.device) -> float | None:
    """The meter of an NVIDIA board, where its Python library is installed."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
    except pynvml.NVMLError:
        return None


def _reset_resident_peak() -> None:
    """Ask Linux to forget this process's peak; elsewhere the peak stays that of the whole process."""
    clear = Path("/proc/self/clear_refs")
    if os.access(clear, os.W_OK):
        clear.write_text("5")


def _resident_peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

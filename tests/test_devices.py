import mmap
import warnings
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from threadpoolctl import threadpool_info

from recsys_cli import config, devices
from recsys_cli.devices import Device, Loss, every_device, open_device, parse_devices
from recsys_cli.errors import DeviceError

MIB = 1 << 20


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 4)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: ["cuda:0", "cuda:1"])


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: [])


@pytest.mark.usefixtures("four_cores", "no_gpu")
def test_every_device_is_one_thread_and_all() -> None:
    assert [device.label for device in every_device()] == ["cpu:1", "cpu:4"]


@pytest.mark.usefixtures("no_gpu")
def test_one_core_is_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 1)
    assert every_device() == [Device("cpu", 1)]


@pytest.mark.usefixtures("four_cores", "two_gpus")
def test_every_accelerator_is_a_device() -> None:
    assert [device.label for device in every_device()] == ["cpu:1", "cpu:4", "cuda:0", "cuda:1"]


@pytest.mark.usefixtures("four_cores")
def test_a_single_accelerator_needs_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: ["mps:0"])
    assert [device.label for device in every_device()] == ["cpu:1", "cpu:4", "mps"]


@pytest.mark.usefixtures("four_cores", "two_gpus")
def test_names_and_threads_are_read() -> None:
    assert parse_devices("cpu:1, cpu:3,cpu,cuda,cuda:1") == [
        Device("cpu", 1),
        Device("cpu", 3),
        Device("cpu", 4),
        Device("cuda", 4),
        Device("cuda:1", 4),
    ]


@pytest.mark.usefixtures("four_cores", "two_gpus")
@pytest.mark.parametrize("label", ["cpu:5", "cpu:0", "cpu:-1", "cpu:x", "mps", "cuda:2", "", "gpu"])
def test_a_device_that_is_not_there_is_refused_with_the_list(label: str) -> None:
    with pytest.raises(DeviceError) as caught:
        parse_devices(f"cpu:1,{label}")
    assert repr(label) in caught.value.line
    assert "there are: cpu, cpu:1 to cpu:4, cuda, cuda:0, cuda:1" in caught.value.line
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("four_cores", "two_gpus")
def test_auto_is_the_accelerator() -> None:
    assert open_device(name="auto", threads=None) == Device("cuda", 4)


@pytest.mark.usefixtures("four_cores", "no_gpu")
def test_auto_is_the_cpu_where_there_is_no_accelerator() -> None:
    assert open_device(name="auto", threads=None) == Device("cpu", 4)
    assert open_device(name="cpu", threads=2) == Device("cpu", 2)


@pytest.mark.usefixtures("no_gpu")
def test_opening_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="no device called 'cuda'"):
        open_device(name="cuda", threads=None)


def test_threads_are_set_and_put_back() -> None:
    before = torch.get_num_threads()
    with Device("cpu", before + 1).active():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_threads_are_those_of_the_blas_that_numpy_uses_too() -> None:
    def of_blas() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    before = of_blas()
    for threads in (1, 2):
        with Device("cpu", threads).active():
            assert of_blas() == {threads}
    assert of_blas() == before


@pytest.mark.parametrize("group", ["auto", "cpu"])
def test_one_thread_is_the_default_whatever_the_machine(group: str) -> None:
    assert config.load([f"device={group}"]).tree["device"]["threads"] == 1


def test_threads_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), Device("cpu", before + 1).active():
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


def test_the_clock_is_read_after_the_device_was_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: order.append(device))
    monkeypatch.setattr(devices, "perf_counter", lambda: order.append("clock") or 7.0)
    assert Device("cuda:1", 1).now() == 7.0
    assert order == [torch.device("cuda:1"), "clock"]


def test_peak_memory_of_a_cpu_rises_with_what_is_held() -> None:
    device = Device("cpu", 1)
    device.reset_peak_memory()
    before = device.peak_memory_bytes()
    held = torch.ones(16 * MIB)
    del held
    assert device.peak_memory_bytes() - before > 48 * MIB


@pytest.mark.skipif(not devices.Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_peak_memory_of_a_cpu_is_measured_anew() -> None:
    device = Device("cpu", 1)
    with mmap.mmap(-1, 256 * MIB) as held:  # given back at once, whatever the allocator keeps
        held.write(b"x" * 256 * MIB)
        high = device.peak_memory_bytes()
    device.release_memory()
    device.reset_peak_memory()
    assert device.peak_memory_bytes() < high - 128 * MIB


def _raised_by_torch() -> Exception:
    try:
        torch.empty(1 << 60, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError("that much memory was there")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), _raised_by_torch(), torch.OutOfMemoryError("CUDA out of memory. Tried ...")],
)
@pytest.mark.parametrize("device", [Device("cpu", 1), Device("cuda", 1)])
def test_out_of_memory_is_the_devices_failure(device: Device, error: Exception) -> None:
    assert (device.failure(error) or "").startswith("out of memory: ")


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("no kernel for 'aten::gru'\nlong story"),
        TypeError("Cannot convert a MPS Tensor to float64 dtype"),
    ],
)
def test_what_an_accelerator_cannot_do_is_its_failure_and_on_a_cpu_a_bug(error: Exception) -> None:
    first = str(error).splitlines()[0]
    assert Device("mps", 1).failure(error) == f"not supported: {first}"
    assert Device("cpu", 1).failure(error) is None


def test_a_bug_is_no_devices_failure() -> None:
    assert Device("cuda", 1).failure(KeyError("x")) is None


class Product:
    """Its loss is a matrix product."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.weights = torch.rand(8, 8, generator=generator, requires_grad=True)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch @ self.weights).float().mean()


def test_bf16_is_of_the_product_and_the_gradient_stays_as_the_weights_are() -> None:
    cpu, batch, losses = Device("cpu", 1), torch.rand(4, 8), {}
    for precision in devices.PRECISIONS:
        model = Product()
        loss = Loss(model, cpu, precision, compiled=False).loss(batch)
        loss.backward()
        losses[precision] = float(loss.detach())
        assert model.weights.grad is not None
        assert model.weights.grad.dtype == torch.float32
    assert losses["fp32"] == float(Product().loss(batch).detach())
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=1e-2)


def test_a_precision_that_torch_would_leave_out_in_silence_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def warns(*_: object, **__: object) -> None:
        warnings.warn("the target dtype is not supported. Disabling autocast.", stacklevel=1)

    monkeypatch.setattr(torch, "autocast", warns)
    with (
        pytest.raises(DeviceError, match="not supported: bf16 on cpu"),
        Device("cpu", 1).autocast("bf16"),
    ):
        pass


def test_a_gpu_that_would_only_imitate_bf16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    with (
        pytest.raises(DeviceError, match="Old GPU has no bf16") as caught,
        Device("cuda", 1).autocast("bf16"),
    ):
        pass
    assert Device("cuda", 1).failure(caught.value) == "not supported: Old GPU has no bf16"


def test_what_torch_cannot_compile_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed(RuntimeError):
        __module__ = "torch._inductor.exc"

    def compiled(function: object) -> object:
        def fail(batch: object) -> None:
            raise Failed("no C++ compiler\nand much more")

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    with pytest.raises(DeviceError) as caught:
        Loss(Product(), Device("cpu", 1), "fp32", compiled=True).loss(torch.ones(1, 8))
    assert caught.value.line == "cannot be compiled: no C++ compiler; trainer.compile=false"


def test_an_error_of_the_model_is_not_taken_for_one_of_the_compiler() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Loss(Product(), Device("cpu", 1), "fp32", compiled=False).loss(torch.ones(1, 3))


def test_marks_of_a_cpu_are_moments_and_those_of_an_accelerator_its_own_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([5.0, 7.5])
    monkeypatch.setattr(devices, "perf_counter", lambda: next(moments))
    cpu = Device("cpu", 1)
    assert cpu.seconds_between(cpu.mark(), cpu.mark()) == 2.5

    class Event:
        recorded: ClassVar[list[object]] = []

        def __init__(self, device: torch.device, enable_timing: bool) -> None:
            assert enable_timing
            self.device = device

        def record(self) -> None:
            self.recorded.append(self.device)

        def elapsed_time(self, end: object) -> float:
            return 1500.0

    waited: list[object] = []
    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    gpu = Device("cuda", 1)
    start, end = gpu.mark(), gpu.mark()
    assert waited == []
    assert gpu.seconds_between(start, end) == 1.5
    assert waited == Event.recorded[:1] == [torch.device("cuda")]


def test_energy_is_that_of_all_packages_or_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "POWER_METERS", tmp_path)
    assert Device("cpu", 1).energy_joules() is None
    for package, microjoules in enumerate(("1500000", "500000")):
        meter = tmp_path / f"intel-rapl:{package}" / "energy_uj"
        meter.parent.mkdir()
        meter.write_text(microjoules)
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of the first package
    assert Device("cpu", 1).energy_joules() == 2.0
    assert Device("mps", 1).energy_joules() is None


@pytest.mark.gpu
def test_an_accelerator_computes_waits_and_counts() -> None:
    if not devices.accelerators():
        pytest.skip("no accelerator here")
    device = every_device()[-1]
    device.reset_peak_memory()
    start = device.now()
    square = torch.ones(1024, 1024, device=device.torch)
    total = (square @ square).sum()
    assert device.now() > start
    assert float(total) == 1024**3
    assert device.peak_memory_bytes() >= 8 * MIB
    device.release_memory()

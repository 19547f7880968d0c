from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.comparisons import device_roofline
from recsys_cli.comparisons.device_roofline import LEAST_SHARE, Roof, bound, measure_roof
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_work import Work
from recsys_cli.devices import Device
from recsys_cli.errors import DeviceError

ROOF = Roof(1000.0, 100.0, 50.0, 40.0)
amounts = st.builds(Work, st.integers(0, 10**15), st.integers(0, 10**15))


@given(st.lists(st.tuples(amounts, st.floats(1e-9, 1e3)), min_size=1))
def test_nothing_is_above_100_percent(done: list[tuple[Work, float]]) -> None:
    roof = ROOF.raised_by(done)
    for work, seconds in done:
        held = bound(work, seconds, roof)
        assert 0 <= held.compute_share <= 1
        assert 0 <= held.memory_share <= 1
        assert (held.name == "overhead") == (
            max(held.compute_share, held.memory_share) < LEAST_SHARE
        )


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (Work(900, 50), "compute"),
        (Work(500, 60), "memory"),
        (Work(240, 20), "overhead"),
        (Work(0, 25), "memory"),
    ],
)
def test_work_is_held_up_by_the_roof_that_it_is_nearer_to(work: Work, name: str) -> None:
    assert bound(work, 1.0, ROOF).name == name


def test_a_roof_that_is_not_outrun_stays() -> None:
    assert ROOF.raised_by([(Work(10, 10), 1.0)]) == ROOF
    assert ROOF.raised_by([(Work(10, 10), 0.001)]).flops_per_second == 10_000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_roofline, "SECONDS_A_PROBE", 0.0)
    monkeypatch.setattr(device_roofline, "SQUARES", (64, 128))
    monkeypatch.setattr(device_roofline, "COPIES", (1 << 14, 1 << 20))


@pytest.mark.usefixtures("small")
def test_the_machine_is_probed() -> None:
    roof = measure_roof(Setup(Device("cpu", 1)))
    assert roof.flops_per_second > 1e6
    assert roof.bytes_per_second >= roof.main_memory_bytes_per_second > 1e6
    assert roof.bytes_per_second >= roof.gathered_bytes_per_second > 0


@pytest.mark.usefixtures("small")
def test_products_are_probed_in_the_precision_of_the_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(device: Device, precision: str) -> Any:
        asked.append(precision)
        raise DeviceError("not supported: bf16 on cpu")

    monkeypatch.setattr(Device, "autocast", refuse)
    with pytest.raises(DeviceError):
        measure_roof(Setup(Device("cpu", 1), "bf16"))
    assert asked == ["bf16"]

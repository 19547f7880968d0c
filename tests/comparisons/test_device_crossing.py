"""Where a device with a high cost a step and a low one an example overtakes another."""

import pytest
import torch

from recsys_cli import devices
from recsys_cli.comparisons import device_crossing
from recsys_cli.comparisons.device_crossing import Point, cross, first_win, grid
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_trials import Plan, Subject
from recsys_cli.models.first_try.mf import MF
from tests.comparisons.stand_ins import Clock, FakeAccelerator, mf_settings, subject

PLAN = Plan(warmup=1, steps=1, repeats=3, grid_seconds=1e6)


class Bar:
    steps = 0

    def advance(self, steps: int = 1, **shown: float) -> None:
        self.steps += steps


class Launched(MF):
    """A step costs a launch, and its examples' numbers what the device's speed makes of them."""

    def __init__(self, clock: Clock, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.clock = clock

    def loss(self, batch: object) -> torch.Tensor:
        device = self.clock.device
        assert device is not None
        launch = 0.0 if device.name == "cpu" else 500.0
        if device.name == "small" and self.users.shape[1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.clock.queue(launch * device.speed + len(batch) * self.users.shape[1])  # type: ignore[arg-type]
        return super().loss(batch)  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(device_crossing, "BATCHES", (8, 64))
    monkeypatch.setattr(device_crossing, "DIMS", (4, 16))
    clock = Clock()
    monkeypatch.setattr(devices, "perf_counter", clock.read)
    return clock


def launched(clock: Clock) -> Subject:
    def make(dim: int) -> Launched:
        return Launched(clock, **mf_settings() | {"rank": dim})

    whole = subject(make(4))
    return Subject("mf", whole.ready, make)


def measured(clock: Clock, *others: str) -> list[Point]:
    what, bar = launched(clock), Bar()
    named = [FakeAccelerator("cpu", 1, clock=clock), *(FakeAccelerator(o, 1, clock=clock, speed=10.0) for o in others)]  # fmt: skip
    points = grid(what)
    cross(what, points, [Setup(device) for device in named], PLAN, bar)
    assert bar.steps == 4
    return points


def test_the_smallest_batch_and_model_at_which_the_other_wins(clock: Clock) -> None:
    points = measured(clock, "gpu")
    assert [(point.batch_size, point.dim) for point in points] == [(8, 4), (8, 16), (64, 4), (64, 16)]  # fmt: skip
    by_size = {(point.batch_size, point.dim): point for point in points}
    assert by_size[8, 4].example_seconds["cpu"] == [4.0] * 3
    assert by_size[8, 4].example_seconds["gpu"] == pytest.approx([(500 + 3.2) / 8] * 3)
    assert by_size[64, 16].speed_up("gpu", "cpu") == pytest.approx(1024 / (500 + 102.4))
    won = first_win(points, "gpu", "cpu")
    assert won is not None
    assert (won.batch_size, won.dim) == (64, 16)
    assert first_win(points[:3], "gpu", "cpu") is None


def test_what_does_not_fit_is_a_reason_at_its_point(clock: Clock) -> None:
    points = {(point.batch_size, point.dim): point for point in measured(clock, "small")}
    assert points[8, 16].failures == {"small": "out of memory: CUDA out of memory."}
    assert points[8, 16].speed_up("small", "cpu") is None
    assert not points[8, 16].wins("small", "cpu")
    assert points[64, 4].failures == {}


def test_time_that_is_used_up_leaves_points_out(clock: Clock) -> None:
    what = launched(clock)
    points = grid(what)
    cross(what, points, [], Plan(warmup=1, steps=1, repeats=3, grid_seconds=0.0), Bar())
    assert all(not point.example_seconds for point in points)


def test_a_model_without_such_a_setting_is_tried_by_batch_alone(clock: Clock) -> None:
    points = grid(subject(Launched(clock, **mf_settings())))
    assert [(point.batch_size, point.dim) for point in points] == [(8, None), (64, None)]

import pytest

from recsys_cli.comparisons.device_findings import (
    LOSS_TOLERANCE,
    METRIC_TOLERANCE,
    Finding,
    Spread,
    conclude,
    find,
)
from recsys_cli.comparisons.device_trials import Cell, Learned, Sample
from recsys_cli.devices import Device

ONE, TWO = Device("cpu", 1), Device("cpu", 2)


def cell(
    device: Device,
    *step_seconds: float,
    loss: float = 2.0,
    metric: float = 0.1,
    weights: str = "aa",
    failure: str = "",
    repeats: tuple[str, ...] = (),
) -> Cell:
    samples = [
        Sample(
            step_seconds=seconds,
            loading_seconds=seconds / 4,
            evaluation_seconds=2 * seconds,
            peak_memory_bytes=1000 + turn,
            weights_sha256=repeats[turn] if repeats else weights,
        )
        for turn, seconds in enumerate(step_seconds)
    ]
    learned = Learned(
        loss=loss, metric=metric, weights_sha256=weights, examples_per_step=50, steps_per_epoch=10
    )
    return Cell(device, None if failure else learned, samples, failure)


def second(first: Cell, other: Cell) -> Finding:
    finding = find([first, other])[1]
    assert finding is not None
    return finding


def conclusion(*cells: Cell) -> str:
    return conclude("mf", cells, find(cells))


def test_spread_is_the_median_and_the_middle_half() -> None:
    assert Spread.of([5.0, 1.0, 2.0, 3.0, 4.0]) == Spread(median=3.0, iqr=2.0)


def test_numbers_follow_from_the_medians() -> None:
    finding = second(cell(ONE, 2.0, 2.0, 2.0), cell(TWO, 1.0, 9.0, 0.5))
    assert finding.step_seconds.median == 1.0
    assert finding.loading_seconds.median == 0.25
    assert finding.evaluation_seconds.median == 2.0
    assert finding.examples_per_second == 50
    assert finding.epoch_seconds == 10
    assert finding.peak_memory_bytes == 1002


def test_turns_are_compared_with_their_partners() -> None:
    against = second(cell(ONE, 2.0, 4.0, 8.0), cell(TWO, 1.0, 2.0, 2.0)).against_first
    assert against is not None
    assert against.speed_up == 2.0
    assert (against.speed_up_least, against.speed_up_greatest) == (2.0, 4.0)
    assert against.evaluation_speed_up == 2.0


@pytest.mark.parametrize(
    ("loss", "metric", "weights", "same"),
    [
        (2.0, 0.1, "aa", "same bits"),
        (2.0, 0.1, "bb", "within tolerance"),
        (2.0 * (1 + 0.9 * LOSS_TOLERANCE), 0.1, "bb", "within tolerance"),
        (2.0 * (1 - 1.1 * LOSS_TOLERANCE), 0.1, "bb", "differs"),
        (2.0, 0.1 + 0.9 * METRIC_TOLERANCE, "bb", "within tolerance"),
        (2.0, 0.1 - 1.1 * METRIC_TOLERANCE, "bb", "differs"),
        (2.0, 0.2, "aa", "differs"),
    ],
)
def test_whether_it_is_the_same_model(loss: float, metric: float, weights: str, same: str) -> None:
    other = cell(TWO, 1.0, 1.0, 1.0, loss=loss, metric=metric, weights=weights)
    against = second(cell(ONE, 1.0, 1.0, 1.0), other).against_first
    assert against is not None
    assert against.same == same


def test_repeats_with_other_bits_are_seen() -> None:
    assert find([cell(ONE, 1.0, 1.0, 1.0)])[0].repeats_equal  # type: ignore[union-attr]
    once = cell(ONE, 1.0, 1.0, 1.0, repeats=("aa", "aa", "ab"))
    assert not find([once])[0].repeats_equal  # type: ignore[union-attr]


def test_noise_is_seen() -> None:
    assert second(cell(ONE, 1.0, 1.0, 1.0), cell(TWO, 0.8, 1.0, 1.2)).noisy
    assert not second(cell(ONE, 1.0, 1.0, 1.0), cell(TWO, 0.98, 1.0, 1.02)).noisy


def test_a_failed_device_has_no_finding_and_a_failed_first_no_comparison() -> None:
    failed = cell(ONE, 1.0, failure="out of memory: x")
    findings = find([failed, cell(TWO, 1.0, 1.0, 1.0)])
    assert findings[0] is None
    assert findings[1] is not None
    assert findings[1].against_first is None


def test_conclusions() -> None:
    first = cell(ONE, 2.0, 2.1, 1.9)
    gpu = Device("cuda", 2)
    assert (
        conclusion(first, cell(TWO, 1.0, 1.0, 1.0)) == "mf: cpu:2 trains 2.0 times as fast as cpu:1"
    )
    assert conclusion(first, cell(TWO, 1.0, 1.0, 1.0), cell(gpu, 0.1, 0.1, 0.1)) == (
        "mf: cuda trains 20.0 times as fast as cpu:1"
    )
    assert conclusion(first, cell(TWO, 4.0, 4.0, 4.0)) == (
        "mf: cpu:1 is the fastest, cpu:2 trains 0.50 times as fast"
    )
    assert conclusion(first, cell(TWO, 1.9, 2.2, 1.9)) == (
        "mf: cpu:1 and cpu:2 do not differ by more than the repeats do"
    )
    assert conclusion(first, cell(TWO, 1.0, 1.0, 1.0, loss=3.0, weights="bb")) == (
        "mf: cpu:2 did not train the same model as cpu:1, so their speeds are not compared"
    )
    assert "nothing to compare" in conclusion(first)
    assert "nothing to compare" in conclusion(first, cell(TWO, failure="out of memory: x"))
    assert conclusion(cell(ONE, failure="out of memory: x"), first) == (
        "mf: cpu:1 failed, so there is nothing to compare with"
    )

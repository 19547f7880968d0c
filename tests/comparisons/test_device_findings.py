import pytest

from recsys_cli.comparisons.device_findings import (
    LOSS_TOLERANCE,
    METRIC_TOLERANCE,
    Finding,
    Spread,
    conclude,
    find,
    promise,
)
from recsys_cli.comparisons.device_roofline import Roof
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_trials import Cell, Learned, Sample
from recsys_cli.comparisons.device_work import Work
from recsys_cli.devices import Device

ONE, TWO = Device("cpu", 1), Device("cpu", 2)


WORK = {"forward": Work(flops=1000, bytes=10), "update": Work(flops=0, bytes=400)}


def cell(
    device: Device | Setup,
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
            phase_seconds={
                "data": 0.0,
                "forward": seconds / 4,
                "backward": 0.0,
                "update": seconds / 8,
            },
            evaluation_seconds=2 * seconds,
            request_seconds=[seconds / 100, seconds / 50],
            peak_memory_bytes=1000 + turn,
            host_peak_bytes=2000 + turn,
            step_joules=None if turn == 0 else 3.0 * turn,
            weights_sha256=repeats[turn] if repeats else weights,
        )
        for turn, seconds in enumerate(step_seconds)
    ]
    learned = Learned(
        loss=loss, metric=metric, weights_sha256=weights, examples_per_step=50, steps_per_epoch=10,
        work=WORK,
    )  # fmt: skip
    setup = device if isinstance(device, Setup) else Setup(device)
    return Cell(setup, None if failure else learned, samples, failure)


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
    assert finding.phase_seconds["forward"].median == 0.25
    assert finding.request_p50_seconds == pytest.approx(0.015)
    assert finding.request_p99_seconds == pytest.approx(0.1755)
    assert finding.step_joules == 4.5
    assert finding.host_peak_bytes == 2002
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


def test_what_holds_a_phase_up_is_the_roof_that_it_is_nearer_to() -> None:
    roof = Roof(8000.0, 4000.0, 1000.0, 1000.0)
    finding = find([cell(ONE, 1.0, 1.0, 1.0)], {"cpu:1": roof})[0]
    assert finding is not None
    forward, update = finding.bounds["forward"], finding.bounds["update"]
    assert (forward.name, forward.compute_share, forward.flops_per_second) == ("compute", 0.5, 4000)
    assert (update.name, update.memory_share) == ("memory", 0.8)
    far = find([cell(ONE, 10.0, 10.0, 10.0)], {"cpu:1": roof})[0]
    assert far is not None
    assert {held.name for held in far.bounds.values()} == {"overhead"}


def test_work_that_outruns_the_roof_is_the_roof() -> None:
    finding = find([cell(ONE, 1.0, 1.0, 1.0)], {"cpu:1": Roof(100.0, 100.0, 1.0, 1.0)})[0]
    assert finding is not None
    assert finding.bounds["forward"].compute_share == 1.0
    assert finding.bounds["update"].memory_share == 1.0


def test_shorter_mantissas_may_end_further_apart() -> None:
    first, loss = cell(ONE, 1.0, 1.0, 1.0), 2.0 * (1 + 5 * LOSS_TOLERANCE)
    shorter = cell(Setup(ONE, "bf16"), 1.0, 1.0, 1.0, loss=loss, weights="bb")
    assert not second(first, shorter).differs
    assert second(first, cell(TWO, 1.0, 1.0, 1.0, loss=loss, weights="bb")).differs


def test_a_kernel_takes_other_steps_and_is_not_in_the_conclusion() -> None:
    first = cell(ONE, 2.0, 2.0, 2.0)
    kernel = cell(Setup(ONE, engine="kernel"), 0.1, 0.1, 0.1, loss=9.0, weights="bb")
    finding = second(first, kernel)
    assert finding.against_first is not None
    assert finding.against_first.same == "other steps"
    assert "nothing to compare" in conclusion(first, kernel)


def test_what_the_same_seed_gives_is_promised_by_what_was_seen() -> None:
    first = cell(ONE, 1.0, 1.0, 1.0)
    assert promise(second(first, cell(TWO, 1.0, 1.0, 1.0))).endswith("bits of the first")
    assert promise(second(first, cell(TWO, 1.0, 1.0, 1.0, weights="bb"))) == "bit-for-bit on itself"
    loose = cell(TWO, 1.0, 1.0, 1.0, repeats=("a", "b", "a"))
    assert promise(second(first, loose)).startswith("statistical")


def test_of_one_that_was_cut_off_as_many_turns_are_compared_as_there_are() -> None:
    finding = second(cell(ONE, 2.0, 2.0, 8.0), cell(TWO, 1.0, 1.0))
    assert finding.against_first is not None
    assert finding.against_first.speed_up_greatest == 2.0
    assert find([cell(ONE, 1.0)])[0] is None
    assert "stopped before" in conclusion(cell(ONE, 1.0))

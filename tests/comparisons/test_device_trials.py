from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from recsys_cli import devices
from recsys_cli.comparisons.device_findings import find
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_trials import (
    Cell,
    Learned,
    Plan,
    Sample,
    Subject,
    learned,
    time_once,
)
from recsys_cli.comparisons.device_trials import measure as fill
from recsys_cli.data.context import ContextFacts
from recsys_cli.devices import Device, every_device
from recsys_cli.errors import DataError
from recsys_cli.models.first_try.mf import MF
from recsys_cli.models.framings.seq import Seq
from recsys_cli.outcome import weights_digest
from tests.comparisons import stand_ins
from tests.comparisons.stand_ins import (
    LOADING_SECONDS,
    SCORING_SECONDS,
    STEP_SECONDS,
    WATTS,
    Clock,
    FakeAccelerator,
    TimedMF,
    TimedTrainer,
    mf_settings,
    subject,
)

PLAN = Plan(warmup=2, steps=4, repeats=3, phase_steps=2, requests=3)


def measure(what: Subject, where: Sequence[Device | Setup], plan: Plan, bar: Bar) -> list[Cell]:
    cells = [Cell(each if isinstance(each, Setup) else Setup(each)) for each in where]
    fill(what, cells, plan, bar)
    return cells


def once(what: Subject, device: Device, plan: Plan) -> Sample:
    return time_once(what, Setup(device), plan)


def learn(what: Subject, device: Device, plan: Plan) -> Learned:
    return learned(what, Setup(device), plan)


class Bar:
    def __init__(self) -> None:
        self.steps = 0

    def advance(self, steps: int = 1, **shown: float) -> None:
        self.steps += steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(devices, "perf_counter", clock.read)
    return clock


def accelerator(clock: Clock, name: str = "fake", **what: float) -> FakeAccelerator:
    return FakeAccelerator(name, 1, clock=clock, **what)


def timed(clock: Clock) -> stand_ins.Subject:
    return subject(TimedMF(clock, **mf_settings()), TimedTrainer)


def test_the_warm_up_is_not_in_the_times_and_the_parts_are_apart(clock: Clock) -> None:
    sample = once(timed(clock), accelerator(clock), PLAN)
    assert sample.step_seconds == STEP_SECONDS + LOADING_SECONDS
    assert sample.phase_seconds == {
        "data": LOADING_SECONDS,
        "forward": STEP_SECONDS,
        "backward": 0.0,
        "update": 0.0,
    }
    assert sample.evaluation_seconds == SCORING_SECONDS
    assert sample.request_seconds == [SCORING_SECONDS] * 3
    assert sample.step_joules == WATTS * (STEP_SECONDS + LOADING_SECONDS)
    assert sample.peak_memory_bytes == 3 * stand_ins.MIB
    assert sample.host_peak_bytes > 50 * stand_ins.MIB


def test_a_warm_up_that_is_too_short_shows(clock: Clock) -> None:
    sample = once(timed(clock), accelerator(clock), Plan(warmup=1, steps=4, repeats=3, requests=1))
    assert sample.step_seconds > 10 * STEP_SECONDS


def test_the_device_is_idle_at_each_clock_read(clock: Clock) -> None:
    once(timed(clock), accelerator(clock), PLAN)
    around_steps, around_evaluation = 2, 2
    assert len(clock.queued_at_reads) == around_steps + 5 * 2 + around_evaluation + 2 * (3 + 1)
    assert set(clock.queued_at_reads) == {0.0}


def test_devices_take_turns_and_the_bar_counts_them(clock: Clock) -> None:
    bar = Bar()
    pair = [accelerator(clock, "a"), accelerator(clock, "b")]
    cells = measure(timed(clock), pair, PLAN, bar)
    assert clock.turns == ["a", "b"] * 4
    assert bar.steps == 8
    assert [len(cell.samples) for cell in cells] == [3, 3]


def test_a_device_out_of_memory_is_a_cell_and_the_others_go_on(clock: Clock) -> None:
    small = accelerator(clock, "small", steps_in_memory=3)
    bar = Bar()
    cells = measure(timed(clock), [accelerator(clock, "big"), small], PLAN, bar)
    assert [cell.failure for cell in cells] == [
        "",
        "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB.",
    ]
    assert [len(cell.samples) for cell in cells] == [3, 0]
    assert clock.turns.count("small") == 1
    assert bar.steps == 8


def test_a_faster_device_shows_in_the_speed_up(clock: Clock) -> None:
    pair = [accelerator(clock, "slow"), accelerator(clock, "fast", speed=4.0)]
    first, second = find(measure(timed(clock), pair, PLAN, Bar()))
    assert first is not None
    assert second is not None
    assert first.against_first is not None
    assert second.against_first is not None
    assert first.against_first.speed_up == 1.0
    assert second.against_first.speed_up == 4.0
    assert second.against_first.evaluation_speed_up == 4.0
    assert second.against_first.same == "same bits"
    assert second.examples_per_second == 28 / (1.25 / 4)
    assert second.epoch_seconds == 9 * 1.25 / 4
    assert second.peak_memory_bytes == 3 * stand_ins.MIB


def test_a_device_that_computes_something_else_is_found_out(clock: Clock) -> None:
    pair = [accelerator(clock, "right"), accelerator(clock, "wrong", error_in_loss=0.01)]
    _, wrong = find(measure(timed(clock), pair, PLAN, Bar()))
    assert wrong is not None
    assert wrong.differs


def test_a_precision_that_a_device_lacks_is_a_cell_and_the_others_go_on(clock: Clock) -> None:
    old, new = accelerator(clock, "old"), accelerator(clock, "new", precisions=("fp32", "bf16"))
    where = [Setup(old), Setup(old, "bf16"), Setup(new, "bf16")]
    cells = measure(timed(clock), where, PLAN, Bar())
    assert [cell.setup.label for cell in cells] == ["old", "old bf16", "new bf16"]
    assert [cell.failure for cell in cells] == ["", "not supported: bf16 on old", ""]
    assert [len(cell.samples) for cell in cells] == [3, 0, 3]


def test_what_is_asked_of_a_step_is_counted() -> None:
    what = subject(MF(**mf_settings()))
    work = learn(what, Device("cpu", 1), PLAN).work
    assert list(work) == ["data", "forward", "backward", "update", "evaluation"]
    scored_items, rank, batch = 3, 4, 28
    assert work["forward"].flops == 2 * batch * scored_items * rank
    assert work["backward"].flops == 2 * work["forward"].flops
    assert (
        work["update"].bytes > 4 * 4 * (30 + 25) * rank
    )  # Adam reads and writes the tables and its moments


@pytest.mark.slow
def test_a_kernel_is_timed_as_a_whole_and_takes_other_steps() -> None:
    what = subject(MF(**mf_settings()))
    object.__setattr__(what.ready.trainer, "batch_size", None)
    object.__setattr__(what.ready.trainer, "optimiser", "sgd")
    one = Device("cpu", 1)
    cells = measure(what, [Setup(one), Setup(one, engine="kernel")], PLAN, Bar())
    by_torch, by_kernel = find(cells)
    assert by_torch is not None
    assert by_kernel is not None
    assert by_torch.phase_seconds
    assert by_kernel.phase_seconds == {}
    assert cells[1].learned is not None
    assert cells[1].learned.work == {}
    assert by_kernel.against_first is not None
    assert by_kernel.against_first.same == "other steps"
    assert not by_kernel.differs


def test_stopped_in_the_middle_the_cells_have_what_was_done(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [Cell(Setup(accelerator(clock)))]
    bar = Bar()

    def advance(steps: int = 1, **shown: float) -> None:
        bar.steps += steps
        if bar.steps == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(bar, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        fill(timed(clock), cells, PLAN, bar)
    assert len(cells[0].samples) == 2
    assert find(cells)[0] is not None


def test_a_loss_that_is_not_finite_is_a_cell(clock: Clock) -> None:
    cells = measure(timed(clock), [accelerator(clock, error_in_loss=float("nan"))], PLAN, Bar())
    assert "not finite" in cells[0].failure


def test_a_bug_is_not_hidden_in_a_cell(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("typo")

    monkeypatch.setattr(TimedMF, "loss", broken)
    with pytest.raises(KeyError):
        measure(timed(clock), [accelerator(clock)], PLAN, Bar())


def test_data_that_cannot_be_judged_is_an_error_not_a_cell(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_target(*_: object, **__: object) -> None:
        raise DataError("no user has a target")

    monkeypatch.setattr("recsys_cli.comparisons.device_trials.evaluate", no_target)
    with pytest.raises(DataError):
        measure(timed(clock), [accelerator(clock)], PLAN, Bar())


def test_one_thread_repeats_bit_by_bit_and_leaves_everything_as_it_was() -> None:
    what = subject(MF(**mf_settings()))
    weights, threads = weights_digest(what.ready.model), torch.get_num_threads()
    state = torch.random.get_rng_state()
    cells = measure(what, [Device("cpu", 1), Device("cpu", 1)], PLAN, Bar())
    for finding in find(cells):
        assert finding is not None
        assert finding.repeats_equal
        assert finding.against_first is not None
        assert finding.against_first.same == "same bits"
        assert finding.against_first.metric_difference == 0
        assert finding.step_seconds.median > 0
        assert finding.peak_memory_bytes > 50 * stand_ins.MIB
    assert cells[0].samples[0].weights_sha256 != weights
    assert weights_digest(what.ready.model) == weights
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_threads_are_put_back_after_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("typo")

    before = torch.get_num_threads()
    monkeypatch.setattr(MF, "loss", broken)
    with pytest.raises(KeyError):
        measure(subject(MF(**mf_settings())), [Device("cpu", before + 1)], PLAN, Bar())
    assert torch.get_num_threads() == before


def seq(dropout: float) -> Seq:
    with torch.random.fork_rng():
        torch.manual_seed(5)  # noqa: TID251 - the same initial weights twice
        return Seq(n_items=25, context_facts=ContextFacts({}, (0, 1)), shuffled=False, dim=4, hidden=6, dropout=dropout, last_item=False, shift=False, returns=False, context=[], history_length=10,
                   softmax="auto", n_negatives=5)  # fmt: skip


def test_dropout_is_off_where_devices_are_compared_and_on_where_they_are_timed() -> None:
    with_it, without = subject(seq(0.5)), subject(seq(0.0))
    cpu = Device("cpu", 1)
    assert learn(with_it, cpu, PLAN) == learn(without, cpu, PLAN)
    on, off = once(with_it, cpu, PLAN), once(without, cpu, PLAN)
    assert on.weights_sha256 != off.weights_sha256
    assert on.weights_sha256 == once(with_it, cpu, PLAN).weights_sha256


def test_what_is_learned_is_the_last_batch_s_loss_and_the_mean_size_of_the_timed_steps() -> None:
    what = subject(MF(**mf_settings()))
    cpu = Device("cpu", 1)
    short = learn(what, cpu, Plan(warmup=2, steps=4, repeats=3))
    same_length = learn(what, cpu, Plan(warmup=1, steps=5, repeats=3))
    longer = learn(what, cpu, Plan(warmup=2, steps=7, repeats=3))
    assert short.loss == same_length.loss
    assert short.loss != longer.loss
    assert short.steps_per_epoch == 9
    assert short.examples_per_step == 28
    assert longer.examples_per_step == (6 * 28 + 16) / 7


def test_more_steps_than_an_epoch_go_on_into_the_next() -> None:
    longer = learn(
        subject(MF(**mf_settings())), Device("cpu", 1), Plan(warmup=2, steps=18, repeats=3)
    )
    assert longer.examples_per_step == 240 / 9


@pytest.mark.gpu
def test_an_accelerator_trains_the_same_model_in_every_phase() -> None:
    if not devices.accelerators():
        pytest.skip("no accelerator here")
    where = [Setup(Device("cpu", 1)), Setup(every_device()[-1])]
    first, second = find(measure(subject(MF(**mf_settings())), where, PLAN, Bar()))
    assert first is not None
    assert second is not None
    assert not second.differs
    assert all(phase.median > 0 for phase in second.phase_seconds.values())
    assert second.peak_memory_bytes > 0

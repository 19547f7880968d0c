import json
from dataclasses import replace

from recsys_cli.comparisons.device_crossing import Point
from recsys_cli.comparisons.device_quality import Course, Epoch
from recsys_cli.comparisons.device_report import ModelReport, Report
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_trials import Cell, Plan
from recsys_cli.devices import Device
from tests.comparisons.test_device_findings import ONE, TWO, cell


def report(*cells: Cell, accelerators: tuple[str, ...] = ()) -> Report:
    model = ModelReport.of("mf", list(cells), config_hash="c", split_hash="s", primary="ndcg_at_10")
    return Report(
        run_id="r",
        data="demo",
        plan=Plan(warmup=2, steps=4, repeats=3),
        models=[model],
        accelerators=list(accelerators),
        environment={"torch": "2"},
        logged_at="",
        how_to_open="",
    )


def test_a_machine_without_accelerator_is_told_so() -> None:
    assert "no accelerator was found" in report(cell(ONE, 1.0, 1.0, 1.0)).notes()[0]
    with_one = report(cell(ONE, 1.0, 1.0, 1.0), accelerators=("cuda:0",))
    assert with_one.notes() == []


def test_failures_disagreements_and_noise_are_noted() -> None:
    notes = report(
        cell(ONE, 1.0, 1.0, 1.0, repeats=("a", "b", "a")),
        cell(TWO, failure="out of memory: 2 GiB"),
        cell(Device("cuda", 2), 1.0, 2.0, 3.0, loss=3.0, weights="bb"),
        accelerators=("cuda:0",),
    ).notes()
    assert notes == [
        "mf on cpu:1 does not repeat: the bits of the weights differ between repeats",
        "mf on cpu:2 failed: out of memory: 2 GiB",
        "mf on cuda is not the same model: the loss is off by 5.0e-01 (relative), ndcg_at_10 by 0.0e+00",
        "mf on cuda is noisy: the middle half of its step times spans 50% of the median",
    ]


def test_agreement_is_of_those_that_worked() -> None:
    first, broken = cell(ONE, 1.0, 1.0, 1.0), cell(TWO, failure="out of memory: x")
    assert report(first, broken).agree
    assert not report(first, cell(TWO, 1.0, 1.0, 1.0, loss=3.0, weights="bb")).agree
    assert report(first, broken).works
    assert not report(broken).works


def test_json_holds_the_raw_samples_and_is_read_back() -> None:
    given = report(cell(ONE, 1.0, 1.5, 2.0), cell(TWO, failure="out of memory: x"))
    read = json.loads(json.dumps(given.to_json()))
    first, second = read["models"][0]["cells"]
    assert [sample["step_seconds"] for sample in first["samples"]] == [1.0, 1.5, 2.0]
    assert first["finding"]["step_seconds"]["median"] == 1.5
    assert first["memory_of"] == "process"
    assert second["failure"] == "out of memory: x"
    assert second["finding"] is None
    assert read["tolerance"]["loss"] > 0
    assert read["conclusion"].startswith("mf: ")
    assert read["plan"]["repeats"] == 3
    assert first["promise"] == "bit-for-bit, and the bits of the first"
    assert second["promise"] is None


def course(device: Device, *metrics: float, seconds: float = 1.0) -> Course:
    epochs = [Epoch(seconds, seconds * (at + 1), metric) for at, metric in enumerate(metrics)]
    return Course(Setup(device), epochs)


def test_time_to_quality_is_to_95_percent_of_the_best_of_all() -> None:
    model = ModelReport.of(
        "mf", [cell(ONE, 1.0, 1.0), cell(TWO, 1.0, 1.0)], config_hash="c", split_hash="s",
        primary="ndcg_at_10", courses=[course(ONE, 0.1, 0.96, 0.9), course(TWO, 0.5, 0.9, 1.0, seconds=3.0)],
    )  # fmt: skip
    assert model.target == 0.95
    assert model.quality_seconds("cpu:1") == 2.0
    assert model.quality_seconds("cpu:2") == 9.0
    assert model.quality_seconds("cuda") is None
    assert model.epoch_seconds(model.cells[1], model.findings[1]) == 3.0  # type: ignore[arg-type]


def test_where_it_turns_is_said_and_what_was_not_reached_is_noted() -> None:
    slow = {"cpu:1": [1.0, 1.0], "cpu:2": [2.0, 0.9]}
    fast = {"cpu:1": [1.0, 1.0], "cpu:2": [0.6, 0.5]}
    points = [Point(256, 16, slow), Point(2048, 16, fast), Point(256, 256, fast), Point(2048, 256)]
    cells = [cell(ONE, 1.0, 1.0), cell(TWO, 1.0, 1.0)]
    model = ModelReport.of("mf", cells, config_hash="c", split_hash="s", primary="p", points=points)
    assert list(model.crossings()) == [
        "mf: cpu:2 overtakes cpu:1 from batches of 2,048 and 16 numbers an embedding"
    ]
    assert "mf: 1 of 4 batches and sizes were not reached in time" in list(model.notes())
    never = ModelReport.of(
        "mf", cells, config_hash="c", split_hash="s", primary="p", points=points[:1]
    )
    assert list(never.crossings()) == [
        "mf: cpu:2 overtakes cpu:1 at none of the 1 batches and sizes that were timed"
    ]


def test_a_busy_machine_is_said_to_be_noisy_and_a_stop_is_told() -> None:
    quiet = replace(report(cell(ONE, 1.0, 1.0, 1.0), accelerators=("cuda:0",)), cores=2, load=0.9)
    assert quiet.notes() == []
    busy = replace(quiet, load=6.04, interrupted=True)
    assert busy.notes() == [
        "the machine is noisy: 6.0 processes wanted its 2 cores before this began",
        "stopped before its end: what was finished is shown",
    ]

import json

from recsys_cli.comparisons.device_report import ModelReport, Report
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
    assert read["plan"] == {"warmup": 2, "steps": 4, "repeats": 3}

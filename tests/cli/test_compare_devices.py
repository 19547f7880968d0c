import json
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_cli import devices
from recsys_cli.cli import output
from recsys_cli.comparisons import device_trials
from recsys_cli.comparisons.device_trials import Learned, Sample, Subject
from recsys_cli.devices import Device
from tests.cli.conftest import Ended

SMALL = ("--data=demo", "--tracking=none", "data.events=1000", "--split=leave_last_out")


@pytest.fixture(autouse=True)
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: [])
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements on paper: one step a second on one thread, two on two; memory for cpu:2 only."""

    def learn(subject: Subject, device: Device, plan: object) -> Learned:
        return Learned(
            loss=1.0, metric=0.1, weights_sha256="aa", examples_per_step=10, steps_per_epoch=7
        )

    def time_once(subject: Subject, device: Device, plan: object) -> Sample:
        if subject.name == "deep" and device.threads == 2:
            raise MemoryError("no room for deep")
        return Sample(
            step_seconds=1 / device.threads,
            loading_seconds=0.125,
            evaluation_seconds=3.0,
            peak_memory_bytes=5 << 20,
            weights_sha256="bb",
        )

    monkeypatch.setattr(device_trials, "learn", learn)
    monkeypatch.setattr(device_trials, "time_once", time_once)


@pytest.mark.usefixtures("paper")
def test_the_table_and_the_conclusion(recsys: Callable[..., Ended]) -> None:
    ended = recsys("compare-devices", "--model=mf,deep", *SMALL)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == (
        "model\tdevice\tsamples per s\tstep ms\tIQR ms\tload ms\tepoch s\teval s\tpeak MiB\tspeed up\tsame model"
    )
    assert [line.split("\t") for line in lines[1:5]] == [
        ["mf", "cpu:1", "10", "1000", "0", "125", "7", "3", "5", "1.00", "first"],
        ["mf", "cpu:2", "20", "500", "0", "125", "3.5", "3", "5", "2.00", "equal"],
        ["deep", "cpu:1", "10", "1000", "0", "125", "7", "3", "5", "1.00", "first"],
        ["deep", "cpu:2", "-", "-", "-", "-", "-", "-", "-", "-", "out of memory"],
    ]
    assert "no accelerator was found" in ended.out
    assert "deep on cpu:2 failed: out of memory: no room for deep" in ended.out
    assert lines[-1] == (
        "conclusion\tmf: cpu:2 trains 2.0 times as fast as cpu:1; "
        "deep: only cpu:1 was measured, so there is nothing to compare."
    )


@pytest.mark.usefixtures("paper")
def test_the_first_device_that_is_named_is_the_reference(recsys: Callable[..., Ended]) -> None:
    ended = recsys("compare-devices", "--model=mf", "--devices=cpu:2,cpu:1", *SMALL)
    assert "mf: cpu:2 is the fastest, cpu:1 trains 0.50 times as fast" in ended.out


@pytest.mark.usefixtures("paper")
def test_a_comparison_in_which_nothing_worked_ends_with_an_error(
    recsys: Callable[..., Ended],
) -> None:
    ended = recsys("compare-devices", "--model=deep", "--devices=cpu:2", *SMALL)
    assert ended.code == 4
    assert "no device could train any of the models" in ended.err
    assert "out of memory: no room for deep" in ended.out


def test_json_of_a_real_comparison(recsys: Callable[..., Ended]) -> None:
    ended = recsys(
        "compare-devices", "--model=mf", "--devices=cpu:1", "--steps=2", "--warmup=1", "--repeats=3", "--seed=4",
        "--json", *SMALL,
    )  # fmt: skip
    told = json.loads(ended.out)
    assert told["plan"] == {"steps": 2, "warmup": 1, "repeats": 3}
    assert [cell["device"] for cell in told["models"][0]["cells"]] == ["cpu:1"]
    assert told["agree"] is True
    assert told["accelerators"] == []


def test_a_device_that_is_not_there_ends_with_2_and_the_list(
    spawn: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = spawn("compare-devices", "--devices=cpu:1,gpu9", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "no device called 'gpu9' on this machine; there are: cpu, cpu:1" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--repeats=2", "--steps=0", "--warmup=0"])
def test_too_little_to_measure_is_refused(recsys: Callable[..., Ended], option: str) -> None:
    ended = recsys("compare-devices", option)
    assert ended.code == 2
    assert option.split("=")[0] in ended.err


@pytest.mark.usefixtures("paper")
def test_the_table_fits_a_terminal_of_80_columns(
    recsys: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    ended = recsys("compare-devices", "--model=mf,deep", *SMALL)
    table = ended.out.split("times ")[0]
    assert max(len(line) for line in table.splitlines()) <= 80
    for whole in ("samples", "device", "speed", "memory", "first"):
        assert whole in table

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_cli import devices
from recsys_cli.cli import output
from recsys_cli.comparisons import device_trials
from recsys_cli.comparisons import devices as comparison
from recsys_cli.comparisons.device_roofline import Roof
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.comparisons.device_trials import Learned, Sample, Subject
from recsys_cli.comparisons.device_work import Work
from tests.cli.conftest import Ended

SMALL = ("--data=demo", "--tracking=none", "data.events=1000", "--split=leave_last_out", "--quality-seconds=0",
         "--grid-seconds=0", "trainer.batch_size=64")  # fmt: skip


@pytest.fixture(autouse=True)
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: [])
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    monkeypatch.setattr(
        comparison, "measure_roof", lambda setup: Roof(1e9 * setup.device.threads, 1e9, 1e9, 1e9)
    )
    monkeypatch.setattr(comparison, "busy", lambda: 1.0)
    monkeypatch.setattr(comparison, "usable_cores", lambda: 2)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements on paper: one step a second on one thread, two on two; memory for cpu:2 only."""

    def learned(subject: Subject, setup: Setup, plan: object) -> Learned:
        return Learned(
            loss=1.0, metric=0.1, weights_sha256="aa", examples_per_step=10, steps_per_epoch=7,
            work={"forward": Work(flops=10**8, bytes=10**6), "update": Work(flops=0, bytes=10**8)},
        )  # fmt: skip

    def time_once(subject: Subject, setup: Setup, plan: object) -> Sample:
        device = setup.device
        if subject.name == "deep" and device.threads == 2:
            raise MemoryError("no room for deep")
        return Sample(
            step_seconds=1 / device.threads,
            phase_seconds={"data": 0.1, "forward": 0.2, "backward": 0.3, "update": 0.4},
            evaluation_seconds=3.0,
            request_seconds=[0.001, 0.003],
            peak_memory_bytes=5 << 20,
            host_peak_bytes=6 << 20,
            step_joules=2.5,
            weights_sha256="bb",
        )

    monkeypatch.setattr(device_trials, "learned", learned)
    monkeypatch.setattr(device_trials, "time_once", time_once)


@pytest.mark.usefixtures("paper")
def test_the_table_and_the_conclusion(recsys: Callable[..., Ended]) -> None:
    ended = recsys("compare-devices", "--model=mf,deep", *SMALL)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == (
        "model\tdevice\tsamples per s\tstep ms\tIQR ms\tepoch s\teval s\tp50 ms\tp99 ms\tpeak MiB\tto 95% s\t"
        "speed up\tsame model"
    )
    assert [line.split("\t") for line in lines[1:5]] == [
        ["mf", "cpu:1", "10", "1000", "0", "7", "3", "2", "3", "5", "-", "1.00", "first"],
        ["mf", "cpu:2", "20", "500", "0", "3.5", "3", "2", "3", "5", "-", "2.00", "equal"],
        ["deep", "cpu:1", "10", "1000", "0", "7", "3", "2", "3", "5", "-", "1.00", "first"],
        ["deep", "cpu:2", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "out of memory"],
    ]
    assert [line.split("\t") for line in lines[5:7]] == [
        ["model", "device", "data ms", "forward ms", "backward ms", "update ms", "joules a step"],
        ["mf", "cpu:1", "100", "200 c  50%", "300", "400 m  25%", "2.5"],
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
        "compare-devices", "--model=mf", "--devices=cpu:1", "--steps=2", "--warmup=1", "--repeats=5", "--seed=4",
        "--json", *SMALL,
    )  # fmt: skip
    told = json.loads(ended.out)
    assert (told["plan"]["steps"], told["plan"]["repeats"]) == (2, 5)
    page = Path(told["page"]).read_text()
    assert page.startswith("<!doctype html>")
    assert "http" not in page
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


@pytest.mark.parametrize("option", ["--repeats=4", "--steps=0", "--warmup=0", "--grid-seconds=-1"])
def test_too_little_to_measure_is_refused(recsys: Callable[..., Ended], option: str) -> None:
    ended = recsys("compare-devices", option)
    assert ended.code == 2
    assert option.split("=")[0] in ended.err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--precision=fp32,fp8", "--precision has no 'fp8'; there are: fp32, bf16"),
        ("--compile=yes", "--compile has no 'yes'; there are: off, on"),
        ("--page=no/such/folder/a.html", "no/such/folder is no folder; make it first"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    recsys: Callable[..., Ended], option: str, said: str
) -> None:
    ended = recsys("compare-devices", "--model=mf", option, *SMALL)
    assert ended.code == 2
    assert said in ended.err
    assert ended.out == ""


@pytest.mark.usefixtures("paper")
def test_every_precision_and_the_page_where_it_is_wanted(
    recsys: Callable[..., Ended], tmp_path: Path
) -> None:
    page = tmp_path / "mine.html"
    ended = recsys("compare-devices", "--model=mf", "--devices=cpu:1", "--precision=bf16,fp32", "--compile=off,on",
                   f"--page={page}", *SMALL)  # fmt: skip
    assert [line.split("\t")[1] for line in ended.out.splitlines()[1:5]] == [
        "cpu:1", "cpu:1 compiled", "cpu:1 bf16", "cpu:1 bf16 compiled",
    ]  # fmt: skip
    assert "Beside published ratios" in page.read_text()
    assert f"page\t{page}" in ended.out


@pytest.mark.usefixtures("paper")
def test_stopped_it_shows_what_was_finished(
    recsys: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "cross", stopped)
    small = [text for text in SMALL if text != "--grid-seconds=0"]
    ended = recsys("compare-devices", "--model=mf,deep", *small, "--grid-seconds=1")
    assert ended.code == 130
    assert "stopped before its end: what was finished is shown" in ended.out
    assert "deep" not in ended.out.split("times")[0]


@pytest.mark.usefixtures("paper")
def test_the_table_fits_a_terminal_of_100_columns(
    recsys: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    ended = recsys("compare-devices", "--model=mf,deep", *SMALL)
    table = ended.out.split("times ")[0]
    assert max(len(line) for line in table.splitlines()) <= 100
    for whole in ("samples", "device", "speed", "memory", "first"):
        assert whole in table

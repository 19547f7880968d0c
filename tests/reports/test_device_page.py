from dataclasses import replace

from recsys_cli.comparisons.device_crossing import Point
from recsys_cli.comparisons.device_report import ModelReport, Report
from recsys_cli.comparisons.device_roofline import Roof
from recsys_cli.comparisons.device_setups import Setup
from recsys_cli.devices import Device
from recsys_cli.reports.device_page import device_page
from tests.comparisons.test_device_findings import ONE, TWO, cell
from tests.comparisons.test_device_report import course, report

GPU = Device("cuda", 2)


def full() -> Report:
    cells = [cell(ONE, 1.0, 1.1, 1.0), cell(TWO, 0.5, 0.5, 0.6), cell(GPU, failure="out of memory: 9 GiB"),
             cell(Setup(ONE, engine="kernel"), 0.1, 0.1, 0.1)]  # fmt: skip
    points = [
        Point(256, 16, {"cpu:1": [1.0, 1.0], "cpu:2": [2.0, 2.0]}),
        Point(2048, 16, {"cpu:1": [1.0, 1.0], "cpu:2": [0.5, 0.5]}, {"cuda": "out of memory: 9 GiB"}),
    ]  # fmt: skip
    roofs = {"cpu:1": Roof(8000.0, 4000.0, 900.0, 800.0)}
    model = ModelReport.of(
        "mf", cells, config_hash="c", split_hash="s", primary="ndcg_at_10", roofs=roofs,
        courses=[course(ONE, 0.1, 0.2), course(TWO, 0.1, 0.2, seconds=0.5)], points=points,
    )  # fmt: skip
    return replace(report(cells[0]), models=[model], roofs=roofs)


def test_everything_that_was_found_is_on_the_page() -> None:
    text = device_page(full())
    for said in (
        "mf: cpu:2 trains 2.0 times as fast as cpu:1",
        "out of memory: 9 GiB",
        "cpu:2 overtakes cpu:1 from batches of 2,048 and 16 numbers an embedding",
        "bit-for-bit, and the bits of the first",
        "<td>50%</td>",
        "implicit ALS on ML-20M, 256 factors",
        "no accelerator was found",
        "other steps",
    ):
        assert said in text, said
    assert text.count("<svg") == 4
    assert "http" not in text


def test_what_was_not_measured_is_left_out() -> None:
    text = device_page(report(cell(ONE, failure="out of memory: x")))
    assert text.count("<svg") == 0
    assert "Where it turns" not in text
    assert "out of memory: x" in text

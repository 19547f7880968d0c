"""What `scripts/bench` works out of its measurements."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module
    for name in ("bench_rows", "bench_scale"):
        sys.modules.pop(name, None)


def test_the_table_sets_every_side_against_ours_and_says_what_differs(scripts):
    rows = scripts("bench_rows")
    found = {"version": "1.0", "cpu_seconds": 0.5, "wall_seconds": 0.6, "peak_bytes": 2**30}
    sides = {"recsys": found | {"note": "ours"}, "implicit": found | {"cpu_seconds": 1.25}}
    lines = rows.table({"rows": {"mf-epoch": sides}}).splitlines()
    assert lines[2].endswith("| recsys 1.0 | 0.500 | 0.600 | 1024 |  | 1.00 | ours |")
    assert lines[3].endswith(
        "| implicit 1.0 | 1.250 | 0.600 | 1024 |  | 2.50 | plain SGD, item biases |"
    )
    assert len({line.count("|") for line in lines}) == 1


def growing(power: float, scale_module) -> list[dict]:
    return [
        {"work": "mf", "peak_bytes": 1, "cpu_seconds": (point["interactions"] / 1e6) ** power}
        | point
        for work, point in scale_module.points(["mf"], 20_000_000)
    ]


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_the_slope_is_the_exponent(scripts, power):
    scale = scripts("bench_scale")
    slopes = scale.slopes(growing(power, scale))
    assert slopes["interactions"]["mf"] == pytest.approx(power, abs=1e-3)
    assert slopes["interactions"]["mf, 20 M to 1 M"] == pytest.approx(20 ** (power - 1), abs=1e-3)
    assert slopes["items"]["mf"] == pytest.approx(0)


def test_points_are_measured_once_and_kept(scripts, tmp_path):
    scale = scripts("bench_scale")
    asked = []

    def measure(work, point, folder):
        asked.append((work, tuple(point.values())))
        return {"cpu_seconds": 1.0, "peak_bytes": 1}

    for _ in range(2):
        scale.scale(tmp_path / "scale.json", ["mf", "evaluation"], 1_000_000, tmp_path, measure)
    assert len(asked) == len(set(asked)) == 13
    assert {point[0] for work, point in asked if work == "evaluation"} == {1_000_000}

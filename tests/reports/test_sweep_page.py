"""The page of a sweep: whole for whatever a sweep may end with."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recsys_cli.reports.sweep_page import sweep_page
from recsys_cli.sweeps.importances import Importances
from recsys_cli.sweeps.results import Curve, Result, Row, Searched

RANK = Searched("model.rank", "8,16", "choices", [8, 16])
LR = Searched("trainer.lr", "tag(log, interval(1e-4, 0.1))", "log", None)
LONG = Searched(f"model.{'a' * 90}", "x", "choices", [[512, 256, 128], "b" * 200])


def row(number, state="finished", value=0.25, **params):
    shown = None if state == "diverged" else value
    return Row(number, state, shown, 1.5, params, ["model=mf"], f"id{number}", f"runs/{number}")


def page_of(trials, searched, **more):
    found = Result(
        study="s",
        study_dir="runs/sweeps/s",
        sampler="tpe",
        pruner="none",
        metric="valid_ndcg_at_10",
        better="higher",
        run_id="parent",
        best=trials[0],
        command="recsys train model=mf model.rank=8",
        trials=trials,
        importances=Importances({}, "too few trials: 1 finished"),
        searched=searched,
        curves=[],
        protocol={"sampler": "tpe"},
        environment={"python": "3.11.7"},
        logged_at="somewhere",
        how_to_open="recsys ui",
    )
    return sweep_page(replace(found, **more))


MIXED = [
    row(2, value=0.31, **{"model.rank": 8, "trainer.lr": 0.0123456}),
    row(0, **{"model.rank": 16, "trainer.lr": 0.001}),
    row(1, "pruned", 0.1, **{"model.rank": 16, "trainer.lr": 0.01}),
    row(3, "diverged", **{"model.rank": 8, "trainer.lr": 0.1}),
]


def test_all_is_said_and_nothing_comes_from_elsewhere():
    text = page_of(
        MIXED,
        [RANK, LR],
        importances=Importances({"trainer.lr": 0.8, "model.rank": 0.2}, "fANOVA over 30 trials"),
        curves=[Curve(2, [1, 2], [0.2, 0.31]), Curve(0, [1, 2], [0.1, 0.25])],
    )

    assert "Best: valid_ndcg_at_10 0.3100 with model.rank=8 trainer.lr=0.01235, trial 2" in text
    assert "2 finished, 1 pruned, 1 diverged" in text
    assert "<pre>recsys train model=mf model.rank=8</pre>" in text
    assert text.count("<svg") == 4
    for mark in (
        "best so far",
        "pruned",
        "diverged",
        " 80%",
        "trial 2",
        "0.0123",
        "fANOVA over 30",
    ):
        assert re.search(f">{mark}", text), mark
    assert not re.search(r"https?:|//|<script|<link|@import", text)


def test_without_importances_the_reason_is_said():
    text = page_of(MIXED, [RANK, LR])
    assert "Not told: too few trials: 1 finished." in text
    assert text.count("<svg") == 2


def test_where_no_trial_came_to_its_end_there_is_no_command():
    failed = [row(at, "diverged", **{"model.rank": 8}) for at in range(3)]
    text = page_of(failed, [RANK])

    assert "No trial came to its end with a value: 3 diverged." in text
    assert "<pre>" not in text
    assert text.count("<svg") == 1


@pytest.mark.parametrize(
    ("trials", "searched"),
    [
        ([row(0, **{"model.rank": 8})], [RANK]),
        ([row(at, **{"model.rank": 8}) for at in range(4)], [replace(RANK, choices=[8])]),
        ([row(at, "pruned", **{"trainer.lr": 0.01}) for at in range(4)], [LR]),
        ([row(at, value=-at, **{"trainer.lr": 10.0**-at}) for at in range(200)], [LR]),
        ([row(at, **{LONG.name: LONG.choices[at % 2]}) for at in range(5)], [LONG]),
        ([row(0, **{f"a.b{at}": at for at in range(15)})],
         [Searched(f"a.b{at}", "range(0,15)", "linear", None) for at in range(15)]),
    ],
    ids=["one", "no variation", "all pruned", "many", "long names", "many settings"],
)  # fmt: skip
def test_any_sweep_can_be_drawn(trials, searched):
    text = page_of(trials, searched)
    assert text.count("<svg") == 2
    assert text.count("<tr>") >= len(trials)


def test_names_cannot_break_out_of_the_page():
    searched = Searched("model.x", "a", "choices", ["<script>alert(1)</script>"])
    text = page_of([row(0, **{"model.x": searched.choices[0]})], [searched])
    assert "<script" not in text

"""What is told of a sweep while it goes on: the table of trials under way and the best ones."""

from __future__ import annotations

from recsys_cli.progress import Silent
from recsys_cli.sweeps import sweep
from recsys_cli.sweeps.board import MOST_BEST
from recsys_cli.sweeps.plan import make_plan


class Tables(Silent):
    """Keeps the tables."""

    def __init__(self):
        self.tables = []

    def table(self, heads, rows):
        self.tables.append([tuple(heads), *rows])


def tables_of(*searched):
    shown = Tables()
    base = ["model=mf", "data=demo", "tracking=none"]
    sweep.run(make_plan([*base, *searched], name="s"), progress=shown)
    return shown.tables


def test_trials_under_way_stand_above_the_best(fake):
    tables = tables_of("model.rank=30,32,31", "model.l2=0.01234567,0.02")

    assert tables[0] == [("trial", "ndcg_at_10", "model.rank", "model.l2"), ("trial-000", "running", "30", "0.01234567")]  # fmt: skip
    at_the_fifth = next(rows for rows in tables if rows[1][0] == "trial-004")
    assert [row[0] for row in at_the_fifth[1:]] == [f"trial-00{at}" for at in (4, 2, 3, 0, 1)]
    assert at_the_fifth[2] == ("trial-002", "0.9999", "32", "0.01234567")
    assert "running" not in [row[1] for row in tables[-1]]


def test_only_the_best_are_shown_and_no_trial_without_a_value(fake):
    tables = tables_of("model.rank=666,32,33,34,35,36,37")

    assert len(tables[-1]) == 1 + MOST_BEST
    assert [row[0] for row in tables[-1][1:]] == [f"trial-00{at}" for at in range(1, 6)]
    assert max(map(len, tables)) == 2 + MOST_BEST


def test_numbers_that_were_drawn_are_short(fake):
    shown = Tables()
    plan = make_plan(
        ["model=mf", "data=demo", "tracking=none", "trainer.lr=interval(0.01,0.1)"],
        name="s",
        trials=1,
    )
    sweep.run(plan, progress=shown)
    assert len(shown.tables[0][1][2]) <= 7

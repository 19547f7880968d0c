"""A comparison of two models whose values are made up."""

import numpy as np

from recsys_cli.comparisons import runs
from recsys_cli.comparisons.runs import Entry
from recsys_cli.comparisons.standings import Comparison, Standing
from recsys_cli.tracking.run_folder import PerUser

USERS = np.arange(200)


def values(shift: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.4, 200) + shift


def comparison(shift: float, noise: float = 0.0, spread: float = 0.001) -> Comparison:
    own = values(shift) + noise * np.random.default_rng(1).standard_normal(200)
    rivals = [
        Entry("mf", PerUser(USERS, {"ndcg_at_10": values(0)})),
        Entry("deep", PerUser(USERS, {"ndcg_at_10": own})),
    ]
    standings = [
        Standing(
            model=rival.name,
            kind="tuned",
            seed_values=(0.3 - spread, 0.3, 0.3 + spread),
            valid=0.3,
            trials=3,
            search_seconds=1.0,
            train_seconds=1.0,
            parameters=10,
            command="recsys train",
            run_dirs=(),
        )
        for rival in rivals
    ]
    rows = runs.compare(rivals, ["ndcg_at_10"])
    return Comparison("c", "runs/c", {}, "mf", standings, rows, {})

"""The best that can be reached: judged as models are, and never beaten by one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from recsys_cli import config, experiment
from recsys_cli.data.demo import draw, make_world
from recsys_cli.data.oracle import LADDER, World, oracle_scores
from recsys_cli.data.split import Split
from recsys_cli.data.time_splits import global_time
from recsys_cli.data.user_splits import leave_last_out, per_user_ratio
from recsys_cli.errors import DataError
from recsys_cli.evaluation.oracle import Oracle, oracle_ladder
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.baselines.ease import EASE
from recsys_cli.models.baselines.popularity import Popularity
from recsys_cli.progress import Silent

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "data" / "demo.yaml"
DEFAULTS: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
DEFAULTS.pop("_target_")
PROTOCOL = RankingProtocol(
    cutoffs=[10],
    metrics=["ndcg", "recall"],
    primary="ndcg_at_10",
    exclude_seen=True,
    dialect="recsys",
)


def asked(**settings: Any) -> tuple[World, Split]:
    world = make_world(**(DEFAULTS | {"events": 20_000} | settings))
    return world, global_time(interactions=draw(world), test_days=14, valid_days=14)


def reached(model: Any, split: Split) -> float:
    if hasattr(model, "fit"):
        model.fit(split.train)
    return evaluate(model, split.test, PROTOCOL, device=torch.device("cpu")).metrics["ndcg_at_10"]


def test_each_step_of_knowledge_reaches_more() -> None:
    world, split = asked()
    ladder = oracle_ladder(world, split.test, PROTOCOL)
    assert list(ladder) == list(LADDER)
    for metric in ("ndcg_at_10", "recall_at_10"):
        values = [metrics[metric] for metrics in ladder.values()]
        assert values == sorted(values)
        assert values[-1] > 1.5 * values[1] > 1.5 * 1.5 * values[0]


def test_no_metric_is_of_warm_users_alone() -> None:
    world, split = asked(events=3_000, events_per_user=10)
    assert not split.test.warm_users[split.test.users].all()
    cold = replace(split.test, warm_items=np.arange(split.n_items) % 2 == 0)
    for holdout in (split.test, cold):
        assert oracle_ladder(world, holdout, PROTOCOL)["time"].keys() == set(PROTOCOL.keys)


def test_users_that_training_never_saw_are_known_to_the_oracle() -> None:
    world, split = asked(events=3_000, events_per_user=10)
    users = split.test.users[~split.test.warm_users[split.test.users]]
    assert len(users)
    alone = split.test.targets.take(np.isin(split.test.targets.users, users))
    part = type(split.test)(split.test.history, alone, split.test.warm_users, split.test.warm_items)
    best = oracle_scores(world, part, part.users, "time").argmax(axis=1)
    hits = np.isin(part.users * world.n_items + best, alone.users * world.n_items + alone.items)
    protocol = RankingProtocol(
        cutoffs=[1], metrics=["hit"], primary="hit_at_1", exclude_seen=True, dialect="recsys"
    )
    assert oracle_ladder(world, part, protocol)["time"]["hit_at_1"] == hits.mean()


def test_closed_forms_stay_between_popularity_and_the_oracle_of_taste() -> None:
    world, split = asked(sequence=0.0)
    ladder = oracle_ladder(world, split.test, PROTOCOL)
    popularity = reached(Popularity(n_items=split.n_items), split)
    ease = reached(EASE(n_items=split.n_items, l2=500.0), split)
    taste = ladder["taste"]["ndcg_at_10"]
    assert popularity < 0.9 * ease
    assert ease < 0.9 * taste
    assert popularity == pytest.approx(ladder["none"]["ndcg_at_10"], rel=0.1)


@pytest.mark.slow
def test_trained_models_stay_between_popularity_and_what_the_oracle_knows(tmp_path: Path) -> None:
    overrides = [
        "data=demo",
        "data.events=40000",
        "data.sequence=0.5",
        "tracking=none",
        "device=cpu",
        f"root={tmp_path}",
    ]
    found = {}
    for model in ("popularity", "mf", "seq"):
        settings = config.load([*overrides, f"model={model}", "device.threads=1"])
        outcome = experiment.run(settings, run_dir=None, progress=Silent())
        found[model] = outcome.metrics["test"]["ndcg_at_10"]
    world, split = asked(events=40_000, sequence=0.5)
    assert split.hash == outcome.split_hash
    best = {
        knows: m["ndcg_at_10"] for knows, m in oracle_ladder(world, split.test, PROTOCOL).items()
    }
    assert found["popularity"] < found["mf"] < best["taste"]
    assert best["taste"] < found["seq"] < best["sequence"] < best["time"]


def test_the_answer_is_the_true_chance() -> None:
    world, split = asked(events=2_000)
    users = torch.from_numpy(split.test.users)
    oracle = Oracle(world=world, holdout=split.test, knows="time")
    scores = oracle.score(type("Queries", (), {"users": users})())
    assert scores.numpy() == pytest.approx(
        oracle_scores(world, split.test, split.test.users, "time")
    )


def test_the_last_event_of_each_user_can_be_asked_for_and_one_in_between_cannot() -> None:
    world, _ = asked(events=2_000)
    data = draw(world)
    last = leave_last_out(interactions=data, min_events=3)
    assert oracle_ladder(world, last.test, PROTOCOL)["time"]["ndcg_at_10"] > 0
    mixed = per_user_ratio(
        interactions=data, seed=0, valid_ratio=0.1, test_ratio=0.1, chronological=False
    )
    with pytest.raises(DataError, match="events later than those that are asked for"):
        oracle_ladder(world, mixed.test, PROTOCOL)


def test_another_world_is_refused() -> None:
    _, split = asked(events=2_000)
    smaller, _ = asked(events=1_000)
    with pytest.raises(DataError, match="not drawn from this world"):
        oracle_ladder(smaller, split.test, PROTOCOL)

"""Every model that has a YAML file, built from it and fitted on small data; the one place that knows how."""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from recsys_cli.config import build, locate
from recsys_cli.data.context import context_facts
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.queries import Queries, make_queries
from recsys_cli.data.split import Holdout
from recsys_cli.devices import Device
from recsys_cli.models.contract import ClosedForm
from recsys_cli.progress import Silent
from recsys_cli.seeds import isolated

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MODELS = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
RUNTIME = {"n_users", "n_items", "context_facts"}
SMALL_DATA = {
    "epochs": 5,
    "batch_size": 64,
    "lr": 0.05,
}  # the YAML's own are for thousands of users

FOR_ALL = "it is the same list for everybody, by design"
RATINGS = "it learns from how items were rated, and here all ratings are 1"
DRAWN = "its first vectors, order and negatives are drawn code by code"
GOES_ON = (
    "its first vectors are drawn when it is built, and learning goes on from those that it has"
)
EXEMPT = {
    ("popularity", "withheld"): FOR_ALL,
    ("popularity", "beats_popularity"): FOR_ALL,
    ("recent_popularity", "withheld"): FOR_ALL,
    ("recent_popularity", "beats_popularity"): FOR_ALL,
    ("popularity_by_hour", "withheld"): "it knows nobody, by design",
    ("popularity_by_hour", "beats_popularity"): "it knows nobody, by design",
    ("markov", "withheld"): "it counts pairs, and a sixth of the pairs of one colour never came",
    (
        "pure_svd",
        "withheld",
    ): "its 16 directions tell 20 items apart almost wholly, unknown ones too",
    ("baseline", "withheld"): RATINGS,
    ("baseline", "beats_popularity"): RATINGS,
    ("knn_baseline", "withheld"): RATINGS,
    ("knn_baseline", "beats_popularity"): RATINGS,
    ("nmf", "permuted_users"): DRAWN,
    ("nmf", "permuted_items"): DRAWN,
    ("svd", "withheld"): RATINGS,
    ("svd", "beats_popularity"): RATINGS,
    ("svd", "permuted_users"): DRAWN,
    ("svd", "permuted_items"): DRAWN,
    ("ials", "permuted_items"): DRAWN,
    ("ials", "learnt_again"): GOES_ON,
    ("nmf", "learnt_again"): GOES_ON,
    ("svd", "learnt_again"): GOES_ON,
    ("mf", "permuted_users"): DRAWN,
    ("mf", "permuted_items"): DRAWN,
    ("deep", "permuted_users"): DRAWN,
    ("deep", "permuted_items"): DRAWN,
    ("sasrec", "permuted_users"): DRAWN,
    ("sasrec", "permuted_items"): DRAWN,
    ("esasrec", "permuted_users"): DRAWN,
    ("esasrec", "permuted_items"): DRAWN,
    ("crnn", "permuted_users"): DRAWN,
    ("crnn", "permuted_items"): DRAWN,
    ("hstu", "permuted_users"): DRAWN,
    ("hstu", "permuted_items"): DRAWN,
    ("gru4rec", "permuted_users"): DRAWN,
    ("gru4rec", "permuted_items"): DRAWN,
    ("seq", "permuted_users"): DRAWN,
    ("seq", "permuted_items"): DRAWN,
}


def models(check: str, names: list[str] = MODELS) -> pytest.MarkDecorator:
    """Run a check for every model; one that is exempt must fail it."""
    cases = [
        pytest.param(
            name,
            marks=pytest.mark.xfail(
                (name, check) in EXEMPT,
                reason=EXEMPT.get((name, check), ""),
                raises=AssertionError,
                strict=True,
            ),
        )
        for name in names
    ]
    return pytest.mark.parametrize("name", cases)


def read(group: str, name: str) -> dict[str, Any]:
    """A group's file, as it stands."""
    return yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8"))


def settings(group: str, name: str) -> dict[str, Any]:
    """`_target_` and the settings of a file."""
    return {key: value for key, value in read(group, name).items() if key != "defaults"}


def target(name: str) -> type:
    """The class of a model."""
    return locate(settings("model", name)["_target_"], key="model")


def trainer_of(name: str) -> str:
    """The trainer that a model's file chooses."""
    chosen = [entry for entry in read("model", name)["defaults"] if isinstance(entry, dict)]
    return next(value for entry in chosen for key, value in entry.items() if "/trainer" in key)


def unfitted(name: str, interactions: Interactions, seed: int = 0) -> Any:
    """A model as it is built for these data."""
    sizes = {
        "n_users": interactions.n_users,
        "n_items": interactions.n_items,
        "context_facts": context_facts(interactions, interactions),
    }
    with isolated(seed, "init"):
        return build(settings("model", name), key="model", **sizes)


def fit(name: str, interactions: Interactions, seed: int = 0) -> Any:
    """A fitted model: in one go, or by the trainer that its file names."""
    model = unfitted(name, interactions, seed)
    if isinstance(model, ClosedForm):
        model.fit(interactions)
    else:
        later = (
            itertools.count()
        )  # each validation is better, so that the last epoch's weights stay
        given = settings("trainer", trainer_of(name))
        small = {key: value for key, value in SMALL_DATA.items() if given[key] is not None}
        trainer = build(given | small, key="trainer", seed=seed)
        trainer.fit(
            model,
            interactions,
            device=Device("cpu", 1),
            primary="better",
            validate=lambda: {"better": float(next(later))},
            report=lambda epoch, numbers: None,
            progress=Silent(),
        )
    return model.eval()


_fitted: dict[tuple[Any, ...], Any] = {}


def fitted(name: str, interactions: Interactions, seed: int = 0) -> Any:
    """The same, fitted once for all checks that only read it."""
    key = (name, interactions.digest(), seed, *SMALL_DATA.values())
    if key not in _fitted:
        _fitted[key] = fit(name, interactions, seed)
    return _fitted[key]


def score(model: Any, queries: Queries) -> torch.Tensor:
    with torch.no_grad():
        return model.score(queries)


def after(history: Interactions) -> Holdout:
    """Ask every user what comes an hour after their last event (the targets only tell the moment)."""
    last = history.take(history.offsets[1:] - 1)
    assert last.times is not None
    return Holdout(
        history=history,
        targets=dataclasses.replace(last, times=last.times + 3600),
        warm_users=np.ones(history.n_users, dtype=bool),
        warm_items=history.item_counts > 0,
    )


def ask(model: Any, history: Interactions) -> Queries:
    """The questions of all users."""
    return make_queries(
        after(history), np.arange(history.n_users), model.reads, model.history_length
    )


def relabelled(interactions: Interactions, users: np.ndarray, items: np.ndarray) -> Interactions:
    """The same events, of users and items whose codes are other ones: code c becomes users[c] or items[c]."""
    return from_columns(
        users=users[interactions.users], items=items[interactions.items], times=interactions.times
    )


@functools.cache
def skewed() -> tuple[Interactions, Interactions]:
    """300 users and 60 items of three tastes, a few of them much more popular: training events, and 2 test events a user.

    Nine of ten events are of the user's own taste, so popularity is a fair guess that every model must beat.
    """
    random = np.random.default_rng(0)
    popularity = 1 / (1 + np.arange(60) // 3)
    users, items = [], []
    for user in range(300):
        chance = popularity * np.where(np.arange(60) % 3 == user % 3, 9.0, 0.5)
        items.append(random.choice(60, size=10, replace=False, p=chance / chance.sum()))
        users.append(np.full(10, user))
    order = np.tile(np.arange(10), 300)
    times = 1_000_000_000 + random.permutation(3000).reshape(300, 10)
    times.sort(axis=1)
    events = from_columns(
        users=np.concatenate(users), items=np.concatenate(items), times=times.ravel() * 3600
    )
    return events.take(order < 8), events.take(order >= 8)

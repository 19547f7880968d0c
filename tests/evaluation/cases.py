"""Small holdouts, a model whose scores are given, and generators of random and adversarial cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from recsys_cli.data.categories import Categories
from recsys_cli.data.interactions import Interactions, Vocabulary
from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import Result, evaluate

CPU = torch.device("cpu")


def events(pairs: Sequence[Mapping[int, float]], n_items: int) -> Interactions:
    """One mapping of item to value a user, in order."""
    users = [user for user, own in enumerate(pairs) for _ in own]
    items = [item for own in pairs for item in own]
    values = [value for own in pairs for value in own.values()]
    return Interactions(
        users=np.array(users, dtype=np.int32),
        items=np.array(items, dtype=np.int32),
        values=np.array(values, dtype=np.float32),
        times=None,
        rows=np.arange(len(users)),
        user_ids=Vocabulary(np.array([f"u{user}" for user in range(len(pairs))])),
        item_ids=Vocabulary(np.arange(n_items) + 100),
        item_categories=categories(n_items),
    )


def categories(n_items: int) -> Categories:
    """Every combination of three categories, none among them, over and over."""
    return Categories(("a", "b", "c"), (np.arange(n_items)[:, None] >> np.arange(3)) % 2 == 1)


@dataclass
class Case:
    """Some users: the scores of all items, what they had, and what they will want (item to value)."""

    scores: np.ndarray
    seen: list[set[int]]
    targets: list[dict[int, float]]

    @property
    def n_items(self) -> int:
        return self.scores.shape[1]

    def holdout(self, *, warm_users: Any = True, warm_items: Any = True) -> Holdout:
        return Holdout(
            history=events([dict.fromkeys(sorted(own), 1.0) for own in self.seen], self.n_items),
            targets=events(self.targets, self.n_items),
            warm_users=np.broadcast_to(warm_users, len(self.seen)),
            warm_items=np.broadcast_to(warm_items, self.n_items),
        )

    def evaluate(self, rules: RankingProtocol, **warm: Any) -> Result:
        return evaluate(Table(self.scores), self.holdout(**warm), rules, device=CPU)


class Table(nn.Module):
    """Scores are looked up: row u is user u. A user the training data does not know reads the last row."""

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length = None

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("scores", torch.as_tensor(scores))
        self.batch_sizes: list[int] = []
        self.modes: list[bool] = []

    def score(self, queries):
        self.batch_sizes.append(len(queries))
        self.modes.append(self.training)
        return self.scores[queries.users]


def protocol(metrics: list[str], cutoffs: list[int], **other: Any) -> RankingProtocol:
    settings: dict[str, Any] = {
        "primary": f"ndcg_at_{cutoffs[0]}",
        "exclude_seen": True,
        "dialect": "recsys",
        **other,
    }
    metrics = metrics if "ndcg" in metrics or "primary" in other else ["ndcg", *metrics]
    return RankingProtocol(cutoffs=cutoffs, metrics=metrics, **settings)


def random_case(seed: int, n_items: int, *, n_users: int = 30, ties: bool = False) -> Case:
    """Users of every sort: few and many targets, all or nothing seen, perfect and worst rankings."""
    generator = np.random.default_rng(seed)
    scores = np.stack([generator.permutation(n_items) for _ in range(n_users)]).astype(np.float32)
    if ties:
        scores = np.floor(scores / generator.integers(1, n_items + 2, (n_users, 1)))
    seen, targets = [], []
    for user in range(n_users):
        order = generator.permutation(n_items)
        n_targets = int(
            generator.choice([1, 2, n_items // 2, n_items, generator.integers(n_items + 1)])
        )
        n_targets = min(max(n_targets, 1), n_items)
        n_seen = int(generator.choice([0, 1, n_items - n_targets, generator.integers(n_items + 1)]))
        own = order[:n_targets]
        others = order[n_targets:]
        if not ties and user % 5 == 0:
            scores[user, own], scores[user, others] = _apart(
                generator, len(own), len(others), user % 2
            )
        targets.append({int(item): float(generator.integers(1, 6)) for item in own})
        had_already = own[: user % 7 == 3]  # a target that can't be recommended
        seen.append({int(item) for item in [*others[:n_seen], *had_already]})
    return Case(scores, seen, targets)


def _apart(
    generator: np.random.Generator, n_targets: int, n_others: int, worst: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct scores with all targets above all others, or below them."""
    low, high = np.arange(n_targets + n_others), n_targets + n_others
    own = low[:n_targets] if worst else low[high - n_targets :]
    others = low[n_targets:] if worst else low[: high - n_targets]
    return generator.permutation(own), generator.permutation(others)

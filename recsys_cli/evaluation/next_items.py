"""The items that a model puts first for one person, with the scores that say by how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsys_cli.data.queries import make_queries
from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.scoring import evaluating, rank
from recsys_cli.evaluation.targets import all_targets
from recsys_cli.evaluation.top_k import NO_ITEM
from recsys_cli.progress import Silent


def next_items(
    model: Any, question: Holdout, k: int, *, device: torch.device
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The best unseen items for the one who asks, by the rules of the evaluation.

    Args:
        model: Lies on `device`.
        question: Has one target, which tells who asks and when.
        k: Length of the list.
        device: Where the model computes.

    Returns:
        Item codes and their scores, best first. Fewer than k where fewer are unseen; none where all unseen items
        have one and the same score.

    Raises:
        DivergedError: A score is not finite.
    """
    protocol = RankingProtocol(
        cutoffs=[k],
        metrics=["hit"],
        primary=f"hit_at_{k}",
        exclude_seen=True,
        dialect="recsys",
    )
    ranking = rank(
        model,
        question,
        all_targets(question),
        protocol,
        device=device,
        progress=Silent(),
        what="one user",
    )
    items = ranking.items[0][ranking.items[0] != NO_ITEM]
    queries = make_queries(question, question.users, model.reads, model.history_length).to(device)
    with evaluating(model):
        scores = model.score(queries)[0].double().cpu().numpy()
    return items, scores[items]

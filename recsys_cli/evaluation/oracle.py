"""The best that can be reached on generated data: its oracle, asked and judged as a model is.

The oracle ranks by the true chances of what comes next. It knows a part of what the data was made from: nothing but
popularity, each user's taste too, the order of events too, or the moment too. What a model gains over another is
seen against this ladder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from recsys_cli.data.oracle import LADDER, Knowledge, World, oracle_scores
from recsys_cli.data.queries import Queries
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.progress import Progress, Silent

SILENT = Silent()


class Oracle:
    """Scores every item by its true chance to be a user's next event.

    Args:
        world: What the interactions were drawn from.
        holdout: The questions that it will be asked.
        knows: How much it knows.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"users"})
    history_length: int | None = None

    def __init__(self, *, world: World, holdout: Holdout, knows: Knowledge) -> None:
        self.world, self.holdout, self.knows = world, holdout, knows

    def score(self, queries: Queries) -> Tensor:
        """Probabilities, (batch, items), float64."""
        assert queries.users is not None
        users = queries.users.numpy()
        return torch.from_numpy(oracle_scores(self.world, self.holdout, users, self.knows))


def oracle_ladder(
    world: World,
    holdout: Holdout,
    protocol: RankingProtocol,
    progress: Progress = SILENT,
    levels: Sequence[Knowledge] = LADDER,
) -> dict[Knowledge, dict[str, float]]:
    """The metrics of the oracle at each level of knowledge, over all users of the holdout.

    Each is the best that anyone with this knowledge can reach for the next event, and nearly so where later
    targets count too.

    Args:
        world: What the interactions were drawn from.
        holdout: A part of a split of these interactions.
        protocol: The metrics; `warm_...` ones are left out, as no user or item is new to the oracle.
        progress: Shows how far it is.
        levels: Of knowledge.

    Raises:
        DataError: The holdout is not of this world, asks about the past, or nobody has a target.
    """
    _check_order(holdout)
    # The oracle knows every user and item, seen in training or not.
    known = replace(
        holdout,
        warm_users=np.ones_like(holdout.warm_users),
        warm_items=np.ones_like(holdout.warm_items),
    )
    ladder = {}
    with progress.bar("ask the oracle", len(levels), "levels of knowledge") as bar:
        for knows in levels:
            ladder[knows] = evaluate(
                Oracle(world=world, holdout=known, knows=knows),
                known,
                protocol,
                device=torch.device("cpu"),
                progress=progress,
                what=f"an oracle that knows {knows}",
            ).metrics
            bar.advance()
    return ladder


def _check_order(holdout: Holdout) -> None:
    """An oracle tells what comes next: every history must end before its target."""
    history, targets = holdout.history, holdout.targets
    if history.times is None or targets.times is None:
        return  # told by the oracle itself
    users = holdout.users[np.diff(history.offsets)[holdout.users] > 0]
    last = history.times[history.offsets[users + 1] - 1]
    if (last > targets.times[targets.offsets[users]]).any():
        raise DataError(
            "in this split, users have events later than those that are asked for",
            "take one that asks for the latest, such as split=global_time",
        )

"""Recommendations that another program made, measured on the same questions by the same rules as a model's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.list_file import Lists
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError, nearest
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import Result, measure
from recsys_cli.evaluation.scoring import NEEDS_SCORES, Ranking
from recsys_cli.evaluation.targets import all_targets
from recsys_cli.evaluation.top_k import NO_ITEM


@dataclass(frozen=True, eq=False)
class ListsResult:
    """What an evaluation of given lists found.

    Attributes:
        result: As of a model.
        n_without_list: Users with a target and no list; they count as an empty list.
        n_not_asked: Users with a list and no target; they are not asked.
        n_seen: Items taken out of the lists because their user already had them.
        longest: Items of the longest list of those who are asked.
        left_out: Metrics that need the scores of all items.
    """

    result: Result
    n_without_list: int
    n_not_asked: int
    n_seen: int
    longest: int
    left_out: list[str]


def evaluate_lists(
    lists: Lists, holdout: Holdout, protocol: RankingProtocol, *, primary: str | None = None
) -> ListsResult:
    """Measure given lists on a holdout.

    The protocol's rules are those of a model: where it excludes seen items they are taken out of the lists, and the
    items below move up.

    Args:
        lists: In the codes of the holdout.
        holdout: What is known, and what is to be predicted.
        protocol: The metrics and their cut-offs.
        primary: The value to go by; None = the protocol's.

    Raises:
        DataError: The metric to go by cannot be computed from lists alone.
    """
    left_out = [name for name in protocol.metrics if name in NEEDS_SCORES]
    wanted = primary or protocol.primary
    kept = [name for name in protocol.metrics if name not in NEEDS_SCORES]
    keys = [key for key in protocol.keys if key.split("_at_")[0] in kept]
    if wanted not in keys:
        raise DataError(f"{wanted} cannot be computed from lists alone", nearest(wanted, keys))
    users, items, n_seen = _asked(lists, holdout, protocol.exclude_seen)
    targets = all_targets(holdout)
    seen_targets = np.isin(targets.keys, _pairs(holdout)) if protocol.exclude_seen else np.array([])
    ranking = Ranking(
        users=holdout.users,
        items=_rows(users, items, holdout.users, protocol.longest),
        from_scores={},
        n_seen_targets=int(seen_targets.sum()),
    )
    measured = replace(protocol, metrics=kept, primary=wanted)
    listed = np.unique(lists.users)
    return ListsResult(
        result=measure(ranking, holdout, targets, measured),
        n_without_list=int((~np.isin(holdout.users, listed)).sum()),
        n_not_asked=int((~np.isin(listed, holdout.users)).sum()),
        n_seen=n_seen,
        longest=int(np.bincount(users).max(initial=0)),
        left_out=left_out,
    )


def _asked(
    lists: Lists, holdout: Holdout, exclude_seen: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The rows of users who have a target, without what they already had, and how many that were."""
    asked = np.isin(lists.users, holdout.users)
    users, items = lists.users[asked], lists.items[asked]
    if not exclude_seen:
        return users, items, 0
    seen = np.isin(users * holdout.history.n_items + items, _pairs(holdout))
    return users[~seen], items[~seen], int(seen.sum())


def _pairs(holdout: Holdout) -> NDArray[np.int64]:
    seen = holdout.seen
    return seen.users.astype(np.int64) * seen.n_items + seen.items


def _rows(
    users: NDArray[np.int64], items: NDArray[np.int64], asked: NDArray[np.int64], longest: int
) -> NDArray[np.int32]:
    """(asked, longest) item codes, padded on the right with -1."""
    ranked = np.full((len(asked), longest), NO_ITEM, dtype=np.int32)
    place = np.arange(len(users)) - np.searchsorted(users, users)
    inside = place < longest
    ranked[np.searchsorted(asked, users[inside]), place[inside]] = items[inside]
    return ranked

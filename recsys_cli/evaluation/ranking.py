"""Full-ranking evaluation: every model ranks the whole catalogue for every user who has a target.

What a user already had (`Holdout.seen`: for the test that is training and validation together) is taken out of
their ranking. A target they already had therefore stays a miss, and is counted and told. All metrics at all
cut-offs come from one top-k pass over the scores. Numbers that look only at targets whose user and item the training
data knows are called `warm_...` and are there only where the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recsys_cli.data.distinct import distinct
from recsys_cli.data.split import Holdout
from recsys_cli.errors import DataError
from recsys_cli.evaluation.beyond import coverage, gini, mean_of_list, self_information
from recsys_cli.evaluation.category_metrics import of_categories
from recsys_cli.evaluation.metrics import BY_GAINS, BY_HITS, BY_LENGTH
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.scoring import Ranking, rank
from recsys_cli.evaluation.targets import Targets, all_targets, warm_targets
from recsys_cli.evaluation.top_k import NO_ITEM
from recsys_cli.models.contract import Model
from recsys_cli.progress import Progress, Silent

SILENT = Silent()
USERS_AT_ONCE = 4096
LARGEST_GRADE = 64.0

PerUser = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Result:
    """What an evaluation found.

    Attributes:
        users: Codes of the users that were asked, ascending: all who have a target.
        ranked: (users, longest cut-off) item codes, best first, int32; -1 where a list is shorter.
        per_user: Value of each user, by key, in the order of `users`; NaN where the metric has none.
        metrics: Means over the users who have a value, metrics of the catalogue, and `warm_...` variants; a metric
            that nobody has a value for is left out.
        primary: The value that validation and comparisons go by; higher is better.
        n_warm_users: Users with an event in the training data and a target whose item has one.
        n_seen_targets: Targets that could not be recommended because their user already had them.
    """

    users: NDArray[np.int64]
    ranked: NDArray[np.int32]
    per_user: PerUser
    metrics: dict[str, float]
    primary: float
    n_warm_users: int
    n_seen_targets: int

    @property
    def n_users(self) -> int:
        """How many users were asked."""
        return len(self.users)


def evaluate(
    model: Model,
    holdout: Holdout,
    protocol: RankingProtocol,
    *,
    device: torch.device,
    progress: Progress = SILENT,
    what: str = "test",
) -> Result:
    """Rank the whole catalogue for each user with a target, and measure the lists.

    Args:
        model: Lies on `device`; it is switched to evaluation and back.
        holdout: What is known, and what is to be predicted.
        protocol: The metrics, their cut-offs, and whether seen items are excluded.
        device: Where the model computes; metrics are computed on the CPU in float64.
        progress: Shows a bar, and a note where targets can't be recommended.
        what: Name of the part, for the bar.

    Raises:
        DataError: No user has a target, the targets' values do not suit a graded metric, or the items have no
            categories and a metric needs them.
        DivergedError: A score is NaN or infinite.
        ModelError: The scores have the wrong shape or type.
    """
    targets = all_targets(holdout)
    _check_targets(targets, protocol)
    ranking = rank(model, holdout, targets, protocol, device=device, progress=progress, what=what)
    if ranking.n_seen_targets:
        progress.note(
            f"{ranking.n_seen_targets:,} of {len(targets.keys):,} {what} targets are items that their user already "
            "had, so no list can hold them; evaluation.exclude_seen=false ranks them too"
        )
    return measure(ranking, holdout, targets, protocol)


def measure(
    ranking: Ranking, holdout: Holdout, targets: Targets, protocol: RankingProtocol
) -> Result:
    """All metrics of given lists."""
    accuracy = _accuracy(ranking, targets, protocol)
    per_user = accuracy | ranking.from_scores | _properties(ranking, holdout, protocol)
    per_user |= of_categories(ranking, holdout, protocol)
    means = _means(per_user) | _of_catalogue(ranking, targets.n_items, protocol)
    metrics = {key: means[key] for key in protocol.keys if key in means}
    warm = warm_targets(holdout)
    if warm is not None:
        of_warm = _means(_accuracy(ranking, warm, protocol))
        metrics |= {f"warm_{key}": of_warm[key] for key in protocol.keys if key in of_warm}
    if protocol.primary not in metrics:
        raise DataError(
            f"no user has a value of {protocol.primary}", "choose another evaluation.primary"
        )
    return Result(
        users=ranking.users,
        ranked=ranking.items,
        per_user=per_user,
        metrics=metrics,
        primary=metrics[protocol.primary],
        n_warm_users=int(((targets if warm is None else warm).counts(ranking.users) > 0).sum()),
        n_seen_targets=ranking.n_seen_targets,
    )


def _check_targets(targets: Targets, protocol: RankingProtocol) -> None:
    if not len(targets.keys):
        raise DataError("no user has a target", "choose a split that leaves something to predict")
    graded = [name for name in protocol.metrics if protocol.variant(name) in BY_GAINS]
    low, high = float(targets.values.min()), float(targets.values.max())
    if graded and not 0 <= low <= high <= LARGEST_GRADE:
        raise DataError(
            f"{graded[0]} takes the targets' values as grades from 0 to {LARGEST_GRADE:g}; here they go from "
            f"{low:g} to {high:g}",
            "leave it out of evaluation.metrics, or bring the values into that range",
        )


def _accuracy(ranking: Ranking, targets: Targets, protocol: RankingProtocol) -> PerUser:
    """The metrics that compare lists with targets; a user without a target has NaN."""
    variants = {name: protocol.variant(name) for name in protocol.metrics}
    names = [n for n, v in variants.items() if v in BY_HITS or v in BY_LENGTH or v in BY_GAINS]
    values = {f"{n}_at_{k}": np.empty(len(ranking.users)) for n in names for k in protocol.cutoffs}
    for start in range(0, len(ranking.users), USERS_AT_ONCE):
        rows = slice(start, start + USERS_AT_ONCE)
        users = ranking.users[rows]
        found, gained = targets.find(users, ranking.items[rows])
        hits, gains = torch.from_numpy(found), torch.from_numpy(gained)
        n_relevant = torch.from_numpy(targets.counts(users))
        listed = torch.from_numpy(ranking.items[rows] != NO_ITEM)
        if any(variants[name] in BY_GAINS for name in names):
            best = torch.from_numpy(targets.best_values(users, protocol.longest))
        for name in names:
            variant = variants[name]
            for k in protocol.cutoffs:
                if variant in BY_HITS:
                    value = BY_HITS[variant](hits[:, :k], n_relevant)
                elif variant in BY_LENGTH:
                    value = BY_LENGTH[variant](hits[:, :k], n_relevant, listed[:, :k].sum(1))
                else:
                    value = BY_GAINS[variant](gains[:, :k], best[:, :k])
                values[f"{name}_at_{k}"][rows] = value.numpy()
    return values


def _properties(ranking: Ranking, holdout: Holdout, protocol: RankingProtocol) -> PerUser:
    """The metrics that average a property of the listed items."""
    history = holdout.history
    properties = {}
    if "popularity" in protocol.metrics:
        properties["popularity"] = torch.from_numpy(history.item_counts).double()
    if "novelty" in protocol.metrics:
        pairs = distinct(history.users.astype(np.int64) * history.n_items + history.items)
        users_with_item = np.bincount(pairs % history.n_items, minlength=history.n_items)
        n_users = max(int((np.diff(history.offsets) > 0).sum()), 1)
        properties["novelty"] = self_information(
            torch.from_numpy(users_with_item).double(), n_users
        )
    items = torch.from_numpy(ranking.items).long()
    return {
        f"{name}_at_{k}": mean_of_list(items[:, :k], value).numpy()
        for name, value in properties.items()
        for k in protocol.cutoffs
    }


def _of_catalogue(ranking: Ranking, n_items: int, protocol: RankingProtocol) -> dict[str, float]:
    """The metrics that look at all lists at once."""
    values = {}
    for k in protocol.cutoffs:
        listed = ranking.items[:, :k]
        counts = np.bincount(listed[listed != NO_ITEM], minlength=n_items)
        shown = torch.from_numpy(counts).double()
        for name, metric in (("coverage", coverage), ("gini", gini)):
            value = metric(shown)
            if name in protocol.metrics and not np.isnan(value):
                values[f"{name}_at_{k}"] = value
    return values


def _means(per_user: PerUser) -> dict[str, float]:
    """The mean of each metric over the users who have a value; nothing where nobody has."""
    means = {}
    for key, values in per_user.items():
        present = values[~np.isnan(values)]
        if len(present):
            means[key] = float(present.mean())
    return means

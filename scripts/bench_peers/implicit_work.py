"""The work of `scripts/bench` by implicit."""

import sys
from importlib.metadata import version

import numpy as np
import shared
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy import sparse


def matrix(row: str, data: str) -> sparse.csr_matrix:
    """The training events."""
    if row == "mf-epoch-20m":
        users, items, _, _ = shared.drawn()
    else:
        arrays = shared.load(data)
        users, items = arrays["train_users"], arrays["train_items"]
    return sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)))


def evaluation(data: str) -> None:
    """Seconds to recommend ten unseen items to each user."""
    events = matrix("mf-epoch", data)
    model = BayesianPersonalizedRanking(
        factors=64, iterations=1, num_threads=1, use_gpu=False, random_state=0
    )
    model.fit(events, show_progress=False)
    users = np.arange(events.shape[0])
    cpu, wall = shared.median(lambda: model.recommend(users, events, N=10))
    shared.tell(version("implicit"), cpu, wall)


def epoch(row: str, data: str) -> None:
    """Seconds an epoch or iteration."""
    events = matrix(row, data)

    def train(epochs: int) -> None:
        if row == "ials-iteration":
            model = AlternatingLeastSquares(
                factors=64, iterations=epochs, num_threads=1, use_gpu=False, random_state=0
            )
        else:
            model = BayesianPersonalizedRanking(
                factors=64, iterations=epochs, num_threads=1, use_gpu=False, random_state=0
            )
        model.fit(events, show_progress=False)

    cpu, wall = shared.of_an_epoch(train, {"mf-epoch-20m": 2}.get(row, 5))
    shared.tell(version("implicit"), cpu, wall)


if __name__ == "__main__":
    row, _, data, _ = sys.argv[1:]
    if row == "mf-evaluation":
        evaluation(data)
    else:
        epoch(row, data)

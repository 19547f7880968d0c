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


def main(row: str, data: str) -> None:
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
    main(sys.argv[1], sys.argv[2])

"""The work of `scripts/bench` by irspack."""

import sys
from importlib.metadata import version

import numpy as np
import shared
from irspack.recommenders.ials import IALSRecommender
from scipy import sparse


def main(data: str) -> None:
    """Seconds an iteration."""
    arrays = shared.load(data)
    users, items = arrays["train_users"], arrays["train_items"]
    events = sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)))

    def train(epochs: int) -> None:
        IALSRecommender(
            events, n_components=64, alpha0=0.1, reg=0.003, n_threads=1, solver_type="CG", max_cg_steps=3,
            train_epochs=epochs,
        ).learn()  # fmt: skip

    cpu, wall = shared.of_an_epoch(train, 5)
    shared.tell(version("irspack"), cpu, wall)


if __name__ == "__main__":
    main(sys.argv[3])

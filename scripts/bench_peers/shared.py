"""What all sides of the comparison share: the data, the clock, and the measure of quality. Needs numpy alone."""

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

CUTOFF, CHUNK = 10, 512
USERS_20M, ITEMS_20M, EVENTS_20M = 138_493, 26_744, 16_000_000


class Clock:
    """Seconds of this process and on the wall, of the blocks that it is entered for."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    @contextmanager
    def running(self):
        """Count the block."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


def load(folder: str) -> dict:
    """`train_users`, `train_items` and so on of MovieLens-1M: codes."""
    with np.load(f"{folder}/ml-1m.npz", allow_pickle=False) as file:  # noqa: TID251  # a peer's environment has nothing of ours
        return dict(file)


def drawn() -> tuple[np.ndarray, np.ndarray, int, int]:
    """Events as many as MovieLens-20M trains on, each pair once, of items as unequal as there."""
    random = np.random.default_rng(0)
    weight = 1 / (10 + np.arange(ITEMS_20M)) ** 0.9
    users = np.sort(random.integers(0, USERS_20M, EVENTS_20M))
    items = random.choice(ITEMS_20M, EVENTS_20M, p=weight / weight.sum())
    keys = np.sort(users * ITEMS_20M + items, kind="stable")
    keys = keys[np.append(True, keys[1:] != keys[:-1])]  # `unique` takes ten times as long
    return keys // ITEMS_20M, keys % ITEMS_20M, USERS_20M, ITEMS_20M


def write_20m(folder: Path) -> None:
    """The drawn events, a line each, by chance, with times: a csv for us and RecBole's own file."""
    users, items, _, _ = drawn()
    order = np.random.default_rng(1).permutation(len(users))
    name = "ml-20m-drawn"
    csv, inter = folder / f"{name}.csv", folder / "recbole" / name / f"{name}.inter"
    inter.parent.mkdir(parents=True)
    with csv.open("w") as ours, inter.open("w") as theirs:
        ours.write("user,item,time\n")
        theirs.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for block in np.array_split(order, 200):
            rows = list(
                zip(users[block].tolist(), items[block].tolist(), block.tolist(), strict=True)
            )
            ours.writelines(f"{u},{i},{1_000_000_000 + t}\n" for u, i, t in rows)
            theirs.writelines(f"{u}\t{i}\t{1_000_000_000 + t}\n" for u, i, t in rows)


def of_an_epoch(train: Callable[[int], None], epochs: int) -> tuple[float, float]:
    """CPU and wall seconds an epoch: of so many and one more, less those of one."""
    one, more = Clock(), Clock()
    with one.running():
        train(1)
    with more.running():
        train(1 + epochs)
    return (more.cpu - one.cpu) / epochs, (more.wall - one.wall) / epochs


def median(work: Callable[[], object], repeats: int = 3) -> tuple[float, float]:
    """CPU and wall seconds of it, after one time that is not counted."""
    work()
    clocks = [Clock() for _ in range(repeats)]
    for clock in clocks:
        with clock.running():
            work()
    clocks.sort(key=lambda clock: clock.cpu)
    return clocks[repeats // 2].cpu, clocks[repeats // 2].wall


def ndcg(users: np.ndarray, items: np.ndarray, data: dict) -> float:
    """NDCG@10 of the test over users with a test event, all items ranked, those of training and validation taken out."""
    seen_users = np.concatenate([data["train_users"], data["valid_users"]])
    seen_items = np.concatenate([data["train_items"], data["valid_items"]])
    test = np.zeros((len(users), len(items)), bool)
    test[data["test_users"], data["test_items"]] = True
    discount = 1 / np.log2(np.arange(CUTOFF) + 2)
    ideal = np.cumsum(discount)
    total, asked = 0.0, 0
    for start in range(0, len(users), CHUNK):
        scores = users[start : start + CHUNK] @ items.T
        mine = (seen_users >= start) & (seen_users < start + CHUNK)
        scores[seen_users[mine] - start, seen_items[mine]] = -np.inf
        top = np.argpartition(-scores, CUTOFF, axis=1)[:, :CUTOFF]
        top = np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1), 1)
        targets = test[start : start + CHUNK]
        count = targets.sum(1)
        gain = (np.take_along_axis(targets, top, 1) * discount).sum(1)
        has = count > 0
        total += (gain[has] / ideal[np.minimum(count[has], CUTOFF) - 1]).sum()
        asked += has.sum()
    return float(total / asked)


def tell(version: str, cpu: float, wall: float, **more: object) -> None:
    """The line that `scripts/bench` reads."""
    print(json.dumps({"version": version, "cpu_seconds": cpu, "wall_seconds": wall} | more))

"""Can a feed-forward net learn the dot product of its embeddings? What slide 10 of the talk comes down to, measured.

Nets of one hidden layer of growing width, beside the dot product itself, which has nothing to learn but the
embeddings (`dot_probe_fits` says what they learn). That a wide layer is needed for so small a function, and a wider
one the more numbers a vector has, is what Beutel et al. ("Latent Cross", 2018) saw with learnt embeddings and Rendle et
al. ("Neural collaborative filtering vs. matrix factorization revisited", 2020) with given ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from recsys_cli import __version__
from recsys_cli.comparisons.dot_probe_fits import Fit, Task, fit_often, make_world
from recsys_cli.config import Config, build
from recsys_cli.devices import environment, open_device
from recsys_cli.progress import Progress
from recsys_cli.tracking.contract import Status, Tracker, keep_texts

WELL = 0.99  # the correlation from which on a function counts as learnt
HIDDEN = (1, 2, 5, 10, 20, 30, 50)
RAW, PAGE = "dot_probe.json", "dot_probe.html"
TASKS = (
    Task(2, 1, "learnt"),
    Task(2, 2, "learnt"),
    Task(3, 1, "learnt"),
    Task(2, 4, "given"),
    Task(2, 16, "given"),
)


@dataclass(frozen=True)
class DotProbe:
    """What was found.

    Attributes:
        fits: Each task with each width, the dot product first: of several starts the one in the middle.
        hidden: The widths.
        steps: Of training, each on 1,000 cells.
        starts: Random starts of each.
        seed: From which all randomness came.
        environment: Versions and hardware.
        logged_at: Where it is recorded; empty for nowhere.
        how_to_open: The command that shows the record.
    """

    fits: Sequence[Fit]
    hidden: Sequence[int]
    steps: int
    starts: int
    seed: int
    environment: dict[str, str]
    logged_at: str = ""
    how_to_open: str = ""

    def of(self, task: Task) -> list[Fit]:
        """Those of a task, by width."""
        return [fit for fit in self.fits if fit.task == task]

    @property
    def tasks(self) -> list[Task]:
        """The tasks, in order."""
        return list(dict.fromkeys(fit.task for fit in self.fits))

    def needed(self, task: Task) -> int | None:
        """The fewest hidden units that learnt a task; None where none of the widths did."""
        enough = [fit.hidden for fit in self.of(task) if fit.hidden and fit.asked >= WELL]
        return min(enough, default=None)

    @property
    def conclusion(self) -> str:
        """What it comes down to, in a sentence."""
        told = []
        for task in self.tasks:
            needed, nets = self.needed(task), self.of(task)[1:]
            best = max(nets, key=lambda fit: -1.0 if math.isnan(fit.asked) else fit.asked)
            told.append(
                f"{task.name}: {needed} hidden units"
                if needed
                else f"{task.name}: more than {max(self.hidden)} (best R {best.asked:.3f} with {best.hidden})"
            )
        dot = min(self.of(task)[0].asked for task in self.tasks)
        of = "one start" if self.starts == 1 else f"the median of {self.starts} starts"
        return (
            f"To reach R {WELL} on cells that it was not trained on, a feed-forward net, {of}, needed for "
            f"{'; '.join(told)}. "
            f"The dot product reaches at least {dot:.3f} in each of them without a hidden unit"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; a correlation that is none is null."""
        fits = [
            asdict(fit)
            | {"trained": _number(fit.trained), "asked": _number(fit.asked)}
            | {"starts": [_number(asked) for asked in fit.starts]}
            for fit in self.fits
        ]
        needed = {task.name: self.needed(task) for task in self.tasks}
        return asdict(self) | {"fits": fits, "needed": needed, "conclusion": self.conclusion}


def probe_dot(
    settings: Config,
    *,
    hidden: Sequence[int],
    steps: int,
    starts: int,
    progress: Progress,
    page: Callable[[DotProbe], str],
    tasks: Sequence[Task] = TASKS,
) -> DotProbe:
    """Train every width on every task, and record what came of it.

    Args:
        settings: Seed and tracking.
        hidden: Widths of the hidden layer.
        steps: Of training.
        starts: Random starts of each width on each task, of which the median counts.
        progress: Shows how it goes on.
        page: Draws the report that is recorded with it.
        tasks: The functions.
    """
    device = open_device(name="cpu", threads=1)
    seed = int(settings.tree["seed"])
    tracker: Tracker = build(settings.tree["tracking"], key="tracking")
    tracker.start(
        name="probe dot",
        params={"hidden": list(hidden), "steps": steps, "starts": starts, "seed": seed},
        tags={"recsys.version": __version__, "recsys.probe": "dot"},
        warn=progress.note,
    )
    status: Status = "FAILED"
    try:
        with device.active():
            fits = _all(tasks, [0, *hidden], steps, starts, seed, progress)
        found = DotProbe(fits, hidden, steps, starts, seed, environment(device))
        found = replace(found, logged_at=tracker.location, how_to_open=tracker.how_to_open)
        tracker.metrics({_key(fit): fit.asked for fit in fits if not math.isnan(fit.asked)})
        keep_texts(tracker, {RAW: _text(found), PAGE: page(found)})
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    return replace(found, logged_at=tracker.location)


def _all(
    tasks: Sequence[Task],
    widths: Sequence[int],
    steps: int,
    starts: int,
    seed: int,
    progress: Progress,
) -> list[Fit]:
    fits = []
    with progress.bar("probe dot", len(tasks) * len(widths), "nets") as bar:
        for task in tasks:
            world = make_world(task, seed)
            for hidden in widths:
                fits.append(fit_often(task, world, hidden, steps, seed, starts))
                bar.advance()
    return fits


def _key(fit: Fit) -> str:
    task = fit.task
    return f"r_{task.modes}way_rank{task.rank}_{task.vectors}_hidden{fit.hidden}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _text(found: DotProbe) -> str:
    return json.dumps(found.to_json(), indent=2) + "\n"

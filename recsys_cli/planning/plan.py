"""A plan of one training: what each phase will take, told from what a little of it took here.

The data is loaded and split, the model is built, and a few seconds of each piece of work are done, exactly as a
training would do them; nothing is written but the caches of data and kernels, which a training would write too.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recsys_cli.allocator import give_back_freed_memory
from recsys_cli.config import Config
from recsys_cli.devices import Device
from recsys_cli.footprint import LIBRARIES, Footprint
from recsys_cli.planning import disk
from recsys_cli.planning.advice import Advice, advise
from recsys_cli.planning.probe import (
    Learning,
    look_fitted,
    probe_fit,
    probe_ranking,
    probe_steps,
)
from recsys_cli.preparation import Draft, Stopwatch, complete, sketch
from recsys_cli.progress import NotesOnce, Progress
from recsys_cli.resources import free_on_disk, memory
from recsys_cli.training.loop import ClosedFormTrainer, GradientTrainer

# Of MLflow: what it takes to import it and to tell it of a run, in times of what it took to start this program, and
# the memory of its code.
TRACKER_STARTS, TRACKER_LIBRARIES = 1.1, 115 << 20
HOST = Device("cpu", 1)


@dataclass(frozen=True)
class Phase:
    """One piece of work.

    Attributes:
        name: What is done.
        seconds: Once; None where it is not known.
        least: How often it is done at least.
        most: How often at most.
        memory: Bytes that the process holds at its highest moment; None where that is not known.
        disk: Bytes that are written.
    """

    name: str
    seconds: float | None
    least: int = 1
    most: int = 1
    memory: int | None = None
    disk: int = 0


@dataclass(frozen=True)
class Plan:
    """What a training will need.

    Attributes:
        phases: In the order in which they are done.
        room: Bytes of memory that a process may take here; None where that is not known.
        bound: What leaves no more.
        free_disk: Bytes that may still be written where the run's files will lie; None where that is not known.
        assumed: What was not seen but told from something else, a sentence each.
        advice: Settings that make it fit, where it does not.
    """

    phases: list[Phase]
    room: int | None
    bound: str
    free_disk: int | None
    assumed: list[str]
    advice: list[Advice]

    @property
    def memory(self) -> int:
        """Bytes at the highest moment."""
        return max((phase.memory or 0 for phase in self.phases), default=0)

    @property
    def disk(self) -> int:
        """Bytes on disk at the highest moment."""
        return sum(phase.disk for phase in self.phases)

    @property
    def seconds(self) -> tuple[float, float] | None:
        """From the shortest training that there can be to the longest; None where a phase is not known."""
        if any(phase.seconds is None for phase in self.phases):
            return None
        once = [(phase.seconds or 0.0, phase) for phase in self.phases]
        return sum(s * p.least for s, p in once), sum(s * p.most for s, p in once)

    @property
    def fits(self) -> bool:
        """Whether there are the memory and the disk for it."""
        return (self.room is None or self.memory <= self.room) and (
            self.free_disk is None or self.disk <= self.free_disk
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {
            "fits": self.fits,
            "memory": self.memory,
            "disk": self.disk,
            "seconds": self.seconds,
        }


def plan(config: Config, *, folder: Path | None, progress: Progress) -> Plan:
    """Plan one training.

    Args:
        config: Complete, checked settings.
        folder: Where its files are to lie; None = a new one under `root`.
        progress: Shows how it goes on.

    Raises:
        RecsysError: What a training of these settings would raise before it begins to learn.
    """
    start, tracked = time.process_time(), config.choices["tracking"] != "none"
    begun = HOST.peak_memory_bytes()
    libraries = TRACKER_LIBRARIES if tracked else 0
    draft, loading, assumed = _load(config, progress)
    needed = draft.footprint() if not draft.device.is_accelerator else None
    HOST.reset_peak_memory()
    held = HOST.peak_memory_bytes()
    there = memory()
    phases = [
        Phase("start", start, memory=begun),
        *loading,
    ]
    files = disk.files(draft) + (0 if needed is None else needed.weights)
    record = Phase(
        "record",
        TRACKER_STARTS * start if tracked else 0.1 * start,
        disk=(2 if tracked else 1) * files
        + disk.RECORD_BYTES
        + (disk.DATABASE_BYTES if tracked else 0),
    )
    if needed is not None and there is not None and needed.peak > there.free:
        assumed.append("the model was not built, since it does not fit: its times are not known")
        doing = [Phase("learn", None, memory=held + libraries + needed.peak)]
        advice = advise(draft, config, room=there.free)
    else:
        with draft.device.active():
            doing = _work(draft, config, needed, held, assumed, progress)
        doing = [replace(p, memory=(p.memory or 0) + libraries) for p in doing]
        advice = []
    own = LIBRARIES + max((phase.memory or 0 for phase in doing), default=0)
    made = Plan(
        phases=[*phases, *doing, replace(record, memory=own)],
        room=None if there is None else there.free + held,
        bound="" if there is None else there.bound,
        free_disk=free_on_disk(folder or Path(config.tree["root"])),
        assumed=assumed,
        advice=advice,
    )
    if not made.fits and not advice and needed is not None and there is not None:
        return replace(made, advice=advise(draft, config, room=there.free))
    return made


def _load(config: Config, progress: Progress) -> tuple[Draft, list[Phase], list[str]]:
    """Data, split and trainer as a training will find them: where they were parsed here, from the cache."""
    before, assumed, clock = disk.cache_entries(), [], Stopwatch()
    draft = sketch(config, progress=progress, stopwatch=clock)
    made = {entry: size for entry, size in disk.cache_entries().items() if entry not in before}
    if made:
        parsed = clock.seconds["load_seconds"]
        assumed.append(
            f"the data was read in {parsed:.1f} s and is kept in {next(iter(made))} "
            f"({sum(made.values()):,} bytes), from where the training takes it"
        )
        del draft
        give_back_freed_memory()
        HOST.reset_peak_memory()
        draft = sketch(config, progress=NotesOnce(progress), stopwatch=clock)
    peak = HOST.peak_memory_bytes()
    load = Phase("load", clock.seconds["load_seconds"], memory=peak)
    return draft, [load, Phase("split", clock.seconds["split_seconds"], memory=peak)], assumed


def _work(
    draft: Draft,
    config: Config,
    needed: Footprint | None,
    held: int,
    assumed: list[str],
    progress: Progress,
) -> list[Phase]:
    """The phases from the building of the model to the test."""
    clock = Stopwatch()
    ready = complete(draft, config, stopwatch=clock)
    build = Phase("build", clock.seconds["build_seconds"], memory=HOST.peak_memory_bytes())
    trainer = ready.trainer
    if not isinstance(trainer, ClosedFormTrainer | GradientTrainer):
        assumed.append("the trainer is one of your own: what it takes is not known")
        return [build, Phase("learn", None)]
    by_steps = isinstance(trainer, GradientTrainer)
    if isinstance(trainer, GradientTrainer):
        learning = probe_steps(ready, trainer, progress)
    else:
        learning = probe_fit(draft, ready, progress)
    peak = _peak_of_learning(learning, needed, held, by_steps=by_steps)
    if by_steps or learning.seen == 1.0 or look_fitted(ready.model):
        ranking: dict[str, float | None] = {p: probe_ranking(ready, p) for p in ready.parts}
    else:
        ranking = dict.fromkeys(ready.parts)
        assumed.append("only a whole fit tells how long scoring takes: that is not known")
    kept = needed.best if needed is not None and by_steps else 0
    asking = max(HOST.peak_memory_bytes() + kept, peak)
    tests = [Phase(part, seconds, memory=asking) for part, seconds in ranking.items()]
    if not isinstance(trainer, GradientTrainer):
        if learning.seen < 1.0:
            assumed.append(
                f"{learning.seen:.1%} of the fit was done; the rest is told by the law of its work"
            )
        once = learning.before_seconds + learning.seconds
        return [build, Phase("fit", once, memory=peak), *tests]
    return [build, *_epochs(trainer, learning, ranking, peak, asking, needed, assumed), *tests]


def _epochs(
    trainer: GradientTrainer,
    learning: Learning,
    ranking: dict[str, float | None],
    peak: int,
    asking: int,
    needed: Footprint | None,
    assumed: list[str],
) -> list[Phase]:
    """What is repeated: from the first patience to the last epoch."""
    most = trainer.epochs
    least = min(most, (trainer.patience + 1) * trainer.validate_every)
    asked = [-(-epochs // trainer.validate_every) for epochs in (least, most)]
    assumed.append(
        f"{learning.seen:.1%} of an epoch was done; the least is {least} epochs, where none after the first "
        f"validation is better (trainer.patience={trainer.patience}), the most {most} (trainer.epochs)"
    )
    again = Phase("validate", ranking["valid"], asked[0], asked[1], memory=asking)
    longest = most * learning.seconds + asked[1] * (again.seconds or 0.0)
    saved = longest > trainer.checkpoint_seconds or trainer.checkpoint_every_steps is not None
    saving = disk.checkpoints(needed) if saved and needed is not None else 0
    if saved and needed is not None:
        peak += max(needed.saving - max(needed.learning, needed.measuring), 0)
    return [
        Phase("before the first epoch", learning.before_seconds, memory=peak),
        Phase("epoch", learning.seconds, least, most, memory=peak, disk=saving),
        again,
    ]


def _peak_of_learning(
    learning: Learning, needed: Footprint | None, held: int, *, by_steps: bool
) -> int:
    """What was held at the highest moment, or what the model tells where it was not seen."""
    seen = HOST.peak_memory_bytes()
    if needed is None:
        return seen
    if by_steps:
        return seen + needed.best
    if learning.seen == 1.0:
        return seen
    return max(seen, held + needed.weights + needed.data + needed.learning)

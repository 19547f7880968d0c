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

# What it takes to write the files of a run, and to import MLflow and tell it of one: in times of what it took to start
# this program, as it is code that is loaded in all three. And the memory of MLflow's code.
RECORD_STARTS, TRACKER_STARTS, TRACKER_LIBRARIES = 0.5, 1.1, 115 << 20
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
        refusal: The bytes that a training is refused by, told before anything of it was done; None where it is not.
    """

    phases: list[Phase]
    room: int | None
    bound: str
    free_disk: int | None
    assumed: list[str]
    advice: list[Advice]
    refusal: int | None

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
    start, begun = time.process_time(), HOST.peak_memory_bytes()
    draft, loading, assumed = _load(config, progress)
    needed = None if draft.device.is_accelerator else draft.footprint()
    HOST.reset_peak_memory()
    held, there = HOST.peak_memory_bytes(), memory()
    tracked = config.choices["tracking"] != "none"
    libraries = TRACKER_LIBRARIES if tracked else 0
    refused = needed is not None and there is not None and needed.peak > there.free
    if needed is not None and refused:
        assumed.append("the model was not built, since it does not fit: its times are not known")
        work = [Phase("learn", None, memory=held + libraries + needed.peak - LIBRARIES)]
    else:
        with draft.device.active():
            work = _work(draft, config, needed, held, assumed, progress)
        work = [replace(phase, memory=(phase.memory or 0) + libraries) for phase in work]
    seconds = start * (RECORD_STARTS + (TRACKER_STARTS if tracked else 0.0))
    most = LIBRARIES + max(phase.memory or 0 for phase in work)
    files = disk.files(draft, needed, tracked=tracked)
    made = Plan(
        phases=[
            Phase("start", start, memory=begun),
            *loading,
            *work,
            Phase("record", seconds, memory=most, disk=files),
        ],
        room=None if there is None else there.free + held,
        bound="" if there is None else there.bound,
        free_disk=free_on_disk(folder or Path(config.tree["root"])),
        assumed=assumed,
        advice=[],
        refusal=None if needed is None else held + needed.peak,
    )
    if made.room is None or made.memory <= made.room or there is None:
        return made
    return replace(made, advice=advise(draft, config, room=there.free - libraries))


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
    if ready.device.is_accelerator:
        assumed.append(f"memory is that of this process; {ready.device.label} has its own")
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
    ranking: dict[str, float | None] = dict.fromkeys(ready.parts)
    first = learning.before_seconds
    if by_steps or learning.seen == 1.0 or look_fitted(ready.model):
        for part in ranking:
            once, ranking[part] = probe_ranking(ready, part)
            first += once
    else:
        assumed.append("only a whole fit tells how long scoring takes: that is not known")
    kept = needed.best if needed is not None and by_steps else 0
    asking = max(HOST.peak_memory_bytes() + kept, peak)
    tests = [Phase(part, seconds, memory=asking) for part, seconds in ranking.items()]
    before = [build, Phase("first use", first, memory=peak)]
    if isinstance(trainer, GradientTrainer):
        epochs = _epochs(trainer, learning, ranking["valid"], peak, asking, needed, assumed)
        return [*before, *epochs, *tests]
    if learning.seen < 1.0:
        assumed.append(
            f"{learning.seen:.1%} of the fit was done; the rest is told by the law of its work"
        )
    return [*before, Phase("fit", learning.seconds, memory=peak), *tests]


def _epochs(
    trainer: GradientTrainer,
    learning: Learning,
    asked_seconds: float | None,
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
    again = Phase("validate", asked_seconds, asked[0], asked[1], memory=asking)
    longest = most * learning.seconds + asked[1] * (again.seconds or 0.0)
    saved = longest > trainer.checkpoint_seconds or trainer.checkpoint_every_steps is not None
    saving = disk.checkpoints(needed) if saved and needed is not None else 0
    if saved and needed is not None:
        peak += max(needed.saving - max(needed.learning, needed.measuring), 0)
    return [
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

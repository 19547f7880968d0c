"""What every trial is given: the program, chance, a place to write, and the report; and the small runs they use."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trials.injection import UnavailableError
from trials.processes import PAUSE_SECONDS, Process, Program
from trials.report import Report

SMALL = (
    "--no-progress", "--data=demo", "data.events=3000", "device=cpu", "device.threads=1",
    "trainer.patience=100", "trainer.checkpoint_seconds=0", "trainer.checkpoint_every_steps=3",
)  # fmt: skip
MODELS = {
    "mf": ("--model=mf", "model.rank=8", "trainer.batch_size=256"),
    "deep": ("--model=deep", "model.dim=8", "trainer.batch_size=256"),
    "seq": ("--model=seq", "model.dim=8", "model.hidden=8", "trainer.batch_size=256"),
}
QUICK = ("--no-progress", "--model=popularity", "--data=demo", "data.events=1000", "device=cpu")


@dataclass
class Bench:
    """The surroundings of one trial.

    Attributes:
        trial: Its name.
        program: Starts commands.
        report: Collects what is found.
        seed: Repeats the trial's choices.
        chance: Makes them.
        synced: How often the store was told later, by `recsys sync`.
    """

    trial: str
    program: Program
    report: Report
    seed: int
    chance: random.Random
    synced: int = 0

    @property
    def folder(self) -> Path:
        """Where the trial's commands write."""
        return self.program.root

    def case(self, name: str, faults: list[str], noted: str = "") -> None:
        """Note a case."""
        self.report.case(self.trial, name, faults, noted)

    def delivered(self, process: Process, *where: str) -> list[str]:
        """Sync where a command said that the store was not told in time; what is wrong with that."""
        if "recsys sync" not in process.errors:
            return []
        self.synced += 1
        return failed(self.program.run("sync", *where), 0)

    @contextmanager
    def figure(self) -> Iterator[list[str]]:
        """Time the trial; the texts that the block appends are what it reached."""
        since, said = time.monotonic(), list[str]()
        try:
            yield said
        except UnavailableError as lacking:
            said.append(f"not tried: {lacking}")
            self.report.untried.append(self.trial)
        except Exception as error:
            # A trial that breaks is a fault of its own, and the next one runs.
            traceback.print_exc()
            self.case("the trial itself", [f"{type(error).__name__}: {error}"])
        finally:
            said += [f"{self.synced} synced later"] if self.synced else []
            self.report.verdict(self.trial, ", ".join(said), since=since, seed=self.seed)


def train(model: str, epochs: int, *said: str) -> list[str]:
    """The command of a small run that saves every few steps."""
    return ["train", "--json", *MODELS[model], *SMALL, f"trainer.epochs={epochs}", *said]


def failed(process: Process, *codes: int) -> list[str]:
    """What is wrong with how a command ended, which should be by one of these exit codes."""
    found = []
    if process.code not in codes:
        expected = " or ".join(map(str, codes))
        found.append(f"exit {process.code} and not {expected}: {process.last_line[:300]}")
    if "Traceback" in process.errors:
        found.append(f"a traceback in {process.err}")
    return found


def sleep_until(process: Process, seconds: float) -> bool:
    """Wait until a process is so old; False where it ended before."""
    while process.poll() is None and process.age < seconds:
        time.sleep(PAUSE_SECONDS)
    return process.poll() is None

"""Runs that are killed again and again end with the same bits as runs that are not."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trials.bench import MODELS, Bench, failed, sleep_until, train
from trials.processes import PAUSE_SECONDS, Process
from trials.traces import STAGES, Store, damaged, differences, orphans, result, stage

EPOCHS = 6
AIMED_AT = ("preparing", "tracked", "training", "saving", "evaluating", "recording")


def kills(bench: Bench, *, runs: int, kills: int) -> None:
    """Kill runs of three models at random moments, half of them in a chosen stage, and go on with each to its end."""
    trial = _Kills(bench)
    with bench.figure() as said:
        number = 0
        while number < runs or (trial.landed.total() < kills and number < runs + kills):
            missing = kills - trial.landed.total()
            trial.one_run(number, -(-missing // max(runs - number, 1)) if missing > 0 else 0)
            number += 1
        where = ", ".join(f"{trial.landed[s]} {s}" for s in STAGES if trial.landed[s])
        said += [f"{trial.landed.total()} kills ({where}) over {number} runs"]
        said += [f"{trial.same} of {number} runs identical, {trial.twins} second runs tracked"]


@dataclass(frozen=True)
class Unbroken:
    """What a run finds that nothing happens to, the numbers that are tracked for it, and how long it takes."""

    found: dict[str, Any]
    points: Counter[tuple[str, int, float]]
    seconds: float


class _Kills:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.store = Store(bench.folder / "runs" / "mlflow.db")
        self.landed: Counter[str] = Counter()
        self.same = self.twins = 0
        self._whole: dict[str, Unbroken] = {}

    def one_run(self, number: int, wanted: int) -> None:
        """Begin a run, kill it so many times, let it end, and look at what it found and left."""
        bench, model = self.bench, list(MODELS)[number % len(MODELS)]
        whole = self._unbroken(model)
        folder = bench.folder / f"run-{number:03d}"
        faults, deaths = list[str](), list[str]()
        before = set(self.store.statuses)
        while True:
            process = bench.program.start(*_go_on(model, folder), anew=bench.chance.random() < 0.05)
            if len(deaths) < wanted and self._kill(process, folder, whole.seconds):
                deaths.append(stage(folder, process))
                faults += damaged(folder)
            else:
                process.wait()
                break
        self.landed.update(deaths)
        faults += self._end_faults(process, folder, whole, before)
        bench.case(
            f"run {number} of {model}", faults, f"killed {', '.join(deaths) or 'never'}; identical"
        )

    def _unbroken(self, model: str) -> Unbroken:
        """A run that nothing happens to, in an interpreter of its own; a forked one finds the same, and sooner."""
        if model not in self._whole:
            folder, twin = (self.bench.folder / f"{how}-{model}" for how in ("unbroken", "forked"))
            process = self.bench.program.run(*_go_on(model, folder), anew=True)
            assert process.code == 0, process.errors
            found = result(process.told, folder)
            points = self.store.points(json.loads(process.told)["run_id"])
            forked = self.bench.program.run(*_go_on(model, twin))
            self.bench.case(
                f"{model} forked", differences(result(forked.told, twin), found), "identical"
            )
            self._whole[model] = Unbroken(found, points, forked.age)
        return self._whole[model]

    def _kill(self, process: Process, folder: Path, seconds: float) -> bool:
        """Kill a process at a random moment of its life, or soon after it reached a stage; False where it ended."""
        chance = self.bench.chance
        if chance.random() < 0.4:
            return sleep_until(process, chance.random() * seconds) and process.kill()
        aim, tracked = chance.choice(AIMED_AT), len(self.store.statuses)
        delay = 0.0 if aim in ("tracked", "saving") else chance.expovariate(1 / 0.03)

        def reached() -> bool:
            if aim == "tracked":
                return len(self.store.statuses) > tracked or stage(folder, process) == "training"
            return STAGES.index(stage(folder, process)) >= STAGES.index(aim)

        while process.poll() is None and not reached():
            time.sleep(PAUSE_SECONDS / 4)
        return sleep_until(process, process.age + delay) and process.kill()

    def _end_faults(
        self, process: Process, folder: Path, whole: Unbroken, before: set[str]
    ) -> list[str]:
        if faults := failed(process, 0) + self.bench.delivered(process, str(folder)):
            return faults
        found = result(process.told, folder)
        faults = differences(found, whole.found) + orphans(folder)
        self.same += not faults
        new = {run: status for run, status in self.store.statuses.items() if run not in before}
        own = [run for run, status in new.items() if status == "FINISHED"]
        self.twins += len(new) - 1
        faults += [f"a second tracked run is {new[run]}" for run in new if run not in own[:1]]
        return faults + [
            fault for run in own for fault in self.store.faults(run, folder, whole.points)
        ]


def _go_on(model: str, folder: Path) -> list[str]:
    return train(model, EPOCHS, f"--run-dir={folder.name}", "--resume=auto")

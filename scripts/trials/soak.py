"""Random commands, wrong ones among them, with random kills, all under one root, for as long as wanted."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from trials.bench import MODELS, SMALL, Bench, failed, sleep_until, train
from trials.processes import Process
from trials.traces import Store, damaged, orphans

WRONG = (
    ("train", "--model=mff"),
    ("train", "--data=demo", "data.events=-1"),
    ("train", "model.rank=two"),
    ("evaluate", "nowhere"),
    ("recommend", "nowhere", "--user=1"),
    ("compare-runs", "nowhere", "nor-there"),
    ("data", "describe", "none-of-this-name"),
    ("data", "import", "missing.csv", "--name=x"),
    ("sweep", "--data=demo", "model.rank=8"),
)
STORE_FILES = {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlflow.db.lock"}


@dataclass
class _Life:
    """What happened so far under the root."""

    bench: Bench
    counts: Counter[str] = field(default_factory=Counter)
    begun: dict[Path, list[str]] = field(default_factory=dict)
    finished: list[Path] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """A run and a sweep that nothing happens to: what files there are when all is well."""
        for kind, command in (("train", self._train()), ("sweep", self._sweep())):
            process = self.bench.program.run(*command)
            self.bench.case(f"the first {kind}", failed(process, 0), "done")
            self.end(kind, process, command)
        self.expected = {path.name for path in self.root.rglob("*") if path.is_file()}

    @property
    def root(self) -> Path:
        return self.bench.folder / "runs"

    def next(self) -> tuple[str, list[str], tuple[int, ...]]:
        """A name, a command and the exit codes that it may have."""
        chance, done = self.bench.chance, self.finished
        kinds = ["train"] * 4 + ["go on"] * 3 + ["sweep", "wrong", "wrong", "describe"]
        kinds += ["evaluate", "recommend", "compare"] * bool(done)
        kind = chance.choice(kinds)
        if kind == "go on" and self.begun:
            folder = chance.choice(list(self.begun))
            return kind, self.begun[folder], (0,)
        if kind == "sweep":
            return kind, self._sweep(), (0,)
        if kind == "wrong":
            return kind, list(chance.choice(WRONG)), (2,)
        if kind == "describe":
            return kind, ["data", "describe", "demo", "data.events=2000"], (0,)
        if kind == "evaluate":
            return kind, ["evaluate", str(chance.choice(done)), "--json"], (0,)
        if kind == "recommend":
            return kind, ["recommend", str(chance.choice(done)), "--user=1"], (0, 2)
        if kind == "compare" and len(done) > 1:
            return kind, ["compare-runs", *map(str, chance.sample(done, 2))], (0, 2)
        return "train", self._train(), (0,)

    def _train(self) -> list[str]:
        chance, number = self.bench.chance, len(self.begun) + len(self.finished)
        folder = self.root / f"run-{number:04d}"
        said = train(chance.choice(list(MODELS)), chance.randint(1, 6), f"--seed={number % 3}")
        self.begun[folder] = [*said, f"--run-dir={folder}", "--resume=auto"]
        return self.begun[folder]

    def _sweep(self) -> list[str]:
        """A new sweep, or the last one again."""
        if not self.sweeps or self.bench.chance.random() < 0.5:
            self.sweeps.append(f"s{len(self.sweeps):03d}")
        axis = ("model.rank=4,8", f"--study={self.sweeps[-1]}", "trainer.epochs=1")
        return ["sweep", "--json", *SMALL, *MODELS["mf"][:1], *axis]

    def end(self, kind: str, process: Process, command: list[str]) -> None:
        """Note how a command ended."""
        self.counts[kind if process.code != -9 else f"{kind} killed"] += 1
        for folder in [folder for folder, said in self.begun.items() if said == command]:
            if process.code == 0:
                del self.begun[folder]
                self.finished.append(folder)


def soak(bench: Bench, *, minutes: int) -> None:
    """Run random commands for so many minutes and kill every third, then look at all that they left."""
    life = _Life(bench)
    bench.program.warm_up()
    with bench.figure() as said:
        life.begin()
        until, open_files, number = time.monotonic() + 60 * minutes, _open_files(), 0
        while time.monotonic() < until:
            kind, command, codes = life.next()
            process = bench.program.start(*command, anew=bench.chance.random() < 0.02)
            if bench.chance.random() < 0.33:
                sleep_until(process, bench.chance.expovariate(1.0))
                codes = (*codes, -9) if process.kill() else codes
            process.wait()
            life.end(kind, process, command)
            faults = failed(process, *codes) + _leaks(bench, open_files)
            if faults or number % 50 == 0:
                bench.case(f"{number} {' '.join(command)}"[:160], faults, f"exit {process.code}")
            number += 1
        _go_on(life)
        bench.case("sync", failed(bench.program.run("sync"), 0), "nothing is pending")
        bench.case("the end", _unexplained(life), "all that is there is explained")
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(life.counts.items()))
        said += [f"{number} commands in {minutes} minutes ({counts})", _size(bench.folder)]


def _go_on(life: _Life) -> None:
    """Every run and the last sweep that was cut off comes to its end."""
    for folder, command in list(life.begun.items()):
        process = life.bench.program.run(*command)
        life.end("end", process, command)
        life.bench.case(f"{folder.name} goes on", failed(process, 0), "to its end")
    for name in life.sweeps:
        command = [
            f"--study={name}" if text.startswith("--study") else text for text in life._sweep()
        ]
        life.bench.case(
            f"{name} goes on", failed(life.bench.program.run(*command), 0), "to its end"
        )


def _leaks(bench: Bench, open_files: int) -> list[str]:
    """Processes, locks and open files that outlived their command."""
    faults = [f"process {pid} is left over" for pid in bench.program.left()]
    for path in bench.folder.rglob("*lock"):
        if path.is_file():
            with path.open("rb+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    faults.append(f"{path} is still locked")
    if (now := _open_files()) > open_files:
        faults.append(f"{now - open_files} more open files")
    return faults


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _unexplained(life: _Life) -> list[str]:
    """What is on disk and belongs to no finished run, sweep, store or cache, or is damaged."""
    faults = orphans(life.root) + Store(life.root / "mlflow.db").sound()
    statuses = Counter(Store(life.root / "mlflow.db").statuses.values())
    faults += [f"{statuses['RUNNING']} tracked runs seem to run"] if statuses["RUNNING"] else []
    known = life.expected | STORE_FILES
    odd = (path for path in life.root.rglob("*") if path.is_file() and path.name not in known)
    faults += [f"{path.relative_to(life.root)} is not explained" for path in odd]
    faults += [fault for folder in life.finished for fault in damaged(folder)]
    kept = list((life.bench.folder / "tmp").iterdir())
    return faults + [f"{path} is left in the folder of temporary files" for path in kept]


def _size(folder: Path) -> str:
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{taken / 1e6:.0f} MB at the end"

"""Sweeps that are killed again and again end with the same trials as sweeps that are not."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from recsys_cli.tracking.run_folder import METRICS, SETTINGS
from recsys_cli.tracking.under_way import RUNNING
from trials.bench import MODELS, Bench, failed, sleep_until
from trials.processes import PAUSE_SECONDS, Process
from trials.traces import Store, orphans

SPACES = {
    "grid": ("model.rank=4,8", "model.l2=0.0,0.1"),
    "tpe": ("trainer.lr=tag(log, interval(1e-3, 1e-1))", "--trials=6", "--sampler=tpe"),
    "workers": ("model.rank=4,8", "model.l2=0.0,0.1,0.2", "--workers=2"),
}
VICTIMS = ("a worker", "the command", "all")  # where a command has workers
UNREPEATED = {"seconds", "run_id", "run_dir"}


def sweep(bench: Bench, *, kills: int) -> None:
    """Kill sweeps, in one process and in several, until as many kills as wanted have landed."""
    bench.program.warm_up()
    with bench.figure() as said:
        whole = {kind: _unbroken(bench, kind) for kind in SPACES}
        landed, sweeps = 0, 0
        while landed < kills and sweeps < 3 * kills:
            kind = list(SPACES)[sweeps % len(SPACES)]
            landed += _one_sweep(bench, kind, sweeps, min(kills - landed, 5), *whole[kind])
            sweeps += 1
        said += [f"{landed} kills over {sweeps} sweeps"]


def _unbroken(bench: Bench, kind: str) -> tuple[list[dict[str, Any]], float]:
    process = bench.program.run(*command(kind, f"unbroken-{kind}"))
    assert process.code == 0, process.errors
    return table(process), process.age


def _one_sweep(
    bench: Bench, kind: str, number: int, wanted: int, whole: list[dict[str, Any]], seconds: float
) -> int:
    """Kill a sweep up to so often, and look at what the last start found and all of them left."""
    name, faults, deaths = f"{kind}-{number:02d}", list[str](), list[str]()
    known: dict[int, Any] = {}
    folder = bench.folder / "runs" / "sweeps" / name
    store = Store(bench.folder / "runs" / "mlflow.db")
    before = set(store.statuses)
    while True:
        process = bench.program.start(*command(kind, name))
        fallen = _fallen(bench, process, folder, len(whole), seconds, wanted - len(deaths))
        finished = _finished(folder / "study.db")
        deaths += [f"{who} at {len(finished)}" for who in fallen]
        if process.code != -signal.SIGKILL and not _gave_up(process):
            break
        faults += [
            f"trial {place} was finished and is another now"
            for place, kept in known.items()
            if finished.get(place) != kept
        ]
        known = finished
    faults += failed(process, 0) or _end_faults(process, folder, whole, known)
    faults += bench.delivered(process, str(folder))
    faults += tracking_faults(store, before, len(whole)) + orphans(bench.folder / "runs")
    faults += [f"worker {pid} has outlived the sweep" for pid in _workers(bench.folder)]
    bench.case(name, faults, f"killed {', '.join(deaths) or 'never'}; the same {len(whole)} trials")
    return len(deaths)


def _fallen(
    bench: Bench, process: Process, folder: Path, trials: int, seconds: float, wanted: int
) -> list[str]:
    """Kill a sweep up to so often, until the command itself is dead or has ended; who was killed."""
    fallen = list[str]()
    while len(fallen) < wanted and moment(bench, process, folder, trials, seconds):
        workers = _workers(bench.folder)
        victim = bench.chance.choice(VICTIMS) if workers else "the command"
        if victim == "a worker":
            fallen += [victim] * _killed([bench.chance.choice(workers)])
            continue
        if not process.kill():
            break
        if victim == "all":
            _killed(workers)
        return [*fallen, victim]
    process.wait()
    return fallen


def _gave_up(process: Process) -> bool:
    """Whether the command ended because one trial had lost two workers."""
    return process.code == 4 and "for the second time" in process.last_line


def _workers(folder: Path) -> list[int]:
    """Workers of commands that were started in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            said = (process / "cmdline").read_bytes().split(b"\0")
            if b"recsys_cli.sweeps.worker" in said and (process / "cwd").resolve() == folder:
                found.append(int(process.name))
    return found


def _killed(pids: list[int]) -> int:
    """Kill processes; how many were there."""
    count = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            count += 1
    return count


def moment(bench: Bench, process: Process, folder: Path, trials: int, seconds: float) -> bool:
    """Wait until a random moment, or one soon after a trial began, was measured or was over; False where all ended."""
    if bench.chance.random() < 0.4:
        return sleep_until(process, process.age + bench.chance.random() * seconds)
    trial = folder / f"trial-{bench.chance.randrange(trials):03d}"
    there, gone = bench.chance.choice([(SETTINGS, METRICS), (METRICS, "none"), (METRICS, RUNNING)])
    while process.poll() is None and not ((trial / there).exists() and not (trial / gone).exists()):
        time.sleep(PAUSE_SECONDS / 4)
    return sleep_until(process, process.age + bench.chance.expovariate(1 / 0.01))


def command(kind: str, name: str) -> list[str]:
    """A small sweep of one of `SPACES`, by the name of its study."""
    options = [text for text in SPACES[kind] if text.startswith("--")]
    axes = [text for text in SPACES[kind] if not text.startswith("--")]
    return [
        "sweep", "--json", "--no-progress", f"--study={name}", *options, "--data=demo", "data.events=1000",
        "device=cpu", "device.threads=1", "trainer.epochs=2", *MODELS["mf"][:1], *axes,
    ]  # fmt: skip


def table(process: Process) -> list[dict[str, Any]]:
    """The trials that a sweep reports, without what is different each time."""
    rows = json.loads(process.told)["trials"]
    return [{key: value for key, value in row.items() if key not in UNREPEATED} for row in rows]


def _finished(path: Path) -> dict[int, Any]:
    """What a study holds of the trials that are finished."""
    if not path.exists():
        return {}
    query = (
        "select t.number, t.state, v.value from trials t join trial_values v using (trial_id) "
        "where t.state != 'RUNNING'"
    )
    with closing(sqlite3.connect(path, timeout=30)) as database:
        return {number: rest for number, *rest in database.execute(query)}


def _end_faults(
    process: Process, folder: Path, whole: list[dict[str, Any]], known: dict[int, Any]
) -> list[str]:
    faults = [] if table(process) == whole else ["the table of trials is another"]
    finished = _finished(folder / "study.db")
    faults += [
        f"trial {place} was lost" for place, kept in known.items() if finished.get(place) != kept
    ]
    with closing(sqlite3.connect(folder / "study.db")) as database:
        states = Counter(state for (state,) in database.execute("select state from trials"))
    if states != {"COMPLETE": len(whole)}:
        faults.append(f"the study holds {dict(states)} of {len(whole)} trials")
    return faults


def tracking_faults(store: Store, before: set[str], total: int) -> list[str]:
    """What is wrong with the tracked runs of a sweep: one parent and one run a trial, and none that seems to run."""
    parts = {
        run for (run,) in store.rows("select run_uuid from tags where key = 'mlflow.parentRunId'")
    }
    new = {run: status for run, status in store.statuses.items() if run not in before}
    parents = Counter(status for run, status in new.items() if run not in parts)
    children = Counter(status for run, status in new.items() if run in parts)
    faults = [] if parents == {"FINISHED": 1} else [f"parent runs: {dict(parents)}"]
    del children["KILLED"]  # of trials that were killed and run again
    if children != {"FINISHED": total}:
        faults.append(f"runs of {total} trials: {dict(children)}")
    return faults

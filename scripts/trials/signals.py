"""Ctrl-C and SIGTERM at any moment: the right exit code, soon, and nothing lost."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from trials.bench import MODELS, Bench, failed, sleep_until, train
from trials.processes import LONGEST_SECONDS, PAUSE_SECONDS, Process
from trials.traces import Store, damaged, differences, orphans, result, stage

EPOCHS = 6
ANEW = "mf"  # the model of the runs in new interpreters
ENDED = {"KILLED", "FINISHED"}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
PATIENCE_SECONDS = 10.0


def signals(bench: Bench, *, moments: int) -> None:
    """Send SIGINT and SIGTERM at random moments, some twice and some to new interpreters, and go on with the run."""
    bench.program.warm_up()
    with bench.figure() as said:
        kinds = [*((model, False) for model in MODELS), (ANEW, True)]
        unbroken = {kind: _unbroken(bench, *kind) for kind in kinds}
        took: list[float] = []
        for attempt in range(4 * moments):
            if len(took) == moments:
                break
            kind = kinds[attempt % len(kinds)]
            took += _one_signal(bench, attempt, kind, *unbroken[kind])
        said += [f"{len(took)} signals, the slowest end after {max(took):.1f} s"]


def _unbroken(bench: Bench, model: str, anew: bool) -> tuple[dict[str, Any], float]:
    """What a run finds that nothing happens to, and the seconds that it takes."""
    folder = bench.folder / f"unbroken-{model}-{anew}"
    process = bench.program.run(*_go_on(model, folder), anew=anew)
    assert process.code == 0, process.errors
    return result(process.told, folder), process.age


def _one_signal(
    bench: Bench, number: int, kind: tuple[str, bool], whole: dict[str, Any], seconds: float
) -> list[float]:
    """Stop a run and go on with it: the seconds until it ended; none where it had ended before the signal."""
    (model, anew), chance = kind, bench.chance
    sent, twice = chance.choice(list(CODES)), chance.random() < 0.25
    store, folder = Store(bench.folder / "runs" / "mlflow.db"), bench.folder / f"run-{number:03d}"
    known = set(store.statuses)
    process = bench.program.start(*_go_on(model, folder), anew=anew)
    if not sleep_until(process, chance.random() * seconds):
        return []
    where = stage(folder, process)
    took = _interrupt(process, sent, twice=twice)
    faults = _stop_faults(process, folder, sent, took)
    new = {run: status for run, status in store.statuses.items() if run not in known}
    if not twice:  # the second signal leaves no time to say so
        faults += [f"the tracked run is {status}" for status in new.values() if status not in ENDED]
    again = bench.program.run(*_go_on(model, folder))
    faults += failed(again, 0) + bench.delivered(again, str(folder))
    if again.code == 0:
        faults += differences(result(again.told, folder), whole) + orphans(folder)
    faults += [f"a tracked run stays {s}" for s in store.statuses.values() if s not in ENDED]
    how = f"{signal.Signals(sent).name}{' twice' * twice}{' anew' * anew}"
    bench.case(f"{number} {how}", faults, f"{where}, exit {process.code} after {took:.1f} s; whole")
    return [took]


def _interrupt(process: Process, number: int, *, twice: bool) -> float:
    """Send the signal, perhaps again soon after; the seconds until its end in which it did not wait for a processor."""
    began, waited = time.monotonic(), _waited(process)
    process.send(number)
    if twice:
        time.sleep(0.05)
        process.send(number)
    until = waited
    while process.poll() is None and time.monotonic() < began + LONGEST_SECONDS:
        until = max(until, _waited(process))
        time.sleep(PAUSE_SECONDS)
    process.wait(PATIENCE_SECONDS)
    return time.monotonic() - began - (until - waited)


def _waited(process: Process) -> float:
    """Seconds that a process was ready to run and others ran; on a busy machine they are not its own."""
    try:
        told = Path(f"/proc/{process.pid}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(told.split()[1]) / 1e9


def _stop_faults(process: Process, folder: Path, number: int, took: float) -> list[str]:
    # A shell shows an interpreter that dies of the signal, before or after our part of its life, with the same code.
    # One that comes when all is done and printed may find the process on its way out.
    faults = failed(process, CODES[signal.Signals(number)], -number, *([0] if process.told else []))
    if took > PATIENCE_SECONDS:
        faults.append(f"it took {took:.1f} s")
    if folder.exists():
        faults += damaged(folder)
        faults += [f"{path} is left over" for path in folder.rglob("*.part")]
    return faults


def _go_on(model: str, folder: Path) -> list[str]:
    return train(model, EPOCHS, f"--run-dir={folder.name}", "--resume=auto")

"""The n-th system call is the last, or fails: what is on disk afterwards is the old or the new, never anything else."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from recsys_cli.tracking.under_way import CHECKPOINT
from trials import injection
from trials.bench import Bench, failed, train
from trials.injection import KILL, Gate, Point
from trials.processes import Process
from trials.traces import Store, damaged, differences, orphans, result

CODES = (0, 2, 4, 6)  # what a fault of the disk may end in


class Work(Protocol):
    """Something that writes, begun anew for each point under a number of its own."""

    name: str

    def start(self, number: int, gate: Gate) -> Process:
        """Start it in a process that waits at the gate before it writes."""
        ...

    def faults(self, number: int, process: Process) -> list[str]:
        """What is wrong after it, and after another start."""
        ...


def syscalls(bench: Bench, *, points: int) -> None:
    """Kill at a system call, or let it fail, over a checkpoint, an import and the record of a run."""
    log = bench.folder / "strace.log"
    with bench.figure() as said:
        injection.require_strace()
        bench.program.warm_up()
        hit: Counter[str] = Counter()
        for work in (_Save(bench), _Import(bench), _Record(bench)):
            with injection.gate() as gate:
                process = work.start(0, gate)
                injection.run_under(process, gate, log, None)
            bench.case(f"{work.name} without a fault", work.faults(0, process), "new")
            for number, point in enumerate(injection.points(log, points), start=1):
                hit[_kind(point)] += _one_point(bench, work, number, point, log)
        said += [f"{hit['kill']} points killed, {hit['error']} errors injected"]


def _one_point(bench: Bench, work: Work, number: int, point: Point, log: Path) -> bool:
    with injection.gate() as gate:
        process = work.start(number, gate)
        came = injection.run_under(process, gate, log, point)
    codes = (-9,) if point.fault == KILL else CODES
    faults = failed(process, *codes) if came else []
    faults += work.faults(number, process)
    how = f"exit {process.code}" if came else "not reached"
    bench.case(f"{work.name}: {point}", faults, f"{how}; old or new, and the next start works")
    return came


def _kind(point: Point) -> str:
    return "kill" if point.fault == KILL else "error"


class _Save:
    """A third checkpoint, for which the first has to go."""

    name = "checkpoint"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def _folder(self, number: int) -> Path:
        return self._bench.folder / f"save-{number:03d}" / CHECKPOINT

    def start(self, number: int, gate: Gate) -> Process:
        """Save the first two here, and the third there."""
        folder = self._folder(number)
        _save(folder, 1)
        _save(folder, 2)
        return self._bench.program.call(_in_a_line(_save), str(folder), "3", first=gate.wait)

    def faults(self, number: int, process: Process) -> list[str]:
        """The newest is the second or the third, all of it, and a fourth can be saved."""
        folder = self._folder(number)
        faults, newest = damaged(folder.parent), _newest(folder)
        right = newest == 3 if process.code == 0 else newest in (2, 3)
        faults += [] if right else [f"the newest checkpoint is {newest}"]
        _save(folder, 4)
        faults += [] if _newest(folder) == 4 else ["the next checkpoint cannot be read"]
        kept = sorted(path.suffix for path in folder.iterdir())
        faults += [] if kept == [".json"] * 2 + [".safetensors"] * 2 else [f"it holds {kept}"]
        return faults + orphans(folder)


class _Import:
    """A delimited file that becomes a folder of columns."""

    name = "import"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._file = bench.folder / "events.csv"
        rows = (f"{n % 83},{n * n % 101},{1_600_000_000 + n}" for n in range(2000))
        self._file.write_text("\n".join(["user,item,time", *rows]) + "\n")
        self._digest = ""

    def _command(self, number: int) -> tuple[str, ...]:
        names = "--user-column=user", "--item-column=item", "--time-column=time"
        there = f"--to={self._bench.folder / f'import-{number:03d}'}"
        return "data", "import", str(self._file), "--name=mine", there, *names, "--json"

    def start(self, number: int, gate: Gate) -> Process:
        """Import it; the gate is where the file has been read and the folder is written."""
        return self._bench.program.start(
            *self._command(number),
            first=lambda: _stop_before("recsys_cli.data.imported", "_write", gate),
        )

    def faults(self, number: int, process: Process) -> list[str]:
        """The folder is there whole or not at all; where it is not, the same command makes it."""
        above = self._bench.folder / f"import-{number:03d}"
        folder, faults = above / "mine", list[str]()
        if process.code not in (0, -9) and above.exists():
            faults = [f"{path} is left over" for path in above.rglob("*")]
        if process.code == 0 or folder.exists():
            return faults + self._other(folder)
        again = self._bench.program.run(*self._command(number))
        return faults + (failed(again, 0) or self._other(folder) + orphans(above))

    def _other(self, folder: Path) -> list[str]:
        """What is wrong with a folder that should be whole."""
        from recsys_cli.data.imported import load_imported
        from recsys_cli.errors import DataError

        try:
            digest = load_imported(path=str(folder), check="hashes").digest()
        except DataError as error:
            return [str(error)]
        self._digest = self._digest or digest
        return [] if digest == self._digest else [f"{folder} holds other events"]


class _Record:
    """The record of a run that has been trained and measured."""

    name = "record"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._store = Store(bench.folder / "runs" / "mlflow.db")
        self._whole: dict[str, Any] = {}
        self._points: Counter[tuple[str, int, float]] = Counter()

    def _command(self, number: int) -> list[str]:
        return train("mf", 2, f"--run-dir=record-{number:03d}", "--resume=auto")

    def start(self, number: int, gate: Gate) -> Process:
        """Train; the gate is where the outcome is written down."""
        return self._bench.program.start(
            *self._command(number),
            first=lambda: _stop_before("recsys_cli.experiment", "record", gate),
        )

    def faults(self, number: int, process: Process) -> list[str]:
        """Nothing in the run's folder is damaged, and the same command ends as if nothing had happened."""
        folder = self._bench.folder / f"record-{number:03d}"
        faults = damaged(folder)
        again = self._bench.program.run(*self._command(number))
        broken = failed(again, 0)
        for told in (process, again):
            broken += self._bench.delivered(told, str(folder))
        if broken:
            return faults + broken
        found, run_id = result(again.told, folder), json.loads(again.told)["run_id"]
        if not self._whole:
            self._whole, self._points = found, self._store.points(run_id)
        faults += differences(found, self._whole) + orphans(folder)
        return [*faults, *self._store.faults(run_id, folder, self._points), *self._store.sound()]


def _stop_before(module: str, name: str, gate: Gate) -> None:
    """Let this process wait at the gate when it calls a function."""
    place = importlib.import_module(module)
    function = getattr(place, name)

    def stopped(*said: object, **more: object) -> object:
        gate.wait()
        return function(*said, **more)

    setattr(place, name, stopped)


def _in_a_line(work: Callable[..., object]) -> Callable[..., None]:
    """The same work; an error that the program knows ends in its line and exit code, as on the command line."""
    from recsys_cli.cli import endings

    def as_command(*said: str) -> None:
        try:
            work(*said)
        except Exception as error:
            if (known := endings.told(error)) is None:
                raise
            print(known.line, file=sys.stderr)
            sys.exit(known.exit_code)

    return as_command


def _checkpoints(folder: Path) -> Any:
    from recsys_cli.training.checkpoint import Checkpoints

    return Checkpoints(folder, {"seed": 0})


def _save(folder: str | Path, number: int | str) -> None:
    import torch

    from recsys_cli.training.checkpoint import Saved

    tensors = {f"w{n}": torch.full((1000, n), float(number)) for n in (1, 8, 64)}
    _checkpoints(Path(folder)).save(Saved(tensors, {"number": int(number)}))


def _newest(folder: Path) -> int | str:
    """The number of the newest checkpoint; or what is wrong with what is found."""
    from recsys_cli.errors import RecsysError
    from recsys_cli.progress import Silent

    try:
        saved = _checkpoints(folder).newest(Silent())
    except RecsysError as error:
        return error.line
    if saved is None:
        return "none"
    number = int(saved.values["number"])
    same = all(bool((held == number).all()) for held in saved.tensors.values())
    return number if same else f"{number} with tensors of another"

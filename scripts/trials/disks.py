"""A disk that is full and memory that is short: the exit code of resources, one line, and earlier results intact."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from trials.bench import SMALL, Bench, failed, sleep_until, train
from trials.injection import UnavailableError
from trials.processes import Process
from trials.traces import FILES, Store, damaged, differences, orphans, result, stage

OUT_OF_RESOURCES = 4
MEGABYTES_OF_DISK = 24
LARGE = ("train", "--json", "--model=deep", "model.widths=[8192,8192]", "trainer.epochs=1", *SMALL)
MEGABYTES = (16, 160, 400, 700, 1000)


def disk(bench: Bench, *, moments: int) -> None:
    """Fill the disk of runs at so many moments, and start runs that may take only so much memory."""
    bench.program.warm_up()
    with bench.figure() as said:
        said += [f"{_short_memory(bench)} of {len(MEGABYTES)} sizes of memory too small"]
        with _small_disk(bench.folder / "disk") as folder:
            said += [f"disk full at {_full_disk(bench, folder, moments)} moments"]


def _short_memory(bench: Bench) -> int:
    """Runs of a large model in too little memory; how many of them found it too little."""
    earlier = bench.program.run(*train("mf", 2, "--run-dir=earlier"))
    before = _digests(bench.folder / "earlier")
    short = 0
    for megabytes in MEGABYTES:
        folder = f"--run-dir=large-{megabytes}"
        process = bench.program.start(*LARGE, folder, first=partial(_limit, megabytes << 20))
        process.wait()
        faults = failed(process, 0, OUT_OF_RESOURCES) + _not_one_line(process)
        faults += _earlier_faults(bench.folder, earlier, before)
        short += process.code == OUT_OF_RESOURCES
        bench.case(
            f"{megabytes} MB more", faults, f"exit {process.code}: {process.last_line[:120]}"
        )
    return short


def _limit(more: int) -> None:
    """Let this process take so many more bytes than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _full_disk(bench: Bench, folder: Path, moments: int) -> int:
    """Runs whose disk is full from some moment of their life on, until so many ended for it; how many did."""
    store = Store(folder / "runs" / "mlflow.db")
    earlier = bench.program.run(*_on_disk(folder, "earlier"))
    unbroken = bench.program.run(*_on_disk(folder, "unbroken"))
    before, whole = _digests(folder / "earlier"), result(unbroken.told, folder / "unbroken")
    full = number = 0
    while full < moments and number < 3 * moments:
        name, ballast = f"full-{number:03d}", folder / "ballast"
        process = bench.program.start(*_on_disk(folder, name))
        sleep_until(process, bench.chance.random() * unbroken.age)
        where = stage(folder / name, process)
        _fill(ballast)
        process.wait()
        faults = failed(process, 0, OUT_OF_RESOURCES) + _not_one_line(process)
        ballast.unlink()
        faults += damaged(folder / name) + store.sound()
        again = bench.program.run(*_on_disk(folder, name))
        faults += bench.delivered(again, str(folder / name)) + _earlier_faults(
            folder, earlier, before
        )
        faults += failed(again, 0) or [
            *differences(result(again.told, folder / name), whole),
            *orphans(folder / name),
        ]
        said = process.last_line[:150] if process.code else "done before it mattered"
        bench.case(f"{name}, {where}", faults, f"exit {process.code}: {said}; then whole")
        full, number = full + (process.code == OUT_OF_RESOURCES), number + 1
        shutil.rmtree(folder / name)
    return full


def _fill(ballast: Path) -> None:
    """Take all that is free on a disk."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def _on_disk(folder: Path, name: str) -> list[str]:
    return train("mf", 6, f"--run-dir={folder / name}", "--resume=auto", f"root={folder / 'runs'}")


def _not_one_line(process: Process) -> list[str]:
    """What is wrong with the words of a run that ended for want of something."""
    errors = [line for line in process.errors.splitlines() if "error: " in line]
    return [f"{len(errors)} lines of errors"] if process.code and len(errors) != 1 else []


def _digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def _earlier_faults(folder: Path, earlier: Process, before: dict[str, str]) -> list[str]:
    """What happened to the earlier run that lies in the same folder."""
    run_id = json.loads(earlier.told)["run_id"]
    store = Store(folder / "runs" / "mlflow.db")
    faults = [] if _digests(folder / "earlier") == before else ["the earlier run's files changed"]
    return faults + list(store.faults(run_id, folder / "earlier", store.points(run_id)))


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A disk in memory.

    Raises:
        UnavailableError: This process may mount none.
    """
    folder.mkdir()
    size = f"size={MEGABYTES_OF_DISK}m"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise UnavailableError(f"no small disk can be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

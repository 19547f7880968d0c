"""Many processes at once: a store that is not there yet, a cache that is empty, and one that dies while it makes them."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from trials.bench import QUICK, Bench, failed, sleep_until
from trials.processes import PAUSE_SECONDS, Process
from trials.traces import Store, orphans

AT_ONCE = 8


def store(bench: Bench, *, rounds: int, kills: int) -> None:
    """Start eight runs at once where there is no store, and kill runs while they create one."""
    bench.program.warm_up()
    with bench.figure() as said:
        for number in range(rounds):
            _at_once(bench, bench.folder / f"together-{number:02d}")
        said += [f"{rounds} times {AT_ONCE} processes on no store"]
        landed = sum(_killed_creation(bench, number) for number in range(kills))
        said += [f"{landed} kills during its creation, each followed by a start"]


def _at_once(bench: Bench, root: Path) -> None:
    processes = [bench.program.start(*_quick(root)) for _ in range(AT_ONCE)]
    faults = [
        fault for process in processes if process.wait() is not None for fault in failed(process, 0)
    ]
    bench.case(
        root.name,
        faults or _record_faults(bench, root, processes),
        f"{AT_ONCE} of {AT_ONCE} succeed",
    )


def _record_faults(bench: Bench, root: Path, processes: list[Process]) -> list[str]:
    """What is missing of the records of finished processes in a store."""
    kept = Store(root / "mlflow.db")
    faults = [
        fault for process in processes for fault in bench.delivered(process, f"--root={root}")
    ]
    faults += kept.sound() + orphans(root)
    told = [json.loads(process.told) for process in processes]
    statuses = Counter(kept.statuses.values())
    if statuses != {"FINISHED": len(processes)}:
        faults.append(f"tracked runs: {dict(statuses)}")
    for outcome in told:
        numbers = {key for key, *_ in kept.points(outcome["run_id"])}
        wanted = {f"test_{key}" for key in outcome["metrics"]["test"]}
        faults += [f"{key} of {outcome['run_id']} is lost" for key in sorted(wanted - numbers)[:1]]
    return faults


def _killed_creation(bench: Bench, number: int) -> int:
    """Kill a run while there is a draft of the database, then start one that must work; 1 where the kill landed."""
    root = bench.folder / f"killed-{number:02d}"
    draft, database = root / "mlflow.db.draft", root / "mlflow.db"
    process = bench.program.start(*_quick(root))
    while process.poll() is None and not draft.exists() and not database.exists():
        time.sleep(PAUSE_SECONDS)
    sleep_until(process, process.age + bench.chance.random() * 0.6)
    landed = process.kill() and not database.exists()
    after = sum(1 for _ in root.glob("mlflow.db*"))
    again = bench.program.run(*_quick(root))
    faults = failed(again, 0) + bench.delivered(again, f"--root={root}")
    if not faults:
        kept = Store(database)
        faults = kept.sound() + [f"{path} is left over" for path in root.glob("*.draft*")]
        faults += [f"a run is {s}" for s in kept.statuses.values() if landed and s != "FINISHED"]
    where = f"killed with {after} files of it there" if landed else "killed too late"
    bench.case(root.name, faults, f"{where}; the next start works")
    return landed


def _quick(root: Path, *said: str) -> list[str]:
    return ["train", "--json", *QUICK, f"root={root}", *said]


def together(bench: Bench, *, rounds: int) -> None:
    """Let eight processes read one file and fetch one archive through one empty cache, into one store."""
    bench.program.warm_up()
    with bench.figure() as said:
        for number in range(rounds):
            _one_cache(bench, bench.folder / f"cache-{number}")
            _one_download(bench, bench.folder / f"download-{number}")
        said += [f"{rounds} times {AT_ONCE} processes: one parse, one download, nothing lost"]


def _one_cache(bench: Bench, root: Path) -> None:
    """Eight runs on one delimited file: it is parsed once."""
    root.mkdir()
    events = root / "events.csv"
    rows = [f"{n % 211},{n * n % 307},{1_600_000_000 + n * 997}" for n in range(20_000)]
    events.write_text("\n".join(["user,item,time", *rows]) + "\n")
    said = [
        "train", "--json", "--no-progress", "--model=popularity", "--data=csv", f"data.path={events}",
        "data.user_column=user", "data.item_column=item", "data.time_column=time", "device=cpu",
        f"root={root / 'runs'}",
    ]  # fmt: skip
    note = partial(_note_parses, root / "parsed")
    env = {"RECSYS_CACHE": str(root / "cache")}
    processes = [bench.program.start(*said, env=env, first=note) for _ in range(AT_ONCE)]
    faults = [
        fault for process in processes if process.wait() is not None for fault in failed(process, 0)
    ]
    faults = faults or _record_faults(bench, root / "runs", processes)
    parsed = len((root / "parsed").read_text().splitlines())
    faults += [] if parsed == 1 else [f"parsed {parsed} times"]
    weights = {json.loads(process.told)["weights_sha256"] for process in processes if not faults}
    faults += ["runs differ"] if len(weights) > 1 else []
    bench.case(root.name, faults, f"{AT_ONCE} runs, parsed once")


def _note_parses(log: Path) -> None:
    """Let this process write a line each time that it stores parsed events."""
    from recsys_cli.data import cache

    store_events = cache._store

    def noted(*said: object) -> None:
        with log.open("a") as file:
            file.write("parsed\n")
        store_events(*said)  # type: ignore[arg-type]

    cache._store = noted  # type: ignore[assignment]


def _one_download(bench: Bench, root: Path) -> None:
    """Eight processes want one archive of a server on this machine: it is asked once."""
    served = root / "served"
    served.mkdir(parents=True)
    archive = served / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("events.csv", "1,2,3\n" * 200_000)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    env = {"RECSYS_CACHE": str(root / "cache")}
    with _server(served) as (address, asked):
        said = (f"{address}/set.zip", f"sha256:{digest}")
        processes = [bench.program.call(_fetch, *said, env=env) for _ in range(AT_ONCE)]
        faults = [
            fault
            for process in processes
            if process.wait() is not None
            for fault in failed(process, 0)
        ]
    faults += [] if len(asked) == 1 else [f"the server was asked {len(asked)} times"]
    kept = root / "cache" / "downloads" / "set.zip"
    if not faults and kept.read_bytes() != archive.read_bytes():
        faults.append("another file was kept")
    bench.case(root.name, faults + orphans(root), f"{AT_ONCE} processes, downloaded once")


def _fetch(address: str, checksum: str) -> None:
    from recsys_cli.data.download import Archive, obtain
    from recsys_cli.progress import Silent

    obtain(Archive("set", address, checksum, "no terms"), Silent(), loopback=True)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine: its address, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A study on a PostgreSQL server: two commands that begin it at once, and one that dies while the other goes on."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trials import sweeps
from trials.bench import Bench, failed
from trials.injection import UnavailableError
from trials.processes import Process
from trials.traces import Store, orphans

DEBIAN = Path("/usr/lib/postgresql")  # a folder for each version there, which is not on the path
UNPRIVILEGED = "nobody"  # runs the server where we are root, as whom it refuses to run
KIND = "grid"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of our own, on 127.0.0.1 and with a password.

    Attributes:
        address: Without the name of a database.
    """

    address: str

    def database(self, name: str) -> str:
        """Make an empty database; its address."""
        with _connected(f"{self.address}/postgres") as connection:
            connection.execute(f'create database "{name}"')
        return f"{self.address}/{name}"


def postgres(bench: Bench, *, rounds: int, kills: int) -> None:
    """Begin one study on an empty PostgreSQL server by two commands at once, and kill one of two that share a study."""
    bench.program.warm_up()
    with bench.figure() as said, _server() as server:
        whole = bench.program.run(*sweeps.command(KIND, "unbroken"))
        faults = failed(whole, 0)
        bench.case("unbroken", faults, "in a file, by one command")
        for number in range(rounds):
            _at_once(bench, server, f"together-{number:02d}", sweeps.table(whole))
        landed = sum(
            _one_dies(bench, server, f"killed-{number:02d}", whole) for number in range(kills)
        )
        said += [f"{rounds} times 2 commands on no study, {landed} of {kills} killed in one of two"]


def _at_once(bench: Bench, server: Server, name: str, whole: list[dict[str, Any]]) -> None:
    address = server.database(name)
    before = set(_tracked(bench).statuses)
    both = [_start(bench, name, address) for _ in range(2)]
    faults = [
        fault for process in both if process.wait() is not None for fault in failed(process, 0)
    ]
    faults = faults or _end_faults(bench, name, address, both, whole, before)
    bench.case(name, faults, f"both end with the same {len(whole)} trials")


def _one_dies(bench: Bench, server: Server, name: str, whole: Process) -> bool:
    """Kill one of two commands at a random moment; the other must take its trial over. Whether the kill landed."""
    address, trials = server.database(name), sweeps.table(whole)
    before = set(_tracked(bench).statuses)
    both = [_start(bench, name, address) for _ in range(2)]
    victim, other = bench.chance.sample(both, 2)
    folder = bench.folder / "runs" / "sweeps" / name
    landed = sweeps.moment(bench, victim, folder, len(trials), whole.age) and victim.kill()
    states = _states(address) if landed else {}
    other.wait()
    faults = failed(other, 0)
    faults += [] if landed else failed(victim, 0)
    after = _states(address)
    faults += [
        f"trial {number} was finished and is another now"
        for number, kept in states.items()
        if kept[0] != "RUNNING" and after.get(number) != kept
    ]
    faults = faults or _end_faults(bench, name, address, [other], trials, before)
    running = sum(state == "RUNNING" for state, _ in states.values())
    seen = (
        f"{running} trials under way, {len(states) - running} finished then"
        if landed
        else "too late"
    )
    bench.case(name, faults, f"killed: {seen}; the other ends with the same {len(trials)} trials")
    return landed


def _start(bench: Bench, name: str, address: str) -> Process:
    return bench.program.start(*sweeps.command(KIND, name), env={"RECSYS_STORAGE": address})


def _tracked(bench: Bench) -> Store:
    return Store(bench.folder / "runs" / "mlflow.db")


def _end_faults(
    bench: Bench,
    name: str,
    address: str,
    ended: list[Process],
    whole: list[dict[str, Any]],
    before: set[str],
) -> list[str]:
    faults = [
        "the table of trials is another" for process in ended if sweeps.table(process) != whole
    ]
    folder = bench.folder / "runs" / "sweeps" / name
    faults += [fault for process in ended for fault in bench.delivered(process, str(folder))]
    states = _states(address)
    if [*states] != [*range(len(whole))] or {state for state, _ in states.values()} != {"COMPLETE"}:
        faults.append(f"the study holds {states}")
    return faults + sweeps.tracking_faults(_tracked(bench), before, len(whole)) + orphans(folder)


def _states(address: str) -> dict[int, tuple[str, float | None]]:
    """State and value of each trial by number; none where there is no study yet."""
    query = (
        "select number, state::text, value from trials left join trial_values using (trial_id) "
        "order by number"
    )
    with _connected(address) as connection:
        if connection.execute("select to_regclass('trial_values')").fetchone() == (None,):
            return {}
        return {number: (state, value) for number, state, value in connection.execute(query)}


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def _server() -> Iterator[Server]:
    """A server with a data folder of its own, which ends with the block and leaves nothing.

    Raises:
        UnavailableError: PostgreSQL, or what Python needs to reach it, is not installed.
    """
    programs = _programs()
    try:
        import psycopg  # noqa: F401  # whether it is there
    except ImportError as error:
        raise UnavailableError("psycopg is not installed") from error
    root = os.geteuid() == 0
    become: dict[str, Any] = {"user": UNPRIVILEGED, "extra_groups": []} if root else {}
    folder = Path(tempfile.mkdtemp(prefix="recsys-postgres-"))
    password, port = secrets.token_hex(16), _free_port()
    try:
        (folder / "password").write_text(password + "\n")
        if root:
            owner = pwd.getpwnam(UNPRIVILEGED)
            for path in (folder, folder / "password"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            become["group"] = owner.pw_gid
        subprocess.run(
            [
                programs / "initdb", "-D", folder / "data", "-U", "recsys", "-A", "scram-sha-256",
                f"--pwfile={folder / 'password'}", "-E", "UTF8", "--locale=C", "--no-sync",
            ],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **become,
        )  # fmt: skip
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [
                    programs / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1",
                    "-k", "",
                ],
                stdout=log, stderr=log, cwd=folder, start_new_session=True, **become,
            )  # fmt: skip
        try:
            address = f"postgresql://recsys:{password}@127.0.0.1:{port}"
            _await(address, server)
            yield Server(address)
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of PostgreSQL's programs."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise UnavailableError("PostgreSQL is not installed")
    return versions[-1].parent


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _await(address: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    while True:
        try:
            with _connected(f"{address}/postgres"):
                return
        except psycopg.OperationalError:
            if server.poll() is not None:
                raise
            time.sleep(0.05)

"""The command line of the trials."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from trials import disks, kills, servers, signals, soak, stores, sweeps, syscalls
from trials.bench import Bench
from trials.processes import Program
from trials.report import Report

Trial = Callable[..., None]
# Each trial with its counts: in full, and in the short form, which leaves out what takes long, what the slow tests
# kill too, and what needs a server.
TRIALS: dict[str, tuple[Trial, dict[str, int], dict[str, int] | None]] = {
    "kills": (kills.kills, {"runs": 40, "kills": 100}, {"runs": 3, "kills": 7}),
    "syscalls": (syscalls.syscalls, {"points": 30}, {"points": 4}),
    "sweep": (sweeps.sweep, {"kills": 20}, None),
    "postgres": (servers.postgres, {"rounds": 5, "kills": 10}, None),
    "store": (stores.store, {"rounds": 10, "kills": 30}, {"rounds": 1, "kills": 3}),
    "together": (stores.together, {"rounds": 5}, {"rounds": 1}),
    "signals": (signals.signals, {"moments": 40}, {"moments": 3}),
    "disk": (disks.disk, {"moments": 20}, {"moments": 3}),
    "soak": (soak.soak, {"minutes": 30}, None),
}


def main() -> int:
    """Run the trials that were named: 0 when all held, 1 on any fault, 2 where one cannot be run on this machine.

    The short form leaves out what cannot be run, and its table says so.
    """
    said = _parser().parse_args()
    # Read when torch is loaded, later. A process that has had several threads cannot be forked.
    os.environ["OMP_NUM_THREADS"] = "1"
    report = Report()
    root = Path(tempfile.mkdtemp(prefix="torture-", dir=said.folder))
    print(f"files in {root}, seed {said.seed}", flush=True)
    try:
        for name in TRIALS if said.trial in ("all", "short") else [said.trial]:
            _run(name, said, root, report)
    finally:
        print(f"\n{report.table()}", flush=True)
        if said.json is not None:
            report.write(said.json)
    if not report.held:
        print(f"files kept in {root}")
        return 1
    if not said.keep:
        shutil.rmtree(root)
    return 2 if report.untried and said.trial != "short" else 0


def _run(name: str, said: argparse.Namespace, root: Path, report: Report) -> None:
    trial, full, short = TRIALS[name]
    if said.trial == "short":
        if short is None:
            return
        counts = short
    else:
        counts = full
    given = {count: getattr(said, count, None) for count in counts}
    counts = counts | {count: value for count, value in given.items() if value is not None}
    program = Program(root / name)
    bench = Bench(name, program, report, said.seed, random.Random(f"{name} {said.seed}"))
    try:
        trial(bench, **counts)
    finally:
        program.close()
    if left := program.left():
        report.case(name, "at the end", [f"process {pid} is left over" for pid in left])


def _parser() -> argparse.ArgumentParser:
    usual = argparse.ArgumentParser(add_help=False)
    usual.add_argument("--seed", type=int, default=1, help="repeats a trial's choices")
    usual.add_argument(
        "--json", type=Path, metavar="FILE", help="write cases and verdicts there too"
    )
    usual.add_argument(
        "--folder", type=Path, metavar="DIR", help="where the files of the trials go"
    )
    usual.add_argument("--keep", action="store_true", help="keep those files also where all held")
    about = (
        "Kill, starve and crowd the program, and see that it loses and breaks nothing. "
        "Exit code 1 on any fault, 2 where a trial cannot be run on this machine."
    )
    parser = argparse.ArgumentParser(prog="scripts/torture", description=about)
    commands = parser.add_subparsers(dest="trial", required=True, metavar="TRIAL")
    for name, (trial, full, _) in TRIALS.items():
        own = commands.add_parser(name, parents=[usual], help=_first_line(trial))
        for count, value in full.items():
            own.add_argument(f"--{count}", type=int, metavar="N", help=f"usually {value}")
    commands.add_parser("all", parents=[usual], help="every trial in full")
    commands.add_parser(
        "short", parents=[usual], help="all but soak, sweep and postgres, in two minutes"
    )
    return parser


def _first_line(trial: Trial) -> str:
    lines: Sequence[str] = (trial.__doc__ or "").splitlines()
    return lines[0]

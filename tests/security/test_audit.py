"""While the commands run, nothing is unpickled, compiled, started or listened to: seen by Python's own audit events."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY
from tests.security.audited import LOOPBACK, Hook
from tests.security.conftest import SMALL

TABLE = """# Tiny
data: demo
overrides: [data.events=1000, split=leave_last_out, tracking=none]
metrics: [ndcg_at_10]
digits: 2
rows: [{model: popularity, published: [0.05], tolerance: 1}]
"""
COMMANDS = [
    "data import events.csv --name=mine",
    "train --model=mf --data=imported data.path=data/mine split=leave_last_out trainer.epochs=1 "
    "device=cpu device.threads=1 --run-dir=runs/mf",
    f"train --model=seq {' '.join(SMALL)} trainer.epochs=1 trainer.checkpoint_every_steps=1 "
    "--run-dir=runs/seq --resume=auto",
    f"train --model=ease {' '.join(SMALL)} --run-dir=runs/ease",
    f"train --model=popularity {' '.join(SMALL)} --run-dir=runs/popularity",
    "evaluate runs/ease --lists lists.csv",
    "evaluate --recommendations lists.csv --against runs/ease",
    "recommend runs/ease --history 1,2",
    f"sweep --model=mf model.rank=2,4 trainer.epochs=1 {' '.join(SMALL)} --trials=2 --study=s",
    "compare-runs runs/ease runs/popularity",
    "reproduce tiny --config-dir=own",
    "data describe demo --picture picture.png",
    "models",
]
# Python's `platform` asks for the processor's name, and matplotlib for the fonts there are.
KNOWN_PROCESSES = ("'uname'", "'fc-list'", "'system_profiler'")


@pytest.mark.slow
def test_no_command_unpickles_compiles_starts_or_listens(tmp_path: Path) -> None:
    rows = [
        f"{user},{item},{1_000_000_000 + user * 1_000 + item}"
        for user in range(30)
        for item in random.Random(user).sample(range(40), 8)
    ]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    (tmp_path / "own" / "published").mkdir(parents=True)
    (tmp_path / "own" / "published" / "tiny.yaml").write_text(TABLE)
    commands = json.dumps([command.split() for command in COMMANDS])
    command = [sys.executable, "-m", "tests.security.audited", "report.json", commands]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path),
    }
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=500)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ended"] == dict.fromkeys(COMMANDS, 0)
    processes = [
        seen
        for seen in report["seen"].pop("subprocess.Popen", [])
        if not any(known in seen for known in KNOWN_PROCESSES)
    ]
    assert processes == []
    assert report["seen"] == {}
    assert report["control"] == [
        "compile",
        "exec",
        "pickle.find_class",
        "socket.bind",
        "subprocess.Popen",
    ]


@pytest.mark.parametrize("address", [("::", 80), ("10.0.0.1", 80), ("example.org", 443)])
def test_the_hook_sees_what_leaves_this_machine(address: tuple[str, int]) -> None:
    hook = Hook()
    hook("socket.bind", (None, address))
    assert list(hook.seen) == ["socket.bind"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_the_hook_lets_this_machine_talk_to_itself(host: str) -> None:
    hook = Hook()
    hook("socket.connect", (None, (host, 5000)))
    assert hook.seen == {}

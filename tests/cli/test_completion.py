"""Completion is tried in a real bash: it is bash that cuts words at '='."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli import catalogue

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a command `recsys`, and a folder of the user's own."""
    program = tmp_path / "bin" / "recsys"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m recsys_cli "$@"\n')
    program.chmod(0o755)
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "seven.yaml").write_text(
        "# Mine\n_target_: my.Seven\nlength: 7  # how long [1, 9]\nkind: a  # which one {a, b}\n"
    )
    return os.environ | {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        catalogue.ENVIRONMENT: str(tmp_path / "own"),
    }


BASH = """
source <(recsys completion bash)
compopt() { :; }  # only there while bash itself completes
while IFS= read -r line; do
    COMP_LINE="$line" COMP_POINT=${#line}
    _recsys recsys
    echo "${COMPREPLY[*]}"
done
"""

LINES = {
    "recsys tra": "train",
    "recsys train --mod": "--model",
    "recsys train --model=sev": "seven",
    "recsys train --model sev": "seven",
    "recsys train model=sev": "seven",
    "recsys train --model=mf,sev": "mf,seven",
    "recsys train --model=seven model.l": "model.length=",
    "recsys train model=seven model.": "model.length= model.kind=",
    "recsys train --model=seven model.kind=": "a b",
    "recsys train --model=seven model.length=": "",
    "recsys train --split=leave": "leave_last_out",
    "recsys train see": "seed=",
    "recsys train pres": "preset=",
    "recsys models sev": "seven",
    "recsys completion z": "zsh",
    "recsys train --model=nothing": "",
}


def answers(environment: dict[str, str], lines: Iterable[str], before: str = "") -> dict[str, str]:
    """Line as typed up to the cursor -> what bash would offer for its last word."""
    done = subprocess.run(
        ["bash", "--norc", "-c", before + BASH],
        input="".join(f"{line}\n" for line in lines),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(zip(lines, done.stdout.splitlines(), strict=True))


def test_bash_completes(environment: dict[str, str]) -> None:
    assert answers(environment, LINES) == LINES


def test_bash_completes_where_words_are_not_cut_at_the_equals_sign(
    environment: dict[str, str],
) -> None:
    expected = {
        "recsys train --model=sev": "--model=seven",
        "recsys train model=sev": "model=seven",
        "recsys train --model sev": "seven",
    }
    assert answers(environment, expected, before="COMP_WORDBREAKS=' '\n") == expected


def test_the_tab_key_completes(environment: dict[str, str]) -> None:
    master, slave = pty.openpty()
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | {"PS1": "$ ", "TERM": "dumb"},
        start_new_session=True,
    )
    try:
        os.write(master, b"source <(recsys completion bash); echo rea''dy\n")
        wait_for(master, "ready\r\n")
        for typed, completed in ("--model=sev", "--model=seven"), ("model=sev", "model=seven"):
            os.write(master, f"recsys train {typed}\t".encode())
            wait_for(master, completed)
            os.write(master, b"\x01echo typed: \n")
            wait_for(master, f"typed: recsys train {completed}")
    finally:
        bash.kill()
        bash.wait()
        os.close(master)
        os.close(slave)


def wait_for(terminal: int, text: str) -> None:
    """Read what a terminal shows until this text has come."""
    shown, end = "", time.monotonic() + 60
    while text not in shown:
        ready, _, _ = select.select([terminal], [], [], 1)
        shown += os.read(terminal, 4096).decode() if ready else ""
        assert time.monotonic() < end, f"{text!r} never came: {shown!r}"


@pytest.mark.parametrize(
    ("shell", "answer"),
    [("zsh", '"seven":"Mine"'), ("fish", "seven\tMine")],
)
def test_other_shells_are_answered(
    spawn: Callable[..., Any], environment: dict[str, str], shell: str, answer: str
) -> None:
    """The scripts of these shells are not run here, what they ask the program is."""
    script = spawn("completion", shell)
    assert script.code == 0
    assert f"_RECSYS_COMPLETE=complete_{shell}" in script.out
    asked = environment | {
        "_RECSYS_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "recsys train --model=sev",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert answer in spawn(**asked).out


def test_a_broken_folder_gives_no_messages(
    spawn: Callable[..., Any], environment: dict[str, str]
) -> None:
    for line in ("recsys train --model=", "recsys train model.", "recsys train model="):
        asked = environment | {
            "_RECSYS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": "2",
            catalogue.ENVIRONMENT: "/nowhere/at/all",
        }
        ended = spawn(**asked)
        assert (ended.code, ended.out.strip(), ended.err) == (0, "", "")

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from recsys_cli import __version__
from recsys_cli.cli import PATIENT, program, stopping
from recsys_cli.cli.options import Command
from recsys_cli.errors import DivergedError, ResourceError, TrackingError

HEAVY = [
    "torch",
    "mlflow",
    "pandas",
    "numpy",
    "hydra",
    "omegaconf",
    "optuna",
    "yaml",
    "rich",
    "pydantic",
    "scipy",
    "sklearn",
    "matplotlib",
]
LISTINGS = [
    "data list --help",
    "data import --help",
    "data settings ml-100k",
    "models",
    "models mf",
    "data list",
    "completion bash",
]
SEEN = """
import json, sys
sys.argv = ["recsys", *sys.argv[1:]]
from recsys_cli.cli import main
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(arguments: str) -> tuple[int, set[str]]:
    command = [sys.executable, "-c", SEEN, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    code, modules = json.loads(done.stderr)
    return code, {name.split(".")[0] for name in modules}


@pytest.mark.parametrize("arguments", ["--help", "--version", "train --help"])
def test_help_loads_nothing_heavy(arguments: str) -> None:
    code, modules = loaded(arguments)
    assert code == 0
    assert modules & set(HEAVY) == set()


@pytest.mark.parametrize("arguments", LISTINGS)
def test_listings_load_nothing_heavy(arguments: str) -> None:
    code, modules = loaded(arguments)
    assert code == 0
    assert modules & set(HEAVY) <= {"pydantic"}, "Typer itself converts arguments with pydantic"


def test_without_arguments_it_shows_help(recsys: Callable[..., Any]) -> None:
    ended = recsys()
    assert ended.code == 0
    assert ended.out == recsys("--help").out
    assert "train" in ended.out


def test_the_version_says_which_program_this_is(recsys: Callable[..., Any]) -> None:
    assert recsys("--version").out.startswith(f"recsys-cli {__version__}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian", "No such command 'trian'. Did you mean 'train'?"),
        ("train --modle=mf", "No such option: --modle (Possible options: --model"),
        ("train --model=mf --model=deep", "--model is given 2 times"),
        ("train --seed 1 --seed=2", "--seed is given 2 times"),
        ("train --trainer.lr=1", "a setting has no dashes: trainer.lr=1"),
        ("train --seed=x", "Invalid value for '--seed'"),
        ("train --seed", "Option '--seed' requires an argument"),
        ("train --config-dir=/nowhere/at/all", "'/nowhere/at/all' does not exist"),
        ("models sqe", "did you mean 'seq'?"),
        ("models mf deep", "unexpected extra argument"),
        ("data", "Missing command; see recsys data --help"),
        ("data describe", "Missing argument"),
        ("completion csh", "Invalid value for 'shell'"),
        ("ui --port=0", "Invalid value for '--port'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    recsys: Callable[..., Any], arguments: str, message: str
) -> None:
    ended = recsys(*arguments.split())
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("recsys: error: ")
    assert ended.err.count("\n") == 1
    assert message in ended.err


def raising(error: BaseException) -> typer.Typer:
    """The program with a command that raises this."""
    app = typer.Typer(cls=program.Program, rich_markup_mode=None)

    @app.callback()
    def root() -> None:
        pass

    @app.command(cls=Command)
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            DivergedError("the loss is\n nan", "lower trainer.lr"),
            3,
            "the loss is nan; lower trainer.lr",
        ),
        (ResourceError("no room"), 4, "no room"),
        (TrackingError("no store"), 6, "no store"),
    ],
)
def test_an_error_is_one_line_and_its_code(error: Exception, code: int, message: str) -> None:
    result = CliRunner().invoke(raising(error), ["fail"])
    assert result.exit_code == code
    assert result.stderr == f"recsys: error: {message}\n"


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (stopping.Terminated(), 143)]
)
def test_an_interruption_has_its_own_code(error: BaseException, code: int) -> None:
    result = CliRunner().invoke(raising(error), ["fail"])
    assert result.exit_code == code
    assert result.stderr == "recsys: interrupted\n"


@pytest.mark.parametrize("error", [ValueError("a bug"), FileNotFoundError(2, "no", "f")])
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    result = CliRunner().invoke(raising(error), ["fail"])
    assert result.exit_code == 1
    assert result.exception is error


def test_the_exit_codes_are_in_the_help(recsys: Callable[..., Any]) -> None:
    told = " ".join(recsys("--help").out.split())
    assert "3 training diverged; 4 out of disk or memory" in told
    assert "130 and 143 interrupted" in told


def test_a_reader_that_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "recsys_cli", "models"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_waiting_threads_do_not_spin() -> None:
    code = (
        "import os, sys; sys.argv = ['recsys', '--version']\n"
        "from recsys_cli.cli import PATIENT, main\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
        "try: main()\nexcept SystemExit: print(*(os.environ[name] for name in PATIENT))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in PATIENT}
    for given, seen in ({}, "PASSIVE 4"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE 4"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | given,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.splitlines()[-1] == seen


COMMANDS = [command.__name__.replace("_", "-") for command in program.COMMANDS]
DATA_COMMANDS = [f"data {name}" for name in ("list", "settings", "describe", "get", "import")]


@pytest.mark.parametrize("command", [*COMMANDS, "data", *DATA_COMMANDS])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(
    recsys: Callable[..., Any], command: str, option: str
) -> None:
    ended = recsys(*command.split(), option)
    assert ended.code == 0
    assert ended.out.startswith(f"Usage: recsys {command}")
    assert command.split()[0] in recsys("--help").out

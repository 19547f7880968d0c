"""The lint rules bite: each way to unpickle, evaluate, unpack or start a shell is reported where it stands."""

import json
import subprocess
import sys

from tests.cli.conftest import REPOSITORY

PACKAGE = REPOSITORY / "recsys_cli"
IMPORTS = "import hydra, hydra.utils, mlflow, numpy, os, pandas, shutil, subprocess, tempfile, torch, yaml, zipfile"
FORBIDDEN = """
import pickle
import cPickle
import _pickle
import dill
import cloudpickle
import marshal
import shelve
import tarfile
import code
import runpy
import joblib
from pickle import loads
from torch import load
from joblib import load
from numpy import load
from hydra.utils import instantiate
from mlflow.pyfunc import load_model
pandas.read_pickle("x")
pandas.read_hdf("x")
pandas.eval("x")
numpy.load("x")
torch.load("x")
torch.jit.load("x")
torch.hub.load("x")
mlflow.pyfunc.load_model("x")
mlflow.sklearn.load_model("x")
mlflow.pytorch.load_model("x")
hydra.utils.instantiate({})
hydra.utils.call({})
hydra.main()
yaml.load("x", yaml.UnsafeLoader)
yaml.unsafe_load("x")
yaml.full_load("x")
eval("x")
exec("x")
os.system("x")
os.popen("x")
subprocess.run("x", shell=True)
shutil.unpack_archive("x")
tempfile.mktemp()
""".strip().splitlines()


def reported(source: str) -> dict[int, list[str]]:
    """Line -> the rules that ruff finds broken there, under this repository's settings."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format=json",
        "--stdin-filename=recsys_cli/x.py",
        "-",
    ]
    done = subprocess.run(
        command, input=source, capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    found: dict[int, list[str]] = {}
    for problem in json.loads(done.stdout):
        found.setdefault(problem["location"]["row"], []).append(problem["code"])
    return found


def test_every_forbidden_line_is_reported():
    lines = [IMPORTS, *FORBIDDEN]
    found = reported("\n".join(lines) + "\n")
    silent = [
        line
        for number, line in enumerate(lines, start=1)
        if number > 1
        and not any(code.startswith(("TID251", "S")) for code in found.get(number, []))
    ]
    assert silent == []


def test_a_harmless_line_is_not_reported():
    assert "TID251" not in reported('"""Doc."""\nimport numpy\n\nnumpy.zeros(3)\n').get(4, [])


def test_no_archive_is_unpacked_and_no_array_may_hold_objects():
    """Methods, which a linter cannot tell by their object."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for method in (
            ".extractall(",
            ".extract(",
            "allow_pickle=True",
            "weights_only=False",
            "trust_remote_code",
        ):
            assert method not in text, f"{path}: {method}"


def test_exceptions_to_the_rules_are_few_and_say_why():
    allowed = {"S603": 3, "TID251": 1, "S301": 0, "S307": 0, "S102": 0, "S506": 0, "S202": 0}
    found = dict.fromkeys(allowed, 0)
    for path in PACKAGE.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            for rule in allowed:
                found[rule] += "noqa" in line and rule in line
    assert all(found[rule] <= most for rule, most in allowed.items()), found

"""Versions below which a known hole is open: asked for, pinned and installed."""

import tomllib
from importlib.metadata import version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.conftest import REPOSITORY

FLOORS = {
    "torch": "2.13",  # loading runs code before 2.6, and through other doors until 2.10
    "mlflow": "3.17.2",  # remote code, files and requests of others before 3.17
    "hydra-core": "1.3.8",  # instantiate's blocklist could be walked around
    "omegaconf": "2.3.1",
    "safetensors": "0.8",
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", FLOORS)
def test_a_floor_is_asked_for(project, name):
    asked = {(r := Requirement(text)).name: r.specifier for text in project["dependencies"]}
    floors = [Version(spec.version) for spec in asked[name] if spec.operator == ">="]
    assert floors
    assert min(floors) >= Version(FLOORS[name])


@pytest.mark.parametrize("name", FLOORS)
def test_a_floor_is_pinned_and_installed(name):
    pins = dict(
        line.split(";")[0].strip().split("==")
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    )
    assert Version(pins[name]) >= Version(FLOORS[name])
    assert Version(version(name)) >= Version(FLOORS[name])


def test_nothing_that_loads_pickles_is_asked_for(project):
    asked = {Requirement(text).name for text in project["dependencies"]}
    assert asked.isdisjoint({"dill", "cloudpickle", "joblib", "h5py", "tables"})

"""Versions against their floors, and other programs of the same name."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from recsys_cli.doctor import packages
from recsys_cli.doctor.packages import within


@pytest.mark.parametrize(
    ("version", "bounds", "right"),
    [
        ("2.13.0+cpu", ">=2.13", True),
        ("2.12.9", ">=2.13", False),
        ("1.3.8", "<1.4,>=1.3.8", True),
        ("1.4.0", "<1.4,>=1.3.8", False),
        ("1.3.10", ">=1.3.8", True),
        ("3.18.0rc1", ">=3.17.2,<4", True),
        ("2.0", ">=2", True),
        ("2", ">2", False),
        ("2.1", "<=2", False),
        ("2.1.5", "~=2.1.3", True),
        ("2.2", "~=2.1.3", False),
        ("2.1.5", "==2.1.5", True),
        ("2.1.5", "!=2.1.5", False),
        ("2.1.5", "", True),
    ],
)
def test_bounds(version, bounds, right):
    assert within(version, bounds) is right


@pytest.fixture
def installed(monkeypatch):
    """The program needs torch and mlflow, and for development pytest; what is there is for a test to say."""
    versions = {"torch": "2.13.0+cpu", "mlflow": "3.17.2"}
    needs = ["torch>=2.13", "mlflow<4,>=3.17.2", 'pytest>=9.0; extra == "dev"']
    monkeypatch.setattr(packages.metadata, "requires", lambda name: needs)

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(packages.metadata, "version", version)
    monkeypatch.setenv("PATH", "")
    return versions


def found() -> dict[str, tuple[str, str]]:
    return {one.what: (one.state, one.command) for one in packages.look()}


def test_what_is_new_enough_is_ok_and_extras_are_not_asked_for(installed):
    assert found()["torch"] == found()["mlflow"] == ("ok", "")
    assert "pytest" not in found()


def test_what_is_too_old_or_missing_is_to_be_mended_by_a_command(installed):
    installed["torch"] = "2.9.1"
    del installed["mlflow"]
    assert found()["torch"] == ("mend", f"{sys.executable} -m pip install 'torch>=2.13'")
    assert found()["mlflow"] == ("mend", f"{sys.executable} -m pip install 'mlflow<4,>=3.17.2'")


def test_a_program_that_is_not_installed_knows_no_floors(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages.metadata, "requires", requires)
    assert found()["recsys-cli"][0] == "note"


def command(folder: Path, text: str) -> Path:
    folder.mkdir()
    path = folder / "recsys"
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_another_program_of_the_same_name(installed, tmp_path, monkeypatch):
    ours = command(tmp_path / "ours", "#!/bin/sh\nfrom recsys_cli.cli import main\n")
    other = command(tmp_path / "other", "#!/bin/sh\nfrom another import main\n")

    def states(*folders: str) -> list[tuple[str, str]]:
        monkeypatch.setenv("PATH", ":".join(str(tmp_path / folder) for folder in folders))
        return [(one.state, one.text) for one in packages.look() if one.what == "command"]

    assert states("ours") == [("ok", str(ours))]
    assert [state for state, _ in states("ours", "other")] == ["ok", "note"]
    assert [state for state, _ in states("other", "ours")] == ["ok", "mend"]
    assert states("other", "ours")[1][1].startswith(f"{other} is another program")
    assert [state for state, _ in states("other")] == ["note"]
    assert "no recsys on the PATH" in states("nowhere")[0][1]

"""The database of runs, read and never touched."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys_cli.doctor import store
from recsys_cli.doctor.finding import Finding
from recsys_cli.tracking.process import process_tags


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of runs with a database of the form that the installed MLflow makes."""
    monkeypatch.setattr(store, "newest_schema", lambda: "abc")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.executescript(
            """
            pragma journal_mode=wal;
            create table alembic_version (version_num text);
            insert into alembic_version values ('abc');
            create table runs (run_uuid text, name text, status text, lifecycle_stage text);
            create table tags (run_uuid text, key text, value text);
            pragma wal_checkpoint(truncate);
            """
        )
    return tmp_path


def look(root: Path, *, uri=None, deep=False) -> list[Finding]:
    return list(store.look(uri, root, deep=deep))


def change(root: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute(statement, values)


def states(root: Path, **how) -> list[tuple[str, str]]:
    return [(one.what, one.state) for one in look(root, **how)]


def test_no_database_is_no_trouble_and_none_is_made(tmp_path):
    assert states(tmp_path) == [("database", "ok")]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_one(root, deep):
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in root.iterdir()}
    assert states(root, deep=deep) == [("database", "ok"), ("content", "ok")]
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in root.iterdir()} == before


def test_a_run_of_a_dead_process_is_told_from_one_of_a_living(root):
    def add(run: str, process: dict[str, str]) -> None:
        change(root, "insert into runs values (?, ?, 'RUNNING', 'active')", run, f"name of {run}")
        for key, value in process.items():
            change(root, "insert into tags values (?, ?, ?)", run, key, value)

    add("living", process_tags())
    change(root, "insert into runs values ('over', 'x', 'FINISHED', 'active')")
    assert [(one.what, one.state) for one in look(root)][2:] == [("running", "ok")]
    told = process_tags()
    another = json.dumps(json.loads(told["recsys.process"]) | {"start": 1})
    add("dead", told | {"recsys.process": another})
    found = look(root)[-1]
    assert (found.what, found.state) == ("running", "note")
    assert found.text.startswith("name of dead (dead): marked as running")
    assert found.command == f"recsys sync --root {root}"


def test_one_whose_creation_was_cut_off_is_to_be_moved_aside(root):
    change(root, "delete from alembic_version")
    found = look(root)[0]
    assert (found.state, found.command) == (
        "mend",
        f"mv {root}/mlflow.db {root}/mlflow.db.broken",
    )
    change(root, "drop table alembic_version")
    assert look(root)[0].state == "mend"


def test_one_of_another_mlflow_is_to_be_upgraded(root, monkeypatch):
    monkeypatch.setattr(store, "newest_schema", lambda: "def")
    found = look(root)[0]
    assert (found.state, found.command) == ("mend", f"mlflow db upgrade sqlite:///{root}/mlflow.db")
    monkeypatch.setattr(store, "newest_schema", lambda: "")
    assert look(root)[0].state == "ok"


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_what_is_no_database(tmp_path, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    assert states(tmp_path) == [("database", "mend")]


def test_damage_inside_is_found(root):
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        rows = [(str(number), "value" * 20) for number in range(2000)]
        database.executemany("insert into tags values (?, 'key', ?)", rows)
    with (root / "mlflow.db").open("r+b") as file:
        file.seek(-40_000, 2)
        file.write(b"\xff" * 8192)
    found = look(root)
    assert found[0].state == "mend"
    assert "is broken" in found[0].text


def test_a_large_one_is_checked_to_its_end_on_demand_only(root, monkeypatch):
    monkeypatch.setattr(store, "SECONDS_TO_CHECK", -1.0)
    monkeypatch.setattr(store, "STEPS_BETWEEN_LOOKS", 1)
    assert "--deep" in look(root)[1].text
    assert "sound" in look(root, deep=True)[1].text


def test_a_server_that_does_not_answer_is_shown_without_its_password(tmp_path):
    (found,) = look(tmp_path, uri="http://someone:hidden@127.0.0.1:9")
    assert found.state == "mend"
    assert "hidden" not in found.text
    (found,) = look(tmp_path, uri="databricks://profile")
    assert found.state == "note"


def test_the_form_of_the_installed_mlflow_is_read_from_its_files():
    assert len(store.newest_schema()) == 12

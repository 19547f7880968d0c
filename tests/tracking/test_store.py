"""The store exists whole or not at all, whoever starts or dies."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from recsys_cli.errors import ConfigError, TrackingError
from recsys_cli.tracking import store
from recsys_cli.tracking.store import ensure_database, locate
from tests.moments import MOMENTS

REPOSITORY = Path(__file__).resolve().parents[2]
RECORD_A_RUN = """
import sys
from recsys_cli.tracking.mlflow import MlflowTracker
tracker = MlflowTracker(uri=None, root=sys.argv[1], experiment="recsys", flush_seconds=0.0)
tracker.start(name="run", params={"rank": 8}, tags={})
tracker.metrics({"ndcg_at_10": 0.5}, step=1)
tracker.finish()
"""
# Stands for MLflow's migration where its 2 seconds of imports would only be waited for.
CREATE_SLOWLY = """
import os, signal, sqlite3, sys, time
from contextlib import closing
from pathlib import Path
from recsys_cli.tracking.store import ensure_database
dies_at = int(sys.argv[2])
def migrate(draft):
    print("migrating", flush=True)
    with closing(sqlite3.connect(draft)) as database:
        for n in range(20):
            if n == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            database.execute(f"create table t{n} (x)")
            time.sleep(0.01)
        database.execute("create table alembic_version (version_num)")
        database.execute("insert into alembic_version values ('head')")
        database.commit()
ensure_database(Path(sys.argv[1]), migrate=migrate, schema="head")
"""

NEVER = "-1"
# The same run, of which the process is killed before the n-th statement that is sent to the database.
DIES_AT_A_STATEMENT = f"""
import itertools, os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
sent = itertools.count(1)
@event.listens_for(Engine, "before_cursor_execute")
def die(*_):
    if next(sent) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
{RECORD_A_RUN}
"""
DIES_BEFORE_THE_NAME = f"{MOMENTS}before('rename', 'mlflow.db', die)\n{RECORD_A_RUN}"


def migrate(draft: Path) -> None:
    with closing(sqlite3.connect(draft)) as database:
        database.execute("create table alembic_version (version_num)")
        database.execute("insert into alembic_version values ('head')")
        database.commit()


def spawn(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def expect_success(process: subprocess.Popen[str]) -> str:
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 0, said + complained
    return said


def test_the_default_store_is_a_database_in_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = locate(None, "my runs")
    assert found.database == tmp_path / "my runs" / "mlflow.db"
    assert found.uri == f"sqlite:///{tmp_path}/my runs/mlflow.db"
    assert found.artifacts == (tmp_path / "my runs" / "artifacts").as_uri()


def test_a_relative_database_does_not_depend_on_the_working_folder_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///a/b.db", "runs").database == tmp_path / "a" / "b.db"
    assert locate(f"sqlite:///{tmp_path}/c.db", "runs").database == tmp_path / "c.db"


def test_a_server_keeps_files_itself_and_another_database_does_not(tmp_path):
    assert locate("http://127.0.0.1:5000", "runs").artifacts is None
    found = locate("postgresql+psycopg://user:word@host/runs", str(tmp_path))
    assert found.artifacts == (tmp_path / "artifacts").as_uri()
    assert found.shown == "postgresql+psycopg://***@host/runs"


@pytest.mark.parametrize(
    "uri",
    [
        "file:/srv/mlruns",
        "file:///srv/mlruns",
        "mlruns",
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "ftp://host/x",
        "http//host",
    ],
)
def test_a_place_that_keeps_no_runs_is_refused_with_what_to_use(uri):
    with pytest.raises(ConfigError, match="sqlite:///FILE") as caught:
        locate(uri, "runs")
    assert "sqlite:////" in caught.value.hint


@pytest.mark.parametrize("root", ["what?", "50%41"])
def test_a_path_that_a_uri_cannot_hold_is_refused(root):
    with pytest.raises(ConfigError, match="cannot be kept under"):
        locate(None, root)


def test_creation_leaves_the_database_and_its_lock_only(tmp_path):
    path = tmp_path / "deep" / "mlflow.db"
    ensure_database(path, migrate=migrate, schema="head")
    assert {entry.name for entry in path.parent.iterdir()} == {"mlflow.db", "mlflow.db.lock"}
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_whole_database_is_not_made_again(tmp_path):
    path = tmp_path / "mlflow.db"
    ensure_database(path, migrate=migrate, schema="head")
    before = path.read_bytes()
    ensure_database(path, migrate=lambda draft: pytest.fail("made again"), schema="head")
    assert path.read_bytes() == before


def test_an_empty_file_is_taken_for_no_database(tmp_path):
    path = tmp_path / "mlflow.db"
    path.touch()
    ensure_database(path, migrate=migrate, schema="head")


def test_a_migration_that_fails_leaves_no_database(tmp_path):
    path = tmp_path / "mlflow.db"

    def fail(draft: Path) -> None:
        with closing(sqlite3.connect(draft)) as database:
            database.execute("create table half (x)")
        raise OSError(28, "No space left on device")

    with pytest.raises(TrackingError, match="No space left on device"):
        ensure_database(path, migrate=fail, schema="head")
    assert [left.name for left in tmp_path.iterdir()] == ["mlflow.db.lock"]
    ensure_database(path, migrate=migrate, schema="head")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("create table experiments (x)", "no such table: alembic_version"),
        ("create table alembic_version (version_num)", "schema none"),
        ("create table alembic_version as select 'older' as version_num", "schema older"),
    ],
)
def test_a_database_that_is_not_whole_is_refused_with_how_to_move_it_aside(
    tmp_path, content, reason
):
    path = tmp_path / "my runs.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(content)
        database.commit()
    before = path.read_bytes()
    with pytest.raises(TrackingError, match=reason) as caught:
        ensure_database(path, migrate=migrate, schema="head")
    assert f"mv '{path}' '{path}.broken'" in caught.value.line
    assert f"mlflow db upgrade 'sqlite:///{path}'" in caught.value.line
    assert path.read_bytes() == before


def test_another_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("user,item\n" * 100)
    with pytest.raises(TrackingError, match="file is not a database"):
        ensure_database(path, migrate=migrate, schema="head")


def test_a_folder_in_its_place_is_refused(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(TrackingError, match="not a whole MLflow database"):
        ensure_database(tmp_path / "mlflow.db", migrate=migrate, schema="head")


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(TrackingError, match="cannot be created"):
        ensure_database(tmp_path / "runs" / "mlflow.db", migrate=migrate, schema="head")


def test_a_creation_that_hangs_is_not_waited_for_without_end(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    path = tmp_path / "mlflow.db"
    with FileLock(f"{path}.lock"), pytest.raises(TrackingError, match="another process"):
        ensure_database(path, migrate=migrate, schema="head")


def test_processes_that_start_together_create_it_once(tmp_path):
    path = tmp_path / "mlflow.db"
    processes = [spawn(CREATE_SLOWLY, str(path), NEVER) for _ in range(4)]
    said = [expect_success(process) for process in processes]
    assert "".join(said).count("migrating") == 1


def test_a_process_killed_while_creating_does_no_harm(tmp_path):
    path = tmp_path / "mlflow.db"
    for table in (0, 6, 19):
        process = spawn(CREATE_SLOWLY, str(path), str(table))
        assert process.communicate(timeout=300) == ("migrating\n", "")
        assert process.returncode == -signal.SIGKILL
        assert not path.exists()
    assert (tmp_path / "mlflow.db.draft").exists()
    expect_success(spawn(CREATE_SLOWLY, str(path), NEVER))
    assert {entry.name for entry in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


@pytest.mark.slow
def test_eight_runs_started_together_on_no_store_are_all_recorded(tmp_path):
    processes = [spawn(RECORD_A_RUN, str(tmp_path)) for _ in range(8)]
    for process in processes:
        expect_success(process)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        statuses = database.execute("select status, count(*) from runs group by 1").fetchall()
        assert statuses == [("FINISHED", 8)]
        assert database.execute("select count(*) from metrics").fetchone() == (8,)
        assert database.execute("select count(*) from experiments").fetchone() == (2,)


@pytest.mark.slow
def test_kills_during_the_first_start_never_break_the_next_one(tmp_path):
    """From the first statement of the creation to its end; scripts/torture store tries many more."""
    for script, moment in [
        (DIES_AT_A_STATEMENT, "1"),
        (DIES_AT_A_STATEMENT, "100"),
        (DIES_BEFORE_THE_NAME, ""),
    ]:
        process = spawn(script, str(tmp_path), moment)
        _, complained = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, complained
        assert (tmp_path / "mlflow.db.draft").exists()
        assert not (tmp_path / "mlflow.db").exists()
    expect_success(spawn(RECORD_A_RUN, str(tmp_path)))
    assert not (tmp_path / "mlflow.db.draft").exists()

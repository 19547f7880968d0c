"""What a run leaves is read back as it was; what is not whole is refused in one line."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from recsys_cli.data.interactions import Vocabulary
from recsys_cli.errors import CheckpointError, DataError, RecsysError
from recsys_cli.tracking.run_folder import open_run, save_lists, save_per_user

USERS = np.array([3, 7, 9])
VALUES = {
    "valid": {"ndcg_at_10": np.array([0.5, 0.1]), "novelty_at_10": np.array([1.5, np.nan])},
    "test": {"ndcg_at_10": np.array([0.5, 0.0, 1 / 3]), "novelty_at_10": np.array([np.nan, 2, 4])},
}


def make(folder, *, users=USERS, run_id="abc", metrics=None):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("evaluation:\n  primary: ndcg_at_10\n")
    told = {
        "run_id": run_id,
        "config_hash": "c",
        "split_hash": "s",
        "weights_sha256": "w",
        "choices": {"model": "mf", "data": "demo"},
        "metrics": metrics
        or {
            part: {key: float(np.nanmean(v)) for key, v in values.items()}
            for part, values in VALUES.items()
        },
    }
    (folder / "metrics.json").write_text(json.dumps(told))
    save_per_user(folder, {"valid": (users[:2], VALUES["valid"]), "test": (users, VALUES["test"])})
    return folder


@pytest.mark.parametrize("users", [USERS, np.array(["ä", "b,c", '"d'])], ids=["numbers", "text"])
def test_values_come_back_bit_for_bit(tmp_path, users):
    run = open_run(str(make(tmp_path / "a", users=users)), tmp_path)
    for part, n_users in (("valid", 2), ("test", 3)):
        found = run.per_user(part)
        assert found.users.tolist() == users[:n_users].tolist()
        assert found.values.keys() == VALUES[part].keys()
        for key, values in VALUES[part].items():
            assert found.values[key].tobytes() == values.tobytes()
    assert run.evaluation == {"primary": "ndcg_at_10"}
    assert run.name == "a"


def test_a_run_is_found_by_path_name_and_id(tmp_path):
    folder = make(tmp_path / "runs" / "a", run_id="one")
    trial = make(tmp_path / "runs" / "sweep" / "0", run_id="two")
    root = tmp_path / "runs"
    assert open_run(str(folder), tmp_path).path == folder
    assert open_run("a", root).path == folder
    assert open_run("one", root).path == folder
    assert open_run("two", root).path == trial


@pytest.mark.parametrize("named", ["b", "", "../x", "0" * 32, "a/metrics.json"])
def test_a_run_that_is_not_there_is_said_so(tmp_path, named):
    make(tmp_path / "runs" / "a", run_id="")
    with pytest.raises(DataError, match="no run"):
        open_run(named, tmp_path / "runs")


def test_the_nearest_name_is_offered(tmp_path):
    make(tmp_path / "20260101-mf")
    with pytest.raises(DataError) as caught:
        open_run("20260101-fm", tmp_path)
    assert "did you mean '20260101-mf'?" in caught.value.line


def damage(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def drop(name):
    return lambda folder: (folder / name).unlink()


def without(key):
    def change(folder):
        told = json.loads((folder / "metrics.json").read_text())
        del told[key]
        (folder / "metrics.json").write_text(json.dumps(told))

    return change


def other_values(folder):
    save_per_user(folder, {"test": (USERS, {"ndcg_at_10": np.array([0.5, 0.0, 0.4])})})


def other_columns(folder):
    parquet.write_table(
        pa.table({"user": USERS, "x": ["a", "b", "c"]}), folder / "per_user.parquet"
    )


def text_values(folder):
    table = pa.table({"part": ["test"] * 3, "user": USERS, "ndcg_at_10": ["a", "b", "c"]})
    parquet.write_table(table, folder / "per_user.parquet")


BROKEN = {
    "no settings": (drop("config.yaml"), "is not a run"),
    "not finished": (drop("metrics.json"), "is not finished"),
    "half a record": (damage("metrics.json", b'{"run_id": "a"'), "cannot be read"),
    "a record of another kind": (damage("metrics.json", b"[1]"), "cannot be read"),
    "bytes": (damage("metrics.json", b"\xff\xfe"), "cannot be read"),
    "a deep record": (damage("metrics.json", b"[" * 200_000), "cannot be read: RecursionError"),
    "no hash": (without("split_hash"), "cannot be read: KeyError: 'split_hash'"),
    "no metrics": (without("metrics"), "cannot be read"),
    "no values": (drop("per_user.parquet"), "no such file"),
    "broken values": (damage("per_user.parquet", b"PAR1 and no more"), "broken"),
    "values of another run": (other_values, "not of one run"),
    "other columns": (other_columns, "no column 'part'"),
    "text for values": (text_values, "is not numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_whole_is_refused_in_one_line(tmp_path, name):
    change, message = BROKEN[name]
    change(make(tmp_path / "a"))
    with pytest.raises(RecsysError) as caught:
        open_run("a", tmp_path).per_user("test")
    assert caught.value.exit_code == (5 if "cannot be read" in message else 2)
    assert message in caught.value.line
    assert str(tmp_path / "a") in caught.value.line
    assert len(caught.value.line) < 400


def test_ids_that_are_no_text_and_metrics_that_are_no_numbers_are_refused(tmp_path):
    make(tmp_path / "a", run_id=7)
    make(tmp_path / "b", metrics={"valid": {}, "test": {"ndcg_at_10": "0.3"}})
    for name in "ab":
        with pytest.raises(CheckpointError, match="text and metrics numbers"):
            open_run(name, tmp_path)


@pytest.mark.parametrize("content", [b"", b"evaluation: 3", b"x: [", b"\xff"])
def test_settings_without_an_evaluation_are_refused(tmp_path, content):
    (make(tmp_path / "a") / "config.yaml").write_bytes(content)
    with pytest.raises(DataError, match="no readable section"):
        _ = open_run("a", tmp_path).evaluation


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("ids", [[10, 20, 30], ["a", "b,c", 'd"e']])
def test_lists_are_written_a_row_an_item(tmp_path, kind, ids):
    ranked = np.array([[2, 0, -1], [-1, -1, -1], [1, -1, -1]], dtype=np.int32)
    path = save_lists(tmp_path / f"lists.{kind}", USERS, ranked, Vocabulary(np.array(ids)))
    table = parquet.read_table(path) if kind == "parquet" else csv.read_csv(path)
    assert table.to_pydict() == {
        "user": [3, 3, 9],
        "item": [ids[2], ids[0], ids[1]],
        "rank": [1, 2, 1],
    }


@pytest.mark.parametrize(("name", "message"), [("lists.txt", "parquet or .csv"), ("no/a.csv", "cannot be written")])  # fmt: skip
def test_lists_that_cannot_be_written_are_said_so(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        save_lists(tmp_path / name, USERS[:1], np.zeros((1, 1), int), Vocabulary(np.arange(2)))

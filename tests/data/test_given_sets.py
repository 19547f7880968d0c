"""Data sets that are given by folder, against the published counts."""

import tarfile  # noqa: TID251  # the test reads an archive that it made
from pathlib import Path

import numpy as np
import pytest

from recsys_cli.data import given_sets
from recsys_cli.data.frappe import CONTEXT, frappe
from recsys_cli.data.given_sets import beauty, beauty_gts, ml_1m_sequences, ml_100k_mcrec, yoochoose
from recsys_cli.data.movielens import ml_100k_official
from recsys_cli.data.official_split import TEST_ROLES, TRAIN_ROLES, official
from recsys_cli.data.session_splits import sessions
from recsys_cli.errors import DataError
from recsys_cli.progress import Silent

SETS = {
    "beauty": beauty,
    "beauty-gts": beauty_gts,
    "ml-100k-mcrec": ml_100k_mcrec,
    "ml-1m-sequences": ml_1m_sequences,
    "yoochoose": yoochoose,
    "frappe": frappe,
}


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    pass


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_fetched_and_the_error_says_what_to_give(name):
    with pytest.raises(DataError) as caught:
        SETS[name](source=None, progress=Silent())
    assert caught.value.line.startswith(f"data={name} has no publisher's address")
    assert "data.source=PATH" in caught.value.line


@pytest.mark.parametrize("name", SETS)
def test_a_folder_without_the_files_is_refused(name, tmp_path):
    with pytest.raises(DataError, match="holds neither"):
        SETS[name](source=str(tmp_path), progress=Silent())


@pytest.mark.parametrize("called", ["beauty", "amazon-beauty-s3rec"])
def test_they_are_looked_for_in_the_folder_of_data_sets(called, tmp_path, monkeypatch):
    (tmp_path / called).mkdir()
    (tmp_path / called / "Beauty_timestamps.tsv").write_text(
        "user_id\titem_id\tpos\ttimestamp\n1\t5\t0\t1318896000\n1\t4\t1\t1318896000\n2\t5\t0\t86400\n"
    )
    monkeypatch.setenv("RECSYS_DATA", str(tmp_path))
    x = beauty(source=None, progress=Silent())
    assert x.item_ids.decode(x.items).tolist() == [5, 4, 5]
    assert x.times.tolist() == [1318896000, 1318896000, 86400]


def test_a_shop_has_clicks_of_one_second_that_are_two(tmp_path):
    for name, rows in (("train_full", "1\t7\t100.2\n1\t7\t100.9\n"), ("test", "2\t7\t300.5\n")):
        (tmp_path / f"{name}.tsv").write_text("SessionId\tItemId\tTime\n" + rows)
    x = yoochoose(source=str(tmp_path), progress=Silent())
    assert x.times.tolist() == [100, 100, 300]
    assert x.context == {}


def test_frappe_files_are_coded_lines(tmp_path):
    (tmp_path / "cfm").mkdir()
    (tmp_path / "cfm" / "train.csv").write_bytes(
        b"1-10-20-30-40-50-60-70,5-90\r\n0-10-21-30-40-50-60-71,5-91\n"
    )
    (tmp_path / "cfm" / "test.csv").write_bytes(b"1-11-20-30-40-50-60-70,6-90")
    x = frappe(source=str(tmp_path), progress=Silent())
    order = np.argsort(x.rows)
    assert x.user_ids.decode(x.users[order]).tolist() == [1, 0, 1]
    assert x.item_ids.decode(x.items[order]).tolist() == [5, 5, 6]
    assert {name: column[order].tolist() for name, column in x.context.items()} == {
        **{name: [0, 0, 0] for name in CONTEXT},
        "daytime": [0, 0, 1], "weekday": [0, 1, 0], "city": [0, 1, 0], "event_cost": [0, 1, 0],
        "roles": [TRAIN_ROLES, TRAIN_ROLES, TEST_ROLES],
    }  # fmt: skip
    (tmp_path / "cfm" / "test.csv").write_bytes(b"1-11-20-30-40-50-60-70,6-90\n1-11-20-30,6-90\n")
    with pytest.raises(DataError, match=r"test.csv:2:1: is not user and seven codes"):
        frappe(source=str(tmp_path), progress=Silent())
    (tmp_path / "cfm" / "test.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"test.csv:1:1: the file is empty"):
        frappe(source=str(tmp_path), progress=Silent())


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "folder", "n_events", "n_users", "n_items"),
    [
        ("beauty", "amazon-beauty-s3rec", 198_502, 22_363, 12_101),
        ("beauty-gts", "amazon-beauty-gts", 192_141, 22_304, 11_801),
        ("ml-100k-mcrec", "ml-100k-mcrec", 100_000, 943, 1_682),
        ("ml-1m-sequences", "ml-1m", 999_611, 6_040, 3_416),
        ("yoochoose", "yoochoose-clicks-100k", 70_278 + 13_568, 17_794 + 3_416, 2_933),
        ("frappe", "frappe", 92_808 + 3_387, 957, 4_082),
    ],
)
def test_the_published_counts(real_data, name, folder, n_events, n_users, n_items):
    x = SETS[name](source=str(real_data(folder)), progress=Silent())
    assert (len(x), x.n_users, x.n_items) == (n_events, n_users, n_items)


@pytest.mark.realdata
def test_the_parts_of_time_to_split(real_data):
    folder = real_data("amazon-beauty-gts")
    split = official(
        interactions=beauty_gts(source=str(folder), progress=Silent()),
        valid_ratio=0.1,
        seed=0,
        ask="every_user",
    )
    counts = split.counts()
    assert (counts["train_events"], counts["train_users"], counts["train_items"]) == (
        160_178,
        20_341,
        11_801,
    )
    assert (counts["valid_users"], counts["test_users"]) == (6_042, 5_375)
    assert counts["test_cold_item_events"] == 0
    for part, file in ((split.valid, "validation_input"), (split.test, "test_input")):
        table = np.loadtxt(folder / f"{file}.csv.gz", np.int64, delimiter=",", skiprows=1)
        table = table[np.lexsort((np.arange(len(table)), table[:, 2], table[:, 0]))]
        known = part.history.take(np.isin(part.history.users, part.users))
        assert part.history.user_ids.decode(known.users).tolist() == table[:, 0].tolist()
        assert part.history.item_ids.decode(known.items).tolist() == table[:, 1].tolist()


@pytest.mark.realdata
def test_the_parts_of_a_published_movielens_split(real_data):
    x = ml_100k_mcrec(source=str(real_data("ml-100k-mcrec")), progress=Silent())
    counts = official(interactions=x, valid_ratio=0, seed=0, ask="every_user").counts()
    assert (counts["train_events"], counts["test_events"], counts["test_users"]) == (
        80_000,
        20_000,
        942,
    )


@pytest.mark.realdata
def test_the_sessions_of_the_shop(real_data):
    x = yoochoose(source=str(real_data("yoochoose-clicks-100k")), progress=Silent())
    whole = sessions(interactions=x, test_days=1, valid_days=0, ask="every_event")
    assert (len(whole.train), whole.counts()["train_users"]) == (70_278, 17_794)
    assert len(whole.test.users) == 13_568 - 3_416
    assert sum(whole.dropped.values()) == 0
    split = sessions(interactions=x, test_days=1, valid_days=1, ask="every_event")
    assert (len(split.train), split.counts()["train_users"]) == (53_254, 13_629)
    assert len(split.valid.users) == 16_539 - 4_084
    assert sum(split.dropped.values()) == 70_278 - 53_254 - 16_539


@pytest.mark.realdata
@pytest.mark.parametrize(("fold", "n_test"), [("u1", 20_000), ("ua", 9_430)])
def test_the_parts_that_the_publisher_of_movielens_made(real_data, tmp_path, fold, n_test):
    with tarfile.open(real_data("ml-100k") / "splits.tar.gz") as archive:
        for kind in ("base", "test"):
            text = archive.extractfile(f"{fold}.{kind}")
            assert text is not None
            (tmp_path / f"{fold}.{kind}").write_bytes(text.read())
    x = ml_100k_official(source=str(tmp_path), fold=fold, progress=Silent())
    split = official(interactions=x, valid_ratio=0, seed=0, ask="every_user")
    assert len(split.test.targets) == n_test
    assert len(split.train) == 100_000 - n_test
    assert split.leaks


def test_place_of_reads_a_users_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert given_sets.place_of("~/x", "beauty") == tmp_path / "x"

import gzip
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_cli.data import movielens
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.movielens import RELEASES, load
from recsys_cli.data.time_splits import global_time
from recsys_cli.errors import DataError
from recsys_cli.progress import Silent

RATINGS = [(7, 30, 4.0, 978300019), (2, 10, 3.0, 978300760), (7, 10, 5.0, 978300018)]
RATINGS += [(9, 40, 1.0, 978300000)]


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    pass


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(movielens, "obtain", refuse)


def text(name: str) -> bytes:
    release = RELEASES[name]
    lines = [release.delimiter.join(f"{x:g}" if x < 10 else f"{x}" for x in row) for row in RATINGS]
    if release.header:
        lines.insert(0, "userId,movieId,rating,timestamp")
    return ("\n".join(lines) + "\n").encode()


def folder(tmp_path: Path, name: str) -> Path:
    place = tmp_path / name
    place.mkdir()
    (place / RELEASES[name].file).write_bytes(text(name))
    return place


def events_of(interactions: Interactions) -> list[tuple[Any, ...]]:
    assert interactions.times is not None
    return list(
        zip(
            interactions.user_ids.decode(interactions.users).tolist(),
            interactions.item_ids.decode(interactions.items).tolist(),
            interactions.values.tolist(),
            interactions.times.tolist(),
            strict=True,
        )
    )


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", RELEASES)
def test_each_layout_is_read_from_a_folder_or_zip(name: str, tmp_path: Path) -> None:
    place = folder(tmp_path, name)
    target = getattr(movielens, name.replace("-", "_"))
    events = target(source=str(place), min_rating=None, progress=Silent())
    assert events_of(events) == sorted(RATINGS, key=lambda row: (row[0], row[3]))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(f"ml/{RELEASES[name].file}.gz", gzip.compress(text(name)))
    zipped = target(source=str(tmp_path / "x.zip"), min_rating=None, progress=Silent())
    assert zipped.digest() == events.digest()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("kind", ["folder", "zip", "zip in folder"])
def test_data_sets_are_looked_for_by_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    if kind == "folder":
        folder(shelf, "ml-20m")
    else:
        place = shelf / "ml-20m" if kind == "zip in folder" else shelf
        place.mkdir(exist_ok=True)
        with zipfile.ZipFile(place / "ml-20m.zip", "w") as archive:
            archive.writestr("ml-20m/ratings.csv", text("ml-20m"))
    monkeypatch.setenv("RECSYS_DATA", str(shelf))
    assert len(load("ml-20m", None, None, Silent())) == 4


def test_what_the_user_names_comes_before_the_shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_DATA", str(tmp_path))
    folder(tmp_path, "ml-20m")
    with pytest.raises(DataError, match="elsewhere: no such folder or zip"):
        load("ml-20m", str(tmp_path / "elsewhere"), None, Silent())


def test_the_publisher_is_asked_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = folder(tmp_path, "ml-1m")
    asked = []

    def obtain(archive: Any, progress: object) -> Path:
        asked.append(archive)
        return published

    monkeypatch.setattr(movielens, "obtain", obtain)
    monkeypatch.setenv("RECSYS_DATA", str(tmp_path / "ml-1m"))  # a folder without ml-1m in it
    assert len(load("ml-1m", None, None, Silent())) == 4
    assert asked[0].address == "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
    assert asked[0].checksum == RELEASES["ml-1m"].checksum


def test_a_shelf_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_DATA", "/no/such/shelf")
    with pytest.raises(DataError, match="RECSYS_DATA is /no/such/shelf"):
        load("ml-1m", None, None, Silent())


def test_ratings_below_the_least_are_dropped_with_whom_they_leave_empty(tmp_path: Path) -> None:
    place = str(folder(tmp_path, "ml-1m"))
    events = load("ml-1m", place, 4, Silent())
    assert events_of(events) == [(7, 10, 5, 978300018), (7, 30, 4, 978300019)]
    assert events.user_ids.ids.tolist() == [7]
    assert events.item_ids.ids.tolist() == [10, 30]
    assert events.rows.tolist() == [2, 0]
    assert len(load("ml-1m", place, None, Silent())) == 4


def test_a_least_rating_that_nobody_gave(tmp_path: Path) -> None:
    place = folder(tmp_path, "ml-1m")
    (place / "ratings.dat").write_bytes(b"1::2::3::978300018\n2::2::3::978300018\n")
    with pytest.raises(DataError, match="no rating is 5 or more"):
        load("ml-1m", str(place), 5, Silent())


def test_a_rating_out_of_range_is_named_with_its_place(tmp_path: Path) -> None:
    place = folder(tmp_path, "ml-1m")
    with (place / "ratings.dat").open("ab") as file:
        file.write(b"9::41::6::978300000\n")
    with pytest.raises(DataError, match=r"ratings\.dat:5:3: rating '6' is above 5"):
        load("ml-1m", str(place), None, Silent())


def histogram(events: Interactions) -> list[int]:
    return np.unique(events.values, return_counts=True)[1].tolist()


@pytest.mark.realdata
@pytest.mark.usefixtures("no_network")
def test_ml_100k(real_data: Callable[[str], Path]) -> None:
    place = real_data("ml-100k")
    events = load("ml-100k", str(place), None, Silent())
    assert (len(events), events.n_users, events.n_items) == (100_000, 943, 1_682)
    assert histogram(events) == [6_110, 11_370, 27_145, 34_174, 21_201]
    rows = [line.split("\t") for line in (place / "u.data").read_text().splitlines()]
    expected = [(int(u), int(i), float(v), int(t)) for u, i, v, t in rows]
    assert events_of(events) == sorted(expected, key=lambda row: (row[0], row[3]))
    assert past_and_future(events) == 69


@pytest.mark.realdata
@pytest.mark.usefixtures("no_network")
def test_ml_1m(real_data: Callable[[str], Path]) -> None:
    events = load("ml-1m", str(real_data("ml-1m")), None, Silent())
    assert (len(events), events.n_users, events.n_items) == (1_000_209, 6_040, 3_706)
    assert histogram(events) == [56_174, 107_557, 261_197, 348_971, 226_310]
    split = global_time(interactions=events, test_days=14, valid_days=14)
    assert len(split.test.users) == 66
    assert split.test.warm_users[split.test.users].all()


@pytest.mark.realdata
@pytest.mark.usefixtures("no_network")
def test_ml_latest_small(real_data: Callable[[str], Path]) -> None:
    events = load("ml-latest-small", str(real_data("ml-latest-small")), None, Silent())
    assert (len(events), events.n_users, events.n_items) == (100_836, 610, 9_724)
    assert sorted(set(events.values.tolist())) == [x / 2 for x in range(1, 11)]
    assert past_and_future(events) == 20


def past_and_future(events: Interactions) -> int:
    """Users with an event in the first 80 % and one in the last 10 % of all events by time."""
    assert events.times is not None
    learnt, asked = np.quantile(events.times, [0.8, 0.9])
    early, late = events.users[events.times < learnt], events.users[events.times >= asked]
    return len(np.intersect1d(early, late))


def test_checksums_are_whole() -> None:
    for release in RELEASES.values():
        kind, digest = release.checksum.split(":")
        assert len(digest) == hashlib.new(kind).digest_size * 2
        assert set(digest) <= set("0123456789abcdef")

"""`recsys data get`: fetched once, checked, and told where it is and on which terms."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys_cli.data import download, movielens

Call = Callable[..., Any]
BODY = b"PK what the publisher offers"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network: a download copies BODY, whose hash is pinned."""
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RECSYS_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    pinned = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    for name in ("ml-1m", "ml-100k"):
        archive = replace(movielens.ARCHIVES[name], checksum=pinned)
        monkeypatch.setitem(movielens.ARCHIVES, name, archive)
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    addresses: list[str] = []

    def get(archive: download.Archive, part: Path, *_: object) -> None:
        addresses.append(archive.address)
        part.write_bytes(BODY)

    monkeypatch.setattr(download, "_get", get)
    return addresses


def told(ended: Any) -> dict[str, str]:
    assert ended.code == 0, ended.err
    return dict(line.split("\t") for line in ended.out.splitlines())


def test_a_data_set_is_fetched_once(recsys: Call, asked: list[str], place: Path) -> None:
    first, second = (told(recsys("data", "get", "ml-1m")) for _ in range(2))
    assert first["status"] == "fetched"
    assert second["status"] == "there already"
    assert first["place"] == second["place"] == str(place / "cache" / "downloads" / "ml-1m.zip")
    assert first["checked"] == f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    assert "GroupLens" in first["terms"]
    assert (
        asked
        == ["https://files.grouplens.org/datasets/movielens/ml-1m.zip"]
        == [first["publisher"]]
    )


def test_programs_read_the_same(recsys: Call, asked: list[str]) -> None:
    found = json.loads(recsys("data", "get", "ml-1m", "--json").out)
    assert found["data"] == "ml-1m"
    assert Path(found["place"]).read_bytes() == BODY
    assert len(asked) == 1


def test_another_address_must_give_the_same_bytes(recsys: Call, asked: list[str]) -> None:
    told(recsys("data", "get", "ml-1m", "--source", "https://mirror.example/a.zip"))
    assert asked == ["https://mirror.example/a.zip"]


@pytest.mark.parametrize("address", ["http://mirror.example/a.zip", "file:///etc/passwd"])
def test_only_https_is_spoken(address: str, recsys: Call, asked: list[str]) -> None:
    ended = recsys("data", "get", "ml-1m", "--source", address)
    assert ended.code == 2
    assert f"{address} is not https" in ended.err
    assert not asked


def test_a_zip_brought_in_another_way_is_checked_and_kept(
    recsys: Call, asked: list[str], place: Path
) -> None:
    Path("brought.zip").write_bytes(BODY)
    found = told(recsys("data", "get", "ml-1m", "--source", "brought.zip"))
    assert Path(found["place"]).read_bytes() == BODY
    assert Path(found["place"]).parent == place / "cache" / "downloads"
    assert told(recsys("data", "get", "ml-1m"))["status"] == "there already"
    assert not asked


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("other.zip", "is not what was published"),
        ("absent.zip", "absent.zip: is no file"),
        (".", "is no file"),
    ],
)
def test_anything_else_is_refused(source: str, words: str, recsys: Call, place: Path) -> None:
    Path("other.zip").write_bytes(BODY + b".")
    ended = recsys("data", "get", "ml-1m", "--source", source)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert not list(place.rglob("ml-1m.zip*"))


def test_a_kept_zip_that_was_damaged_is_told(recsys: Call, asked: list[str], place: Path) -> None:
    kept = Path(told(recsys("data", "get", "ml-1m"))["place"])
    kept.write_bytes(BODY[:-1])
    ended = recsys("data", "get", "ml-1m")
    assert ended.code == 2
    assert f"{kept}: has sha256" in ended.err


def test_what_recsys_data_holds_is_there_already(
    recsys: Call, asked: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "mine" / "ml-100k").mkdir(parents=True)
    monkeypatch.setenv("RECSYS_DATA", str(place / "mine"))
    for name in ("ml-100k", "ml-100k-official"):
        found = told(recsys("data", "get", name))
        assert found["status"].startswith("there already, in RECSYS_DATA")
        assert found["place"] == str(place / "mine" / "ml-100k")
    assert not asked


def test_the_second_source_is_named(
    recsys: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = place / "cache" / "downloads" / "ml-100k"
    copy.mkdir(parents=True)
    found = told(recsys("data", "get", "ml-100k"))
    assert found["place"] == str(copy)
    assert found["checked"].endswith(" of recbole==1.2.1, its second source")


@pytest.mark.parametrize("name", ["demo", "csv", "imported", "beauty"])
def test_what_no_publisher_offers_is_told(name: str, recsys: Call) -> None:
    ended = recsys("data", "get", name)
    assert ended.code == 2
    assert f"data={name} is not fetched from a publisher" in ended.err
    assert recsys("data", "settings", name).code == 0  # where the message sends


def test_an_unknown_name_is_told_with_the_nearest(recsys: Call) -> None:
    ended = recsys("data", "get", "ml-1n")
    assert ended.code == 2
    assert "did you mean 'ml-1m'?" in ended.err


def test_every_movielens_release_can_be_fetched() -> None:
    assert movielens.ARCHIVES.keys() == {*movielens.RELEASES, "ml-100k-official"}
    assert {archive.name for archive in movielens.ARCHIVES.values()} == movielens.RELEASES.keys()

import gzip
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_cli.data import sources
from recsys_cli.data.sources import Member, find
from recsys_cli.errors import DataError

TEXT = b"1\t2\t3\t4\n" * 50


def make_zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def content(member: Member) -> bytes:
    with member.open() as stream:
        return stream.read()


def plain_folder(tmp: Path) -> Path:
    (tmp / "u.data").write_bytes(TEXT)
    return tmp


def gzipped_folder(tmp: Path) -> Path:
    (tmp / "u.data.gz").write_bytes(gzip.compress(TEXT))
    return tmp


def gzipped_without_saying(tmp: Path) -> Path:
    (tmp / "u.data").write_bytes(gzip.compress(TEXT))
    return tmp


def archive(tmp: Path) -> Path:
    entries = {"ml/": b"", "ml/u.data": TEXT, "ml/old-u.data": b"no", "__MACOSX/._u.data": b"no"}
    return make_zip(tmp / "any name.zip", entries)


def archive_with_gzip(tmp: Path) -> Path:
    return make_zip(tmp / "ml.zip", {"ml/u.data.gz": gzip.compress(TEXT)})


def folder_with_archive(tmp: Path) -> Path:
    make_zip(tmp / "ml.zip", {"ml/u.data": TEXT})
    return tmp


@pytest.mark.parametrize(
    "place",
    [
        plain_folder,
        gzipped_folder,
        gzipped_without_saying,
        archive,
        archive_with_gzip,
        folder_with_archive,
    ],
)
def test_the_file_is_found_wherever_it_lies(place: Callable[[Path], Path], tmp_path: Path) -> None:
    assert content(find(place(tmp_path), "u.data", "ml.zip")) == TEXT


def test_size_is_that_of_the_text_where_it_can_be_known(tmp_path: Path) -> None:
    assert find(archive(tmp_path), "u.data", "ml.zip").size_bytes() == len(TEXT)
    assert find(gzipped_folder(tmp_path), "u.data", "ml.zip").size_bytes() is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../u.data", "leaves the folder"),
        ("a/../../u.data", "leaves the folder"),
        ("/etc/u.data", "leaves the folder"),
        ("C:/u.data", "leaves the folder"),
        ("a\\u.data", "leaves the folder"),
        ("u.data\0.txt", "leaves the folder"),
        ("U.DATA", "names collide"),
        ("other/u.data", "2 files called"),
        ("other/u.data.gz", "2 files called"),
    ],
)
def test_an_archive_with_odd_names_is_refused(name: str, said: str, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "ml.zip", {"u.data": TEXT})
    with zipfile.ZipFile(path, "a") as opened:
        entry = zipfile.ZipInfo("x")
        entry.filename = name
        opened.writestr(entry, b"x")
    with pytest.raises(DataError, match=said):
        find(path, "u.data", "ml.zip")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_an_archive_with_a_link_or_device_is_refused(kind: int, tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("u.data")
    entry.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as opened:
        opened.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="is a link or device"):
        find(tmp_path / "ml.zip", "u.data", "ml.zip")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "ml.zip", {"u.data": b"0" * 5_000_000})
    with pytest.raises(DataError, match="unpacks to 5,000,000 bytes"):
        find(path, "u.data", "ml.zip")


def test_a_bomb_in_gzip_ends_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "u.data.gz").write_bytes(gzip.compress(b"0" * 5_000_000))
    with pytest.raises(DataError, match="unpacks to more than 200 times"):
        content(find(tmp_path, "u.data", "ml.zip"))


def test_an_archive_with_very_many_entries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_ENTRIES", 3)
    path = make_zip(tmp_path / "ml.zip", {f"{i}": b"" for i in range(3)} | {"u.data": TEXT})
    with pytest.raises(DataError, match="has 4 entries"):
        find(path, "u.data", "ml.zip")


def test_unusual_compression_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("u.data", TEXT)
    with pytest.raises(DataError, match="compressed in an unusual way"):
        find(tmp_path / "ml.zip", "u.data", "ml.zip")


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "ml.zip", {"u.data": TEXT})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="is encrypted"):
        find(path, "u.data", "ml.zip")


def test_a_flipped_bit_in_an_archive_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "ml.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("u.data", TEXT)
    path.write_bytes(path.read_bytes().replace(b"1\t2\t3\t4", b"1\t2\t3\t5", 1))
    with pytest.raises(DataError, match="cannot be read"):
        content(find(path, "u.data", "ml.zip"))


@pytest.mark.parametrize("lost", [1, 9, 30])
def test_a_short_gzip_is_seen(lost: int, tmp_path: Path) -> None:
    (tmp_path / "u.data").write_bytes(gzip.compress(TEXT)[:-lost])
    with pytest.raises(DataError, match="cannot be read"):
        content(Member(tmp_path / "u.data"))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("absent", "no such folder or zip"),
        (".", "holds neither u.data, u.data.gz nor ml.zip"),
        ("file", "is not a zip archive"),
        ("cut.zip", "is not a zip archive"),
        ("other.zip", "holds 0 files called u.data"),
    ],
)
def test_what_is_not_there_is_named(source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(TEXT)
    make_zip(tmp_path / "other.zip", {"data.txt": TEXT})
    (tmp_path / "cut.zip").write_bytes((tmp_path / "other.zip").read_bytes()[:-10])
    with pytest.raises(DataError, match=said) as caught:
        find(tmp_path / source, "u.data", "ml.zip")
    assert str(tmp_path) in caught.value.line


def test_nothing_is_written_beside_the_source(tmp_path: Path) -> None:
    path = archive(tmp_path)
    content(find(path, "u.data", "ml.zip"))
    assert list(tmp_path.iterdir()) == [path]

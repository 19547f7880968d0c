"""Archives that mean harm: each is one line, nothing is written, and no more is read than is allowed."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_cli.data import sources
from recsys_cli.data.sources import find
from recsys_cli.errors import DataError

TEXT = b"1\t2\t3\t4\n" * 50
Entries = list[tuple[str | zipfile.ZipInfo, bytes]]


def linked(kind: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("ml/link")
    entry.external_attr = (kind | 0o777) << 16
    return entry


def deflated(entries: Entries) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_u_data(name: str | zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    return deflated([("ml/u.data", TEXT), (name, content)])


def renamed(old: bytes, new: bytes) -> bytes:
    """Names that Python's writer would not write."""
    assert len(old) == len(new)
    return with_u_data(old.decode()).replace(old, new)


def lying(size: int) -> bytes:
    """An archive that declares another length of its entry than it has, in both of its headers."""
    data = deflated([("ml/u.data", TEXT)])
    return data.replace(struct.pack("<L", len(TEXT)), struct.pack("<L", size))


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "slip": (lambda: with_u_data("../../evil"), "leaves the folder"),
    "slip inside": (lambda: with_u_data("ml/../../evil"), "leaves the folder"),
    "absolute": (lambda: with_u_data("/srv/evil"), "leaves the folder"),
    "backslash": (lambda: renamed(b"..-evil", b"..\\evil"), "leaves the folder"),
    "drive letter": (lambda: with_u_data("C:evil"), "leaves the folder"),
    "NUL": (lambda: renamed(b"u.data2", b"u.data\0"), "leaves the folder"),
    "link": (lambda: with_u_data(linked(stat.S_IFLNK), b"/etc/passwd"), "link or device"),
    "device": (lambda: with_u_data(linked(stat.S_IFCHR)), "link or device"),
    "pipe": (lambda: with_u_data(linked(stat.S_IFIFO)), "link or device"),
    "colliding by case": (lambda: with_u_data("ML/U.DATA"), "collide"),
    "two of a name": (lambda: renamed(b"ml/v.data", b"ml/u.data"), "collide"),
    "two places": (lambda: with_u_data("other/u.data"), "holds 2 files called u.data"),
    "bomb": (lambda: deflated([("ml/u.data", b"0" * 300_000_000)]), "unpacks to 300,000,000 bytes"),
    "50,000 entries": (lambda: deflated([(f"{n}", b"") for n in range(50_000)]), "50,000 entries"),
    "larger than it says": (lambda: lying(10), "cannot be read"),
    "smaller than it says": (lambda: lying(1 << 19), "bytes too early"),
    "truncated": (lambda: deflated([("ml/u.data", TEXT)])[:-30], "is not a zip archive"),
    "nested": (lambda: deflated([("ml/u.data", deflated([("x", TEXT)]))]), "is a zip archive"),
    "no zip": (lambda: b"PK\x03\x04" + bytes(100), "is not a zip archive"),
    "nothing of ours": (lambda: deflated([("x", b"")]), "holds 0 files"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_archive_that_means_harm_is_one_line(tmp_path: Path, name: str) -> None:
    make, said = ATTACKS[name]
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "ml.zip"
    path.write_bytes(make())

    def read() -> None:
        with find(path, "u.data", "ml.zip").open() as stream:
            while stream.read(1 << 16):
                pass

    with pytest.raises(DataError, match=said) as caught:
        read()
    assert "\n" not in caught.value.line
    assert [found.name for found in tmp_path.rglob("*")] == ["inside", "ml.zip"]


def test_the_limits_are_those_that_are_promised() -> None:
    assert len(ATTACKS) >= 12
    assert (sources.MAX_RATIO, sources.MAX_ENTRIES) == (200, 1_000)

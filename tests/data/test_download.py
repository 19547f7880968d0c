import hashlib
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recsys_cli.data import download
from recsys_cli.data.download import Archive, Package, obtain
from recsys_cli.errors import DataError, ResourceError

BODY = b"PK the archive" * 50_000
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine; gives its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/ml-tiny.zip", asked
        finally:
            running.shutdown()
            thread.join()


def reply(body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def tiny(address: str, checksum: str = SHA256, second: Package | None = None) -> Archive:
    return Archive("ml-tiny", address, checksum, "for research", second)


def left(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "downloads").iterdir() if p.suffix != ".lock")


def test_an_archive_is_downloaded_once_with_a_bar_and_its_terms(cache: Path, heard) -> None:
    with server(reply(BODY)) as (address, asked):
        first = obtain(tiny(address), heard, loopback=True)
        second = obtain(tiny(address), heard, loopback=True)
    assert first == second == cache / "downloads" / "ml-tiny.zip"
    assert first.read_bytes() == BODY
    assert len(asked) == 1
    assert heard.notes == ["ml-tiny: for research"]
    assert heard.bars == [("download ml-tiny", len(BODY))]
    assert left(cache) == ["ml-tiny.zip"]


def test_md5_will_do_where_nothing_else_is_published(cache: Path, heard) -> None:
    checksum = "md5:" + hashlib.md5(BODY).hexdigest()  # noqa: S324  # what the publisher gives
    with server(reply(BODY)) as (address, _):
        assert obtain(tiny(address, checksum), heard, loopback=True).exists()


def trickle(request: BaseHTTPRequestHandler) -> None:
    """A body without a stated length that stops before its end."""
    request.send_response(200)
    request.end_headers()
    request.wfile.write(BODY[:1000])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(BODY[:-1] + b"x"), "what came has sha256"),
        (reply(b"<html>Sign in to the network</html>"), "what came has sha256"),
        (reply(b""), "what came has sha256"),
        (reply(BODY[:1000], length=len(BODY)), "cannot download"),
        (trickle, "what came has sha256"),
        (reply(b"gone", status=404), "404"),
        (reply(b"broken", status=500), "500"),
        (reply(b"", status=302, Location="file:///etc/passwd"), "is not https"),
        (reply(b"", status=302, Location="http://example.invalid/x"), "is not https"),
        (reply(b"", status=302, Location="/ml-tiny.zip"), "redirects"),
    ],
)
def test_a_bad_answer_is_one_line_and_leaves_nothing(
    answer: Answer, said: str, cache: Path, heard
) -> None:
    with server(answer) as (address, _), pytest.raises(DataError, match=said) as caught:
        obtain(tiny(address), heard, loopback=True)
    assert address in caught.value.line
    assert "data.source=" in caught.value.line
    assert "RECSYS_DATA" in caught.value.line
    assert left(cache) == []


def test_a_body_without_end_is_cut(cache: Path, heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    with server(reply(BODY)) as (address, _), pytest.raises(DataError, match="more than 100,000"):
        obtain(tiny(address), heard, loopback=True)
    assert left(cache) == []


@pytest.mark.parametrize("loopback", [True, False])
def test_plain_http_is_refused(loopback: bool, cache: Path, heard) -> None:
    with pytest.raises(DataError, match="is not https"):
        obtain(tiny("http://example.invalid/ml-tiny.zip"), heard, loopback=loopback)


def test_http_to_this_machine_is_for_tests_alone(cache: Path, heard) -> None:
    with server(reply(BODY)) as (address, asked), pytest.raises(DataError, match="is not https"):
        obtain(tiny(address), heard)
    assert asked == []


def test_without_a_network_the_ways_out_are_named(cache: Path, heard) -> None:
    with server(reply(BODY)) as (address, _):
        pass  # nobody listens there any more
    with pytest.raises(DataError, match="Connection refused") as caught:
        obtain(tiny(address), heard, loopback=True)
    assert address in caught.value.line
    assert "data.source=PATH" in caught.value.line
    assert "\n" not in caught.value.line


def test_an_interrupted_download_starts_again(cache: Path, heard) -> None:
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / "ml-tiny.zip.part").write_bytes(b"the beginning")
    with server(reply(BODY)) as (address, _):
        assert obtain(tiny(address), heard, loopback=True).read_bytes() == BODY
    assert left(cache) == ["ml-tiny.zip"]


def test_a_full_disk_is_told_as_such(cache: Path, heard, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "to_disk", full)
    with server(reply(BODY)) as (address, _), pytest.raises(ResourceError, match="No space left"):
        obtain(tiny(address), heard, loopback=True)
    assert left(cache) == []


WORKER = """
import sys
from recsys_cli.data.download import obtain
from recsys_cli.progress import Silent
from tests.data.test_download import tiny
print(len(obtain(tiny(sys.argv[1]), Silent(), loopback=True).read_bytes()))
"""


def test_of_parallel_processes_one_downloads(cache: Path) -> None:
    def slowly(request: BaseHTTPRequestHandler) -> None:
        threading.Event().wait(0.3)
        reply(BODY)(request)

    root = Path(__file__).resolve().parents[2]
    with server(slowly) as (address, asked):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, address], stdout=subprocess.PIPE, text=True, cwd=root
            )
            for _ in range(4)
        ]
        outputs = [process.communicate()[0] for process in processes]
    assert outputs == [f"{len(BODY)}\n"] * 4
    assert asked == ["/ml-tiny.zip"]


def wheel(member: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package/__init__.py", "raise SystemExit('imported')")
        archive.writestr(member, b"user_id:token\trating:float\n1\t2\n3\t4\n")
    return buffer.getvalue()


WHEEL = wheel("package/u.inter")


def package(content: bytes = WHEEL) -> Package:
    checksum = "sha256:" + hashlib.sha256(content).hexdigest()
    return Package("package==1.0", checksum, "package/u.inter", "u.data")


def pip_that_brings(content: bytes | None) -> Callable[..., None]:
    def run(command: list[str], **_: object) -> None:
        if content is None:
            raise subprocess.CalledProcessError(1, command)
        assert command[1:4] == ["-m", "pip", "download"]
        assert command[-1] == "package==1.0"
        folder = next(part for part in command if part.startswith("--dest=")).removeprefix(
            "--dest="
        )
        (Path(folder) / "package-1.0-py3-none-any.whl").write_bytes(content)

    return run


def test_the_second_source_is_taken_when_the_publisher_fails_and_said(
    cache: Path, heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", pip_that_brings(WHEEL))
    with server(reply(b"", status=503)) as (address, asked):
        folder = obtain(tiny(address, second=package()), heard, loopback=True)
        assert obtain(tiny(address, second=package()), heard, loopback=True) == folder
    assert (folder / "u.data").read_bytes() == b"1\t2\n3\t4\n"
    assert len(asked) == 1
    assert "taking ml-tiny from its second source" in heard.notes[0]
    assert heard.notes[1] == "ml-tiny: for research"
    assert left(cache) == ["ml-tiny"]


@pytest.mark.parametrize(
    ("brought", "expected", "said"),
    [
        (None, WHEEL, r"pip cannot download its copy in package==1\.0"),
        (WHEEL + b"x", WHEEL, "is not the one expected"),
        (wheel("other"), wheel("other"), r"holds no package/u\.inter"),
        (b"no zip", b"no zip", r"holds no package/u\.inter"),
    ],
)
def test_a_second_source_that_fails_too(
    brought: bytes | None,
    expected: bytes,
    said: str,
    cache: Path,
    heard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subprocess, "run", pip_that_brings(brought))
    with server(reply(b"", status=503)) as (address, _), pytest.raises(DataError, match=said) as e:
        obtain(tiny(address, second=package(expected)), heard, loopback=True)
    assert "data.source=" in e.value.line
    assert left(cache) == []

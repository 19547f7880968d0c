"""The command line inside the test process, and a server that answers everything with an error."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.cli.conftest import Ended, recsys, spawn  # noqa: F401  # fixtures

SMALL = ["--data=demo", "data.events=1000", "device=cpu", "device.threads=1"]


@dataclass
class Failing:
    """A server on this machine that says what it was asked in an error.

    Attributes:
        port: Where it listens.
        bodies: What was sent to it.
    """

    port: int
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def failing_server() -> Iterator[Failing]:
    bodies: list[bytes] = []

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            said = f"cannot serve {self.path} with {dict(self.headers)}".encode()
            self.send_response(400)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PATCH = do_PUT = answer

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Failing(server.server_port, bodies)
        server.shutdown()
        thread.join()

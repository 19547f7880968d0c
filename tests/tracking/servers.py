"""A server on this machine that answers as MLflow does, until it is told to fail."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from recsys_cli.tracking.events import Events, InUseError

FAILURES = ("hang", "500", "401", "html", "cut")
Answer = tuple[int, dict[str, Any]]
MISSING: Answer = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"})


class Server:
    """What it knows, and how it answers.

    Attributes:
        mode: "well", or one of `FAILURES`.
        calls: The paths that were asked for.
        runs: By id: `info`, `params`, `tags`, and `metrics` as (key, step, value, timestamp).
    """

    def __init__(self, folder: Path) -> None:
        self.mode = "well"
        self.fails_at = ""  # from the first call of this name on, the mode is `fails_how`
        self.fails_how = "500"
        self.calls: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.uri = ""
        self.released = threading.Event()
        self._folder = folder

    def answer(self, name: str, told: dict[str, Any]) -> Answer:
        return getattr(self, "_" + name.replace("/", "_").replace("-", "_"))(told)

    def _experiments_get_by_name(self, told):
        return 200, {
            "experiment": {
                "experiment_id": "1",
                "name": told["experiment_name"],
                "lifecycle_stage": "active",
            }
        }

    def _runs_create(self, told):
        run_id = f"{len(self.runs) + 1:032x}"
        info = {
            "run_id": run_id, "run_uuid": run_id, "experiment_id": "1", "status": "RUNNING",
            "run_name": told["run_name"], "lifecycle_stage": "active", "start_time": told["start_time"],
            "artifact_uri": (self._folder / run_id).as_uri(),
        }  # fmt: skip
        tags = {tag["key"]: tag["value"] for tag in told["tags"]}
        self.runs[run_id] = {"info": info, "tags": tags, "params": {}, "metrics": [], "inputs": []}
        return self._runs_get({"run_id": run_id})

    def _runs_get(self, told):
        if told["run_id"] not in self.runs:
            return MISSING
        return 200, {"run": self._told(self.runs[told["run_id"]])}

    def _runs_search(self, told):
        wanted = [text.split(" = ") for text in told["filter"].split(" and ")]
        found = [
            run
            for run in self.runs.values()
            if all(self._value(run, name) == value.strip("'") for name, value in wanted)
        ]
        return 200, {"runs": [self._told(run) for run in found]}

    def _runs_log_batch(self, told):
        run = self.runs[told["run_id"]]
        run["params"] |= {param["key"]: param["value"] for param in told.get("params", [])}
        for metric in told.get("metrics", []):
            row = (
                metric["key"],
                int(metric.get("step", 0)),
                metric["value"],
                int(metric["timestamp"]),
            )
            if row not in run["metrics"]:
                run["metrics"].append(row)
        return 200, {}

    def _runs_log_inputs(self, told):
        self.runs[told["run_id"]]["inputs"] = told["datasets"]
        return 200, {}

    def _runs_set_tag(self, told):
        self.runs[told["run_id"]]["tags"][told["key"]] = told["value"]
        return 200, {}

    def _runs_update(self, told):
        info = self.runs[told["run_id"]]["info"]
        info |= {name: told[name] for name in ("status", "end_time") if name in told}
        return 200, {"run_info": info}

    @staticmethod
    def _value(run, name):
        return run["info"]["status"] if name == "attributes.status" else run["tags"].get(name[6:-1])

    @staticmethod
    def _told(run):
        pairs = {
            kind: [{"key": key, "value": value} for key, value in run[kind].items()]
            for kind in ("params", "tags")
        }
        return {"info": run["info"], "data": pairs}


class _Handler(http.server.BaseHTTPRequestHandler):
    server_state: Server

    def do_POST(self):
        state, address = self.server_state, urlparse(self.path)
        name = address.path.removeprefix("/api/2.0/mlflow/")
        told = {key: values[0] for key, values in parse_qs(address.query).items()}
        if length := int(self.headers.get("Content-Length", 0)):
            told |= json.loads(self.rfile.read(length))
        state.calls.append(name)
        if name == state.fails_at:
            state.mode = state.fails_how
        match state.mode:
            case "well":
                code, answer = state.answer(name, told)
                self._say(code, json.dumps(answer).encode())
            case "hang":
                state.released.wait(30)
            case "html":
                self._say(200, b"<html>log in, please</html>")
            case "cut":
                self.close_connection = True
            case code:
                self._say(int(code), b"oops")

    do_GET = do_POST

    def _say(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Such a server, until the block ends.

    Args:
        folder: Where it keeps files.
    """
    state = Server(folder)
    handler = type("Handler", (_Handler,), {"server_state": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        state.uri = f"http://user:CANARY@127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()


def eventually(true, seconds=60.0):
    """Wait until something is true that another thread brings about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def left_alone(folder):
    """Wait until no thread is at the events of a run any more."""

    def free():
        try:
            Events(folder).close()
        except InUseError:
            return False
        return True

    eventually(free)


def die(tracker):
    """End a tracker as the death of its process would: nothing more is told, and its file is let go."""
    sender, events = tracker._sender, tracker._events

    def dead():
        raise ConnectionAbortedError("died")

    sender._delivery.advance = dead
    sender._closing = True
    sender.wake()
    left_alone(events.folder)
    sender._condition.failure = ""

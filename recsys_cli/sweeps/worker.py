"""A process that runs trials for `recsys sweep --workers N`.

Its job is the first line of its standard input, where no other user of the machine can read the address of the store.
The end of that input means that the command is gone or wants to stop: the run is then closed as at any interruption.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from recsys_cli import config
from recsys_cli.errors import RecsysError, ResourceError
from recsys_cli.resources import OUT_OF_MEMORY, disk_full
from recsys_cli.sweeps.plan import from_job
from recsys_cli.sweeps.trials import opened, run_all
from recsys_cli.sweeps.wire import Wire

INTERRUPTED = 130


def main() -> int:
    """Run trials until none is left; the exit code."""
    job = json.loads(sys.stdin.buffer.readline())
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the command passes it on, by the end of the input
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_wait_for_end, daemon=True).start()
    wire = Wire(sys.stdout)
    try:
        _run(job, wire)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        told = _in_our_words(error)
        if told is None:
            raise
        wire.send(error=[str(told), told.hint, told.exit_code])
        return told.exit_code
    return 0


def _run(job: dict[str, Any], wire: Wire) -> None:
    if job["packages"]:
        config.allow(job["packages"])
        sys.path.append(str(Path.cwd()))
    plan = from_job(job["plan"])
    with opened(plan) as study:
        run_all(
            plan, study, job["parent_id"], wire, begun=lambda trial: wire.send(trial=trial.number)
        )


def _in_our_words(error: Exception) -> RecsysError | None:
    """What a user can mend; None for a bug."""
    if isinstance(error, RecsysError):
        return error
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        return ResourceError("a worker is out of memory", "use fewer --workers, or smaller models")
    return disk_full(error)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_for_end() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    code = main()
    os._exit(
        code
    )  # all is closed, and the command waits: what Python would still free takes seconds

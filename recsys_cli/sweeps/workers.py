"""The workers of `recsys sweep --workers N`: started, watched, replaced when they are killed, and stopped."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import Counter
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from recsys_cli.errors import RecsysError, ResourceError
from recsys_cli.progress import Bar, NotesOnce, Progress
from recsys_cli.sweeps import cluster
from recsys_cli.sweeps.board import Board
from recsys_cli.sweeps.launching import Launch, Process, Running
from recsys_cli.sweeps.plan import Plan
from recsys_cli.sweeps.study import Study
from recsys_cli.sweeps.trials import POLL_SECONDS, is_over

SECONDS_TO_STOP = 30  # a step of training, a checkpoint, and the end of the tracked run
MOST_DEATHS = 2  # of the processes that run one trial


def run_workers(plan: Plan, study: Study, parent_id: str, progress: Progress, board: Board) -> None:
    """Let processes run the trials until none is left, here or on a cluster.

    Raises:
        RecsysError: What stopped one of them stops all; the same study goes on from there.
    """
    where = nullcontext(Process) if plan.cluster is None else cluster.launcher(plan, progress)
    with where as launch:
        crew = _Crew(plan, parent_id, progress, launch)
        try:
            for number in range(1, plan.workers + 1):
                crew.start(number)
            while crew.workers:
                time.sleep(POLL_SECONDS)
                crew.listen()
                board.update()
                crew.replace_dead(over=is_over(plan, study))
            crew.listen()
            board.update()
        finally:
            crew.stop()


@dataclass
class _Worker:
    """One process.

    Attributes:
        number: Counted from 1.
        process: What runs.
        trial: The one that it runs; None before its first.
        reader: Takes what it tells.
        showing: Its bar.
        bar: What moves it.
    """

    number: int
    process: Running
    trial: int | None = None
    reader: threading.Thread | None = None
    showing: ExitStack = field(default_factory=ExitStack)
    bar: Bar | None = None

    def close(self) -> None:
        """After its end: take what it has told last, and close what was open for it."""
        self.process.tell_to_stop()
        if self.reader is not None:
            self.reader.join()
        self.showing.close()


class _Crew:
    def __init__(self, plan: Plan, parent_id: str, progress: Progress, launch: Launch) -> None:
        packages = [
            text.partition("=")[2] for text in plan.options if text.startswith("--allow-package=")
        ]
        job = {"plan": plan.job(), "parent_id": parent_id, "packages": packages}
        self._job, self._launch = json.dumps(job), launch
        self._progress = progress
        self._once = NotesOnce(progress)
        self._deaths: Counter[int | None] = Counter()
        self._inbox: queue.SimpleQueue[tuple[_Worker, dict[str, Any]]] = queue.SimpleQueue()
        self.workers: list[_Worker] = []

    def start(self, number: int) -> None:
        """Start a worker."""
        worker = _Worker(number, self._launch(self._job))
        self.workers.append(worker)
        worker.reader = threading.Thread(target=self._read, args=(worker,), daemon=True)
        worker.reader.start()

    def listen(self) -> None:
        """Show what workers have told.

        Raises:
            RecsysError: One of them was stopped by it.
        """
        while not self._inbox.empty():
            worker, message = self._inbox.get()
            if "error" in message:
                problem, hint, code = message["error"]
                error = RecsysError(problem, hint)
                error.exit_code = code
                raise error
            if "note" in message:
                self._once.note(message["note"])
            elif "trial" in message:
                worker.trial = message["trial"]
            else:
                self._show(worker, message)

    def replace_dead(self, *, over: bool) -> None:
        """Forget workers that are done; start another for one that was killed.

        Raises:
            RecsysError: One of them was stopped by it.
            ResourceError: A trial has killed its process before.
            RuntimeError: One has ended by a bug, of which it has told.
        """
        for worker in list(self.workers):
            code = worker.process.code
            if code is None:
                if over and worker.trial is None:  # nothing is left for one that has yet to begin
                    worker.process.tell_to_stop()
                continue
            self.workers.remove(worker)
            worker.close()
            self.listen()
            if code > 0 and not (over and worker.trial is None):
                raise RuntimeError(f"worker {worker.number} ended with code {code}")
            if code < 0 and not over:
                self._expect_to_live(worker, -code)
                self.start(worker.number)

    def _expect_to_live(self, worker: _Worker, signal: int) -> None:
        self._deaths[worker.trial] += 1
        where = "at its start" if worker.trial is None else f"in trial-{worker.trial:03d}"
        if self._deaths[worker.trial] >= MOST_DEATHS:
            raise ResourceError(
                f"a worker was killed by signal {signal} {where} for the second time",
                "there may be too little memory: use fewer --workers; the same study then goes on",
            )
        self._progress.note(
            f"worker {worker.number} was killed by signal {signal} {where}; another goes on"
        )

    def stop(self) -> None:
        """End all: the end of its input lets a worker close its run; one that does not end is killed."""
        for worker in self.workers:
            worker.process.tell_to_stop()
        until = time.monotonic() + SECONDS_TO_STOP
        for worker in self.workers:
            if not worker.process.wait(max(0.0, until - time.monotonic())):
                worker.process.kill()
            worker.close()

    def _read(self, worker: _Worker) -> None:
        with suppress(ValueError):  # a kill may cut a line
            for line in worker.process.lines():
                self._inbox.put((worker, json.loads(line)))

    def _show(self, worker: _Worker, message: dict[str, Any]) -> None:
        """Open, move or close the worker's bar."""
        if "steps" in message:
            if worker.bar is not None:
                worker.bar.advance(message["steps"], **message["shown"])
            return
        worker.showing.close()
        worker.bar = None
        if message["bar"] is not None:
            what, total, unit = message["bar"]
            where = "" if worker.trial is None else f"trial-{worker.trial:03d} "
            worker.bar = worker.showing.enter_context(
                self._progress.bar(f"{where}{what}", total, unit)
            )

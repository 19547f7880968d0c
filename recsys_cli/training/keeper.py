"""When a training is saved: now and then, and when it is to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from recsys_cli.errors import DivergedError
from recsys_cli.progress import Progress
from recsys_cli.training.checkpoint import Checkpoints
from recsys_cli.training.interruption import Interruption
from recsys_cli.training.state import TrainingState


class Keeper:
    """Saves a training when it is time to, and stops it when that is wanted.

    Args:
        state: The training.
        checkpoints: Where it is saved; None = nowhere.
        stop: Whether somebody wants it to stop.
        progress: Is told when it is saved for that, and gone on with.
        steps: Steps an epoch.
        epochs: Most epochs.
        lr: Step size, for the words where training comes to nothing.
        every_steps: Save after so many; None = not for their number.
        every_seconds: Save after so long; 0 = at the end of each epoch.
    """

    def __init__(
        self,
        state: TrainingState,
        checkpoints: Checkpoints | None,
        stop: Interruption,
        progress: Progress,
        *,
        steps: int,
        epochs: int,
        lr: float,
        every_steps: int | None,
        every_seconds: float,
    ) -> None:
        self._state = state
        self._checkpoints = checkpoints
        self._stop = stop
        self._progress = progress
        self._steps, self._epochs, self._lr = steps, epochs, lr
        self._every_steps, self._every_seconds = every_steps, every_seconds
        self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Go on from the newest checkpoint, where there is one."""
        saved = self._checkpoints.newest(self._progress) if self._checkpoints is not None else None
        if saved is None:
            return
        state = self._state
        state.resume(saved, epochs=self._epochs, steps=self._steps)
        self._progress.note(f"going on at epoch {state.epoch}, after {state.step} steps of it")

    def due(self) -> bool:
        """Whether to save after this step."""
        if self._stop.requested:
            return True
        done = (self._state.epoch - 1) * self._steps + self._state.step
        every, seconds = self._every_steps, self._every_seconds
        return (every is not None and done % every == 0) or (seconds > 0 and self._waited(seconds))

    def after_epoch(self) -> None:
        """Save at the start of an epoch, if it is time."""
        if self._stop.requested or self._waited(self._every_seconds):
            self.save()

    def interruptible(
        self, measure: Callable[[], Mapping[str, float]]
    ) -> tuple[Mapping[str, float], float]:
        """Validate, and the seconds that it took. It changes nothing, so a signal need not wait for its end.

        Raises:
            DivergedError: A score is not a finite number.
        """
        started = time.perf_counter()
        try:
            with self._stop.at_once():
                return measure(), time.perf_counter() - started
        except DivergedError as error:
            raise DivergedError(
                f"{error} (validation of epoch {self._state.epoch}, trainer.lr={self._lr:g})",
                "lower trainer.lr",
            ) from error
        except KeyboardInterrupt:
            self._write()
            raise

    def save(self) -> None:
        """Save, and stop if that is wanted."""
        self._write()
        if self._stop.requested:
            self._stop.act()

    def _write(self) -> None:
        state = self._state
        if self._checkpoints is None:
            return
        self._checkpoints.save(state.pack())
        self._saved_at = time.monotonic()
        if self._stop.requested:
            self._progress.note(f"saved at epoch {state.epoch}, after {state.step} steps of it")

    def _waited(self, seconds: float) -> bool:
        return time.monotonic() - self._saved_at >= seconds

"""The errors that a user can meet; the command line prints each as one line and exits with its code.

RecsysError
├── ConfigError      2  an unknown, missing, ill-typed or out-of-range setting
├── DataError        2  a file, row, column or id that is not as it should be
├── ModelError       2  a model that cannot be built or used on this data
├── DeviceError      2  a device that is not there
├── DivergedError    3  a loss or score that is not a finite number
├── ResourceError    4  out of disk or memory
├── CheckpointError  5  weights or training state that are corrupt, or not those of the run
└── TrackingError    6  the tracking store is neither reached nor buffered

Anything else that is raised is a bug of ours and keeps its traceback (exit code 1).
"""


class RecsysError(Exception):
    """Base of all errors that are not bugs.

    Args:
        problem: What is wrong and where (file:line:column, key, name), with what came and what was expected.
        hint: What to do about it, one clause.
    """

    exit_code = 2

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint

    @property
    def line(self) -> str:
        """The whole message in one line, as the command line prints it."""
        text = f"{self}; {self.hint}" if self.hint else str(self)
        return " ".join(text.split())


class ConfigError(RecsysError):
    """A setting is unknown, missing, of the wrong type or out of range."""


class DataError(RecsysError):
    """A file, row, column or id is not as it should be."""


class ModelError(RecsysError):
    """A model cannot be built or used on this data."""


class DeviceError(RecsysError):
    """A device that was asked for is not there."""


class DivergedError(RecsysError):
    """A loss, gradient or score is not a finite number."""

    exit_code = 3


class ResourceError(RecsysError):
    """Out of disk space or memory."""

    exit_code = 4


class CheckpointError(RecsysError):
    """Weights or training state are corrupt, or not those of the run that they lie in."""

    exit_code = 5


class TrackingError(RecsysError):
    """The tracking store can neither be reached nor buffered."""

    exit_code = 6


def nearest(name: str, known: list[str]) -> str:
    """The hint that names the known name closest to a mistyped one.

    Args:
        name: What was typed.
        known: All names that exist.

    Returns:
        "did you mean 'x'? (there are: ...)", without the question where nothing is near.
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    there_are = f"there are: {', '.join(sorted(known))}" if known else "there are none"
    return f"did you mean '{close[0]}'? ({there_are})" if close else there_are

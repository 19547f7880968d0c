"""A finished run, held to what it says of itself: its files whole, its numbers those of its weights, and again the same.

Nothing is written into the run's folder. What was promised when it ran, and still holds here, decides whether a
difference of a single bit is one too many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from recsys_cli import config as settings
from recsys_cli import experiment, integrity, runs
from recsys_cli.config import Config
from recsys_cli.errors import CheckpointError, ConfigError, DataError
from recsys_cli.outcome import Outcome
from recsys_cli.progress import Progress
from recsys_cli.promises import BIT_FOR_BIT, TOLERANCE, conditions, promise
from recsys_cli.tracking.run_folder import (
    HISTORY,
    METRICS,
    SEALED,
    RunFolder,
    open_run,
    read_record,
)
from recsys_cli.tracking.under_way import RUNNING, UNREPEATED, epochs
from recsys_cli.training.checkpoint import differences

Kind = Literal["file", "measured again", "trained again"]
Verdict = Literal["intact", "damaged", "not of the run", "equal", "close", "differs"]
ALONE = "without it no other file can be checked"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        kind: A file, or what of the numbers was made again.
        what: The file's name, or `weights`, `history`, `metrics`.
        verdict: How it was found; `close` = another number, within the tolerance or where any may come.
        detail: What the verdict stands on.
    """

    kind: Kind
    what: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Verification:
    """What was found of a run.

    Attributes:
        folder: Where it is.
        promise: As it was recorded; empty where the record is damaged.
        elsewhere: Which conditions are other ones here; empty where none is, or none was compared.
        checks: In the order in which they were made.
    """

    folder: Path
    promise: Mapping[str, str]
    elsewhere: str
    checks: Sequence[Check]

    @property
    def damaged(self) -> list[Check]:
        """Files that are not as the run wrote them."""
        return [check for check in self.checks if check.verdict == "damaged"]

    @property
    def differing(self) -> list[Check]:
        """Numbers that came out otherwise and must not."""
        return [check for check in self.checks if check.verdict == "differs"]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run_dir": str(self.folder),
            "intact": not self.damaged,
            "reproduced": not self.damaged and not self.differing,
            "promise": dict(self.promise),
            "elsewhere": self.elsewhere,
            "checks": [asdict(check) for check in self.checks],
        }


def verify(
    named: str,
    root: Path,
    *,
    rerun: bool,
    folders: Sequence[Path] = (),
    progress: Progress,
) -> Verification:
    """Check the files of a run; where all are whole, measure again, and train again.

    Args:
        named: Its folder, or its name or id in `root`.
        root: The folder of runs.
        rerun: Whether it is trained again too.
        folders: The user's own configuration folders, as when it was trained.
        progress: Shows how it goes on.

    Raises:
        ConfigError: The run is not finished.
        RecsysError: There is no such run; or its data, device or packages are not to be had here.
    """
    path = _find(named, root)
    checks = check_files(path)
    if any(check.verdict == "damaged" for check in checks):
        return Verification(path, {}, "", checks)
    folder = open_run(str(path), path.parent)
    outcome = Outcome.from_json(folder.recorded, path)
    config = replace(runs.read_settings(folder), folders=tuple(folders))
    ready = runs.reopen(config, folder, progress=progress)
    results = runs.remeasure(ready, progress=progress)
    here = ready.environment
    elsewhere = differences(conditions(outcome.device), conditions(here))
    exact = not elsewhere and promise(here)["class"] == BIT_FOR_BIT
    found = {part: result.metrics for part, result in results.items()}
    checks.append(_metrics("measured again", found, folder, exact=exact))
    if rerun:
        spent = outcome.timings["fit_seconds"]
        progress.note(f"training again; it took {spent:.0f} s (--no-rerun leaves this out)")
        exact = exact and outcome.promise["class"] == BIT_FOR_BIT
        checks += _train_again(config, folder, exact=exact, progress=progress)
    return Verification(path, outcome.promise, elsewhere, checks)


def check_files(path: Path) -> list[Check]:
    """Look at each file of a run's folder, the record first: it says how the others were."""
    record, wrong = _record(path)
    checks = [_file(METRICS, wrong and f"{wrong}; {ALONE}", "its seal holds")]
    if not wrong and not runs.lists_files(record):
        checks = [_file(METRICS, f"it lists other files; {ALONE}", "")]
    elif not wrong:
        for name, then in record["files"].items():
            whole = f"{then['bytes']:,} bytes, SHA-256 {then['sha256'][:12]}"
            checks.append(_file(name, integrity.damage(path / name, then), whole))
    more = sorted({entry.name for entry in path.iterdir()} - {METRICS, *SEALED})
    return [*checks, *(Check("file", name, "not of the run", "") for name in more)]


def _find(named: str, root: Path) -> Path:
    """The folder of a finished run, whatever state its files are in."""
    folders = [path for path in (Path(named), root / named) if named and path.is_dir()]
    path = folders[0] if folders else open_run(named, root).path
    if (path / RUNNING).exists():
        raise ConfigError(
            f"the run {path} is not finished",
            f"let it end, or go on with it: recsys train --resume={path}",
        )
    if not any((path / name).exists() for name in (METRICS, *SEALED)):
        raise DataError(f"{path} is not the folder of a run", "name that of a run")
    return path


def _record(folder: Path) -> tuple[dict[str, Any], str]:
    """What the record says, and what is wrong with it; one with its seal is as we wrote it."""
    path = folder / METRICS
    try:
        told = read_record(path)
    except CheckpointError as error:
        return {}, str(error).removeprefix(f"{path}: ")
    return (told, "") if integrity.is_sealed(told) else ({}, "it was changed")


def _file(name: str, wrong: str, whole: str) -> Check:
    return Check("file", name, "damaged" if wrong else "intact", wrong or whole)


def _metrics(
    kind: Kind, found: Mapping[str, Mapping[str, float]], folder: RunFolder, *, exact: bool
) -> Check:
    """New metrics against the recorded ones: equal, or, where bits are not promised, close."""
    count = sum(len(values) for values in folder.metrics.values())
    apart = runs.agreement(found, folder)
    if not apart.largest:
        return Check(kind, "metrics", "equal", f"all {count}, bit for bit")
    primary = f"{folder.evaluation['primary']} by {apart.primary:.2g}"
    detail = f"{primary}, {apart.at} by {apart.largest:.2g}"
    if exact or apart.primary > TOLERANCE:
        return Check(kind, "metrics", "differs", detail)
    return Check(kind, "metrics", "close", f"{detail}; {TOLERANCE:g} is allowed")


def _train_again(
    config: Config, folder: RunFolder, *, exact: bool, progress: Progress
) -> list[Check]:
    """Train in a folder of its own, untracked, and compare what comes of it."""
    untracked = settings.load(["tracking=none"]).tree["tracking"]
    with TemporaryDirectory(prefix="recsys-verify-") as scratch:
        own = replace(config, tree=config.tree | {"tracking": untracked, "root": scratch})
        again = experiment.run(
            own, run_dir=Path(scratch) / "run", progress=progress, tested=folder.tested
        )
        history = _same("history", _epochs(again.run_dir), _epochs(folder.path), exact=exact)
    return [
        _same("weights", again.weights_sha256, folder.recorded["weights_sha256"], exact=exact),
        history,
        _metrics("trained again", again.metrics, folder, exact=exact),
    ]


def _same(what: str, new: str, old: str, *, exact: bool) -> Check:
    """Bits against the recorded ones, by their SHA-256; other ones are wrong only where they are promised."""
    if new == old:
        return Check("trained again", what, "equal", f"bit for bit, SHA-256 {old[:12]}")
    detail = f"SHA-256 {new[:12]}, recorded {old[:12]}"
    if exact:
        return Check("trained again", what, "differs", detail)
    return Check("trained again", what, "close", f"{detail}; other bits are allowed")


def _epochs(folder: Path) -> str:
    """SHA-256 over the numbers of all epochs but for what a clock gave."""
    entries = epochs(folder / HISTORY)
    return integrity.seal({
        str(place): {key: value for key, value in entry.items() if not key.endswith(UNREPEATED)}
        for place, entry in enumerate(entries)
    })  # fmt: skip

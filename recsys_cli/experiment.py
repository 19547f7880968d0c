"""One experiment, from settings to numbers: load -> split -> build -> fit -> evaluate -> record.

This is the page to read. Everything that is random is derived from one seed; the test part is read once, at the
end, by the weights that validation chose; nothing is written before settings, data and model have been checked.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from torch import Tensor, nn

from recsys_cli import __version__, catalogue, unfinished
from recsys_cli.config import Config, build
from recsys_cli.data.columnar import to_disk
from recsys_cli.data.filters import Filtered
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.split import Holdout, Split
from recsys_cli.devices import Device, environment
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError, DataError, ModelError, ResourceError
from recsys_cli.evaluation.category_metrics import check_categories
from recsys_cli.evaluation.evaluate import Result, evaluate
from recsys_cli.evaluation.prediction import predictor
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.values_protocol import ValuesProtocol
from recsys_cli.progress import Progress, Silent
from recsys_cli.seeds import isolated
from recsys_cli.tracking.contract import Status, Tracker
from recsys_cli.tracking.run_folder import (
    HISTORY,
    LISTS,
    METRICS,
    PER_USER,
    SETTINGS,
    WEIGHTS,
    save_lists,
    save_per_user,
)
from recsys_cli.tracking.under_way import CHECKPOINT, Journal, Running, held, numbers_of
from recsys_cli.training.checkpoint import Checkpoints
from recsys_cli.training.loop import GradientTrainer, Report, n_parameters
from recsys_cli.training.state import History
from recsys_cli.unfinished import Begun


@dataclass(frozen=True)
class Outcome:
    """What an experiment ends with; `to_json` is what `--json` prints and `metrics.json` holds."""

    run_id: str
    run_dir: Path
    config_hash: str
    split_hash: str
    weights_sha256: str
    device: dict[str, str]
    metrics: dict[str, dict[str, float]]
    timings: dict[str, float]
    counts: dict[str, int]
    choices: dict[str, str]
    split: str
    leaks: str
    why_split: str
    logged_at: str = ""
    how_to_open: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields."""
        return asdict(self) | {"run_dir": str(self.run_dir)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any] | None, run_dir: Path) -> Outcome:
        """What `to_json` gave.

        Raises:
            DataError: It is not complete.
        """
        names = {part.name for part in fields(cls)}
        if told is None or told.keys() != names:
            raise DataError(f"{run_dir / METRICS}: is not the record of a run", "train it again")
        return cls(**{**told, "run_dir": run_dir})


@dataclass
class Stopwatch:
    """Seconds spent in each named piece of work."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.seconds[f"{what}_seconds"] = time.perf_counter() - start


@dataclass(frozen=True)
class Prepared:
    """Data, split, model and trainer, built and checked; nothing is trained or written yet."""

    interactions: Interactions
    split: Split
    model: Any
    trainer: Any
    protocol: Any
    device: Device

    @property
    def parts(self) -> dict[str, Holdout]:
        """What is measured: the test, and validation before it where the split has one."""
        parts = {"valid": self.split.valid, "test": self.split.test}
        return {name: part for name, part in parts.items() if len(part.users)}


def prepare(config: Config, *, progress: Progress, stopwatch: Stopwatch | None = None) -> Prepared:
    """Build everything that an experiment needs.

    Raises:
        RecsysError: Data, split or model cannot be had.
    """
    clock = stopwatch or Stopwatch()
    tree = config.tree
    device: Device = build(tree["device"], key="device")
    protocol = build(tree["evaluation"], key="evaluation")
    if isinstance(protocol, RankingProtocol) and (said := protocol.in_words()):
        progress.note(said)
    with device.active():
        interactions, split = load_and_split(config, progress=progress, stopwatch=clock)
        with clock("build"), isolated(tree["seed"], "init"), _room_for_model(device):
            model = build(tree["model"], key="model", n_users=split.n_users, n_items=split.n_items)
            model = model.to(device.torch)
        _check_fits(model, split, protocol, config.choices["model"])
        trainer = build(tree["trainer"], key="trainer", seed=tree["seed"])
        _check_validation(trainer, split)
    return Prepared(interactions, split, model, trainer, protocol, device)


def load_and_split(
    config: Config, *, progress: Progress, stopwatch: Stopwatch | None = None
) -> tuple[Interactions, Split]:
    """The events that the filter leaves, and their split.

    Raises:
        RecsysError: The data cannot be had, or a step or part leaves nothing.
    """
    clock = stopwatch or Stopwatch()
    with clock("load"):
        filtered = load(config, progress=progress)
    with clock("split"):
        return filtered.interactions, cut(config, filtered)


def load(config: Config, *, progress: Progress) -> Filtered:
    """The events that the filter leaves; what each step of it leaves is told.

    Raises:
        RecsysError: The data cannot be had, or a step leaves nothing.
    """
    interactions = build(config.tree["data"], key="data", progress=progress)
    filtered: Filtered = build(config.tree["filter"], key="filter", interactions=interactions)
    for step in filtered.steps:
        progress.note(f"filter, {step}")
    return filtered


def cut(config: Config, filtered: Filtered) -> Split:
    """The split of these events; what it leaks is told with what the filter does.

    Raises:
        DataError: A part is empty, or the split needs what the data does not have.
    """
    split: Split = build(config.tree["split"], key="split", interactions=filtered.interactions)
    leaks = "; ".join(text for text in (filtered.leaks, split.leaks) if text)
    return replace(split, leaks=leaks)


def run(
    config: Config,
    *,
    run_dir: Path | None,
    progress: Progress,
    parent_id: str | None = None,
    report: Callable[[int, Mapping[str, float]], None] | None = None,
    resume: bool = False,
) -> Outcome:
    """Run one experiment and record it.

    Args:
        config: Complete, checked settings.
        run_dir: Where to put its files, a folder that is not there or is empty; None = a new one under `root`.
        progress: Shows how it goes on.
        parent_id: The tracked run that this one is a part of.
        report: Is told each epoch's numbers too.
        resume: `run_dir` may hold a run with the same settings: one that was cut off goes on and ends with the same
            bits as one that was not, and of one that is finished the outcome is returned again.

    Raises:
        RecsysError: Something that the user can mend.
    """
    clock = Stopwatch()
    with ExitStack() as stack:
        begun = _begun(run_dir, config, stack) if resume else None
        if begun is not None and begun.running is None:
            progress.note(f"the run {begun.folder} is finished: nothing is left to do")
            unfinished.clear(begun.folder)
            return Outcome.from_json(begun.recorded, begun.folder)
        if not resume:
            _refuse_used(run_dir)
        ready = prepare(config, progress=progress, stopwatch=clock)
        _announce(ready, config, progress)
        folder = _make_run_dir(run_dir, config, stack) if begun is None else begun.folder
        tracker: Tracker = build(config.tree["tracking"], key="tracking")
        run_id = tracker.start(
            name=_title(config),
            params=config.flat()
            | {f"choice.{group}": name for group, name in config.choices.items()},
            tags=_tags(config, ready),
            dataset=describe_data(config, ready.interactions),
            parent_id=parent_id,
            run_id=None if begun is None else begun.run_id,
        )
        status: Status = "FAILED"
        try:
            if begun is None:
                write_whole(folder / SETTINGS, config.yaml().encode())
            Running(run_id, config.choices, config.overrides).write(folder)
            with closing(_tell_again(folder, tracker)) as journal:
                if begun is not None and begun.recorded is not None:
                    outcome = replace(Outcome.from_json(begun.recorded, folder), run_id=run_id)
                else:
                    tell = _teller(journal, tracker, report)
                    outcome = _train(ready, config, folder, tell, progress, clock)
                    outcome = replace(
                        outcome,
                        run_id=run_id,
                        logged_at=tracker.location,
                        how_to_open=tracker.how_to_open,
                    )
            _record(outcome, tracker, folder)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            if parent_id is None:
                progress.note(f"go on with: recsys train --resume={shlex.quote(str(folder))}")
            raise
        finally:
            tracker.finish(status)
        unfinished.clear(folder)
    return outcome


def why_this_split(config: Config) -> str:
    """The reason that the data set gives for its split, unless the user chose another."""
    chosen = any(text.lstrip("+").split("=")[0] == "split" for text in config.overrides)
    if chosen:
        return ""
    entry = catalogue.find("data", config.choices["data"], config.folders)
    return next((pick.reason for pick in catalogue.picks(entry.path) if pick.group == "split"), "")


def save_weights(model: nn.Module, path: Path) -> str:
    """Write a model's parameters and buffers; their SHA-256."""
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(tensors, path)
    return weights_digest(model)


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over the names, shapes and bits of all parameters and buffers."""
    return tensors_digest(model.state_dict())


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """The same of tensors by name."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return sha.hexdigest()


def _check_fits(model: Any, split: Split, protocol: Any, name: str) -> None:
    if isinstance(protocol, ValuesProtocol):
        predictor(model)
    else:
        check_categories(split.train, protocol)
    needs = set(model.reads) & {"times", "now"}
    if needs and split.train.times is None:
        raise ModelError(
            f"model={name} reads the moments of events and this data has no times",
            "name its time column, or set model.context=[]"
            if name == "seq"
            else "choose another model",
        )


def _check_validation(trainer: Any, split: Split) -> None:
    if isinstance(trainer, GradientTrainer) and not len(split.valid.users):
        raise ConfigError(
            f"split {split.name} has no validation part, and this trainer stops by one",
            "give it one, such as split.valid_ratio=0.1",
        )


@contextmanager
def _room_for_model(device: Device) -> Iterator[None]:
    """Say in one line that a model does not fit."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        reason = device.failure(error)
        if reason is None:
            raise
        raise ResourceError(f"the model cannot be built: {reason}", "make it smaller") from error


def _announce(ready: Prepared, config: Config, progress: Progress) -> None:
    """Say what is about to run, and what the split is worth."""
    split, counts, why = ready.split, ready.split.counts(), why_this_split(config)
    progress.note(
        f"{config.choices['data']}: {len(ready.interactions):,} events, {split.n_users:,} users, "
        f"{split.n_items:,} items; {config.choices['model']} on {ready.device.label}"
    )
    progress.note(
        f"split {split.name}, {split.hash[:12]}" + (f"; chosen because {why}" if why else "")
    )
    if split.leaks:
        progress.note(f"this split leaks: {split.leaks}")
    for reason, count in split.dropped.items():
        if count:
            progress.note(f"{count:,} events are in no part: {reason}")
    progress.note(
        f"test: {counts['test_users']:,} users ({counts['test_cold_users']:,} never seen in training), "
        f"{counts['test_events']:,} events ({counts['test_cold_item_events']:,} of items never seen in training)"
    )
    if caution := split.caution():
        progress.note(caution)


def _train(
    ready: Prepared,
    config: Config,
    folder: Path,
    report: Report,
    progress: Progress,
    clock: Stopwatch,
) -> Outcome:
    """Fit, and measure what was learnt; the outcome but for where it is tracked."""
    split = ready.split
    with ready.device.active():
        with clock("fit"):
            history: History = ready.trainer.fit(
                ready.model,
                split.train,
                device=ready.device,
                primary=ready.protocol.primary,
                validate=lambda: _measure(ready, "valid", Silent()).metrics,
                report=report,
                progress=progress,
                better=ready.protocol.better,
                checkpoints=Checkpoints(folder / CHECKPOINT, _made_with(config, ready)),
            )
        weights_sha256 = save_weights(ready.model, folder / WEIGHTS)
        results = {}
        for part in ready.parts:
            with clock(part):
                results[part] = _measure(ready, part, progress)
    _save_users(ready, folder, results)
    return Outcome(
        run_id="",
        run_dir=folder,
        config_hash=config.hash,
        split_hash=split.hash,
        weights_sha256=weights_sha256,
        device=environment(ready.device),
        metrics={"valid": {}} | {part: found.metrics for part, found in results.items()},
        timings=_timings(clock, history),
        counts=split.counts() | _model_counts(ready.model, history),
        choices=config.choices,
        split=split.name,
        leaks=split.leaks,
        why_split=why_this_split(config),
    )


def _made_with(config: Config, ready: Prepared) -> dict[str, Any]:
    """What the bits of a training depend on: another value of any of these makes another training."""
    around = environment(ready.device)
    facts = {name: around[name] for name in ("torch", "device", "threads", "cpu_capability")}
    return unfinished.measured(config) | facts | {"split_hash": ready.split.hash}


def _tell_again(folder: Path, tracker: Tracker) -> Journal:
    """The journal of a run; what stands in it already is told again, since the process may have died before."""
    journal = Journal(folder / HISTORY)
    for entry in journal.entries:
        tracker.metrics(numbers_of(entry), step=entry["epoch"], time_ms=entry["time_ms"])
    return journal


def _teller(journal: Journal, tracker: Tracker, also: Report | None) -> Report:
    """Each epoch's numbers go to the run's folder first, then to the tracker."""

    def tell(epoch: int, numbers: Mapping[str, float]) -> None:
        if (entry := journal.add(epoch, numbers)) is not None:
            tracker.metrics(numbers, step=epoch, time_ms=entry["time_ms"])
        if also is not None:
            also(epoch, numbers)

    return tell


def _measure(ready: Prepared, part: str, progress: Progress) -> Result:
    holdout, device = ready.parts[part], ready.device.torch
    return evaluate(
        ready.model, holdout, ready.protocol, device=device, progress=progress, what=part
    )


def _save_users(ready: Prepared, folder: Path, results: Mapping[str, Result]) -> None:
    """What significance and other programs need: each user's values, and the lists of the test."""
    users = {
        part: ready.parts[part].targets.user_ids.decode(result.users)
        for part, result in results.items()
    }
    save_per_user(folder, {part: (users[part], results[part].per_user) for part in results})
    save_lists(folder / LISTS, users["test"], results["test"].ranked, ready.interactions.item_ids)


def _record(outcome: Outcome, tracker: Tracker, folder: Path) -> None:
    numbers = dict(outcome.timings)
    for part, metrics in outcome.metrics.items():
        numbers |= {f"{part}_{name}": value for name, value in metrics.items()}
    path = folder / METRICS
    data = (json.dumps(outcome.to_json(), indent=2) + "\n").encode()
    if not path.exists() or path.read_bytes() != data:
        for name in (HISTORY, WEIGHTS, PER_USER, LISTS):
            to_disk(folder / name)
        write_whole(path, data)
    moment = (
        path.stat().st_mtime_ns // 1_000_000
    )  # the same when a process that died here is gone on with
    tracker.metrics(numbers, step=int(outcome.counts["epochs"]), time_ms=moment)
    for name in (SETTINGS, METRICS, HISTORY, WEIGHTS, PER_USER, LISTS):
        tracker.artifact(folder / name)


def _begun(run_dir: Path | None, config: Config, stack: ExitStack) -> Begun | None:
    """The run that is to go on, its folder kept for this process until the stack is left."""
    if run_dir is None:
        raise ConfigError("--resume=auto goes on in a folder, and none is named", "add --run-dir")
    if not run_dir.is_dir():
        return None
    with ExitStack() as holding:
        holding.enter_context(held(run_dir))
        begun = unfinished.find(run_dir)
        if begun is not None:
            begun.check_same(config)
            unfinished.sweep(run_dir)
            stack.push(holding.pop_all())
    return begun


def _refuse_used(run_dir: Path | None) -> None:
    if (
        run_dir is not None
        and run_dir.exists()
        and (not run_dir.is_dir() or any(run_dir.iterdir()))
    ):
        hint = "name a new one, or go on with the run in it: --resume=auto"
        raise ConfigError(f"--run-dir {run_dir} is not an empty folder", hint)


def _make_run_dir(run_dir: Path | None, config: Config, stack: ExitStack) -> Path:
    """A new folder, kept for this process; its name is ours, never made of what a user typed as a title."""
    if run_dir is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = f"{stamp}-{config.choices['model']}-{config.choices['data']}-{secrets.token_hex(2)}"
        run_dir = Path(config.tree["root"]) / name
    new = not run_dir.exists()
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {run_dir}: {error.strerror}", "name another with --run-dir"
        ) from error
    if new:
        stack.callback(_remove_if_empty, run_dir)
    stack.enter_context(held(run_dir))
    if unfinished.find(run_dir) is not None:
        raise ConfigError(f"another process has begun a run in {run_dir}", "name a new folder")
    return run_dir


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _title(config: Config) -> str:
    """`mf on ml-100k, model.rank=32`: what tells runs apart in a list."""
    groups = {*config.choices, "root"}
    said = [text for text in config.overrides if text.split("=")[0] not in groups]
    return ", ".join([f"{config.choices['model']} on {config.choices['data']}", *said])


def _tags(config: Config, ready: Prepared) -> dict[str, str]:
    return {
        "recsys.version": __version__,
        "recsys.config_hash": config.hash,
        "recsys.split_hash": ready.split.hash,
        "recsys.split": ready.split.name,
        "command": shlex.join(["recsys", "train", *config.overrides]),
        "description": ready.split.name
        + (f"; leaks: {ready.split.leaks}" if ready.split.leaks else ""),
        **{f"recsys.{name}": value for name, value in environment(ready.device).items()},
    }


def describe_data(config: Config, interactions: Interactions) -> dict[str, str]:
    """What is told of the data to the tracker: its name, digest, settings and size."""
    profile = {
        "events": len(interactions),
        "users": interactions.n_users,
        "items": interactions.n_items,
    }
    data = config.tree["data"]
    return {
        "name": config.choices["data"],
        "digest": interactions.digest()[:16],
        "source": str(data.get("source") or data.get("path") or config.choices["data"]),
        "profile": json.dumps(profile),
    }


def _timings(clock: Stopwatch, history: History) -> dict[str, float]:
    epoch = float(np.median(history.epoch_seconds))
    extra = {
        "epoch_seconds_median": epoch,
        "examples_per_second": history.examples / max(epoch, 1e-9),
    }
    if history.validation_seconds:
        extra["validation_seconds_median"] = float(np.median(history.validation_seconds))
    before = {"fit_seconds": clock.seconds["fit_seconds"] + history.earlier_seconds}
    return clock.seconds | before | extra


def _model_counts(model: nn.Module, history: History) -> dict[str, int]:
    return {
        "parameters": n_parameters(model),
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
    }

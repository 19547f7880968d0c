"""Data, split, model and trainer, built and checked before anything is trained or written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from recsys_cli import catalogue
from recsys_cli.config import Config, build
from recsys_cli.data.context import context_facts
from recsys_cli.data.filters import Filtered
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.side_by_side import SideBySideBatches, check_lanes
from recsys_cli.data.split import Holdout, Split
from recsys_cli.devices import Device, environment
from recsys_cli.errors import ConfigError, ModelError, ResourceError
from recsys_cli.evaluation.category_metrics import check_categories
from recsys_cli.evaluation.prediction import predictor
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.values_protocol import ValuesProtocol
from recsys_cli.footprint import Footprint, check_room, estimate
from recsys_cli.models.contract import SaysHow
from recsys_cli.progress import Progress
from recsys_cli.seeds import isolated
from recsys_cli.training.loop import ClosedFormTrainer, GradientTrainer

CLOCKLESS = {"context": "[]", "time_bias": "none"}  # settings with which a model reads no clock


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
class Draft:
    """All but the model; `make` builds it, for the sizes of the data set unless others are given."""

    interactions: Interactions
    split: Split
    make: Callable[..., Any]
    trainer: Any
    protocol: Any
    device: Device

    def footprint(self) -> Footprint | None:
        """What the rest of the run will need; None where the model tells nothing before it is built."""
        return estimate(self.make, train=self.split.train, trainer=self.trainer)


@dataclass(frozen=True)
class Prepared:
    """Data, split, model and trainer, built and checked; nothing is trained or written yet.

    `engine` is what will do the work, in words; `tested` whether the test part is measured, which a trial of a search
    leaves alone.
    """

    interactions: Interactions
    split: Split
    model: Any
    trainer: Any
    protocol: Any
    device: Device
    engine: str
    tested: bool = True

    @property
    def environment(self) -> dict[str, str]:
        """What a number depends on beside the settings: versions, hardware, and what does the work."""
        return environment(self.device) | {"engine": self.engine}

    @property
    def parts(self) -> dict[str, Holdout]:
        """What is measured: validation where the split has one, then the test unless it is left alone."""
        parts = {"valid": self.split.valid} | ({"test": self.split.test} if self.tested else {})
        return {name: part for name, part in parts.items() if len(part.users)}


def prepare(config: Config, *, progress: Progress, stopwatch: Stopwatch | None = None) -> Prepared:
    """Build everything that an experiment needs.

    Raises:
        RecsysError: Data, split or model cannot be had.
    """
    clock = stopwatch or Stopwatch()
    draft = sketch(config, progress=progress, stopwatch=clock)
    with draft.device.active():
        if not draft.device.is_accelerator and (needed := draft.footprint()) is not None:
            check_room(needed, model=config.choices["model"])
        return complete(draft, config, stopwatch=clock)


def model_facts(interactions: Interactions, split: Split) -> dict[str, Any]:
    """What a model is told of the data when it is built, beside its settings."""
    return {
        "n_users": split.n_users,
        "n_items": split.n_items,
        "context_facts": context_facts(interactions, split.train),
    }


def sketch(config: Config, *, progress: Progress, stopwatch: Stopwatch | None = None) -> Draft:
    """Build everything but the model, of which it is then known how large it will be.

    Raises:
        RecsysError: Data or split cannot be had.
    """
    clock = stopwatch or Stopwatch()
    tree = config.tree
    device: Device = build(tree["device"], key="device")
    protocol = build(tree["evaluation"], key="evaluation")
    if isinstance(protocol, RankingProtocol) and (said := protocol.in_words()):
        progress.note(said)
    with device.active():
        interactions, split = load_and_split(config, progress=progress, stopwatch=clock)
    trainer = build(tree["trainer"], key="trainer", seed=tree["seed"])
    make = partial(build, tree["model"], key="model", **model_facts(interactions, split))
    return Draft(interactions, split, make, trainer, protocol, device)


def complete(draft: Draft, config: Config, *, stopwatch: Stopwatch | None = None) -> Prepared:
    """Build the model of a draft, on its device and with the device's threads active.

    Raises:
        RecsysError: The model cannot be had, or does not go with the data, the split or the trainer.
    """
    clock = stopwatch or Stopwatch()
    split, trainer, protocol, device = draft.split, draft.trainer, draft.protocol, draft.device
    with clock("build"), isolated(config.tree["seed"], "init"), _room_for_model(device):
        model = draft.make().to(device.torch)
    _check_fits(model, split, protocol, config)
    _check_validation(trainer, split)
    _check_steps(trainer, model)
    ours = isinstance(trainer, ClosedFormTrainer | GradientTrainer)
    engine = trainer.engine_for(model, device) if ours else "a trainer of your own"
    return Prepared(draft.interactions, split, model, trainer, protocol, device, engine)


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


def why_this_split(config: Config) -> str:
    """The reason that the data set gives for its split, unless the user chose another."""
    chosen = any(text.lstrip("+").split("=")[0] == "split" for text in config.overrides)
    if chosen:
        return ""
    entry = catalogue.find("data", config.choices["data"], config.folders)
    return next((pick.reason for pick in catalogue.picks(entry.path) if pick.group == "split"), "")


def announce(ready: Prepared, config: Config, progress: Progress) -> None:
    """Say what is about to run, and what the split is worth."""
    split, counts, why = ready.split, ready.split.counts(), why_this_split(config)
    progress.note(
        f"{config.choices['data']}: {len(ready.interactions):,} events, {split.n_users:,} users, "
        f"{split.n_items:,} items; {config.choices['model']} on {ready.device.label}, {ready.engine}"
    )
    if isinstance(ready.model, SaysHow):
        progress.note(ready.model.in_words())
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


def _check_fits(model: Any, split: Split, protocol: Any, config: Config) -> None:
    if isinstance(protocol, ValuesProtocol):
        predictor(model)
    else:
        check_categories(split.train, protocol)
    needs = set(model.reads) & {"times", "now"}
    if needs and split.train.times is None:
        ways = [
            f"model.{key}={off}" for key, off in CLOCKLESS.items() if key in config.tree["model"]
        ]
        raise ModelError(
            f"model={config.choices['model']} reads the moments of events and this data has no times",
            f"name its time column, or set {ways[0]}" if ways else "choose another model",
        )


def _check_validation(trainer: Any, split: Split) -> None:
    if isinstance(trainer, GradientTrainer) and not len(split.valid.users):
        raise ConfigError(
            f"split {split.name} has no validation part, and this trainer stops by one",
            "give it one, such as split.valid_ratio=0.1",
        )


def _check_steps(trainer: Any, model: Any) -> None:
    """Before a run begins: the batches themselves are made when it has."""
    side_by_side = getattr(model, "batches", None) == SideBySideBatches.name
    if isinstance(trainer, GradientTrainer) and side_by_side:
        check_lanes(model.lanes, trainer.batch_size)


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

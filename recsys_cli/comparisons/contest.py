"""What `recsys compare` is going to do, checked before anything is read or written.

Each model is tuned by a search of its own, all with the same budget, for the best validation value. Simple models that
have nothing to tune stand beside them, so that nobody takes a badly tuned net for a bad idea.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from recsys_cli import catalogue, plain_yaml
from recsys_cli.config import Config, load, parse
from recsys_cli.errors import ConfigError, nearest
from recsys_cli.sweeps.limits import Limits, seconds
from recsys_cli.sweeps.plan import Plan, make_plan
from recsys_cli.sweeps.ready import with_ready
from recsys_cli.sweeps.space import SAME_IN_ALL
from recsys_cli.sweeps.space import read as read_space

YARDSTICKS = ("popularity", "recent_popularity", "ease")  # in every table
FOR_MANY_ITEMS = "item_knn"  # instead of the last, whose matrix grows with the square of the items
MOST_ITEMS = 10_000
TRIALS, SEEDS = 10, 5
FOLDER = "comparisons"
OF_ALL = (*SAME_IN_ALL, "filter", "device", "seed", "preset")  # the rest is for the tuned models


class Preset(BaseModel):
    """A comparison as a file: `comparison/NAME.yaml` in a configuration folder.

    Attributes:
        models: What is tuned and compared: models, or names of variants.
        variants: Name of a variant -> the settings that make it one, its model among them.
        yardsticks: Models or variants with nothing to tune that stand beside the usual ones.
        per_data: Data set -> variant -> settings in place of the variant's own, where the data has other columns.
        overrides: Settings that all have in common: data, split, filter.
        spaces: Model or variant -> what is searched instead of its model's ready space.
        reference: The one that the others are set against.
        against: Model or variant -> the one among the models that it is set against instead.
        trials: Of each search, at most; None = 10, or as many as the budget lets begin.
        budget: Training time of each search, such as 10m; empty = no limit.
        seeds: With how many seeds each best setting is trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Annotated[list[str], Field(min_length=1)]
    variants: dict[str, list[str]] = {}
    yardsticks: list[str] = []
    per_data: dict[str, dict[str, list[str]]] = {}
    overrides: list[str] = []
    spaces: dict[str, list[str]] = {}
    reference: str = ""
    against: dict[str, str] = {}
    trials: Annotated[int, Field(ge=1)] | None = None
    budget: str = ""
    seeds: Annotated[int, Field(ge=1)] = SEEDS

    def settings_of(self, name: str, data: str) -> list[str]:
        """What makes a model or variant what it is, on a data set; its model comes first."""
        own = self.variants.get(name, [f"model={name}"])
        instead = self.per_data.get(data, {}).get(name, [])
        keys = {text.split("=")[0] for text in instead}
        return [*(text for text in own if text.split("=")[0] not in keys), *instead]


@dataclass(frozen=True)
class Contest:
    """A comparison that has been checked and not begun.

    Attributes:
        name: That of its folder.
        settings: Those of the first model as its file has them: data, split and rules are the same for all.
        searches: Model -> its search, in the order of the table.
        yardsticks: Model or variant without a search -> what it is told; a model is as its file has it.
        reference: The model that the others are set against.
        against: Model -> the one that it is set against instead.
        metrics: Keys that are compared; the first is the one that is tuned for.
        seeds: With which each best setting is trained.
        overrides: Said to every model.
        folders: The user's own configuration folders.
    """

    name: str
    settings: Config
    searches: dict[str, Plan]
    yardsticks: dict[str, tuple[str, ...]]
    reference: str
    against: dict[str, str]
    metrics: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...]
    folders: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        """Where its table and the measured runs are."""
        return Path(self.settings.tree["root"]) / FOLDER / self.name

    def run_folder(self, model: str, seed: int) -> Path:
        """Where the run of a model with a seed is."""
        return self.folder / f"{model}-seed-{seed}"

    @property
    def definition(self) -> dict[str, Any]:
        """What must be the same for a comparison to be gone on with."""
        searched = {
            model: [
                plan.sampler,
                plan.total,
                plan.limits.budget,
                plan.settings.hash,
                *map(str, _typed(plan)),
            ]
            for model, plan in self.searches.items()
        }
        return {
            "searches": searched,
            "yardsticks": {name: list(said) for name, said in self.yardsticks.items()},
            "reference": self.reference,
            "metrics": list(self.metrics),
            "seeds": list(self.seeds),
            **({"against": self.against} if self.against else {}),
        }


def read_preset(name: str, config_dirs: Sequence[Path] = ()) -> Preset:
    """The comparison of this name.

    Raises:
        ConfigError: There is none, or its file is not as it should be.
    """
    path = catalogue.find(catalogue.COMPARISON, name, config_dirs).path
    return plain_yaml.load_as(path, Preset)


def make_contest(
    preset: Preset,
    overrides: Sequence[str] = (),
    *,
    reference: str | None = None,
    metrics: Sequence[str] = (),
    name: str | None = None,
    config_dirs: Sequence[Path] = (),
) -> Contest:
    """Check everything about a comparison that can be checked without reading data.

    Args:
        preset: Models, budget and what they have in common.
        overrides: Over those of the preset. Settings of a model or trainer are for the tuned models.
        reference: None = that of the preset, else the first model.
        metrics: Keys compared beside the one that is tuned for.
        name: Of a comparison to begin or to go on with; None = a new one.
        config_dirs: The user's own configuration folders.

    Raises:
        ConfigError: Naming the model, key or value and what to write instead.
    """
    models = list(preset.models)
    if repeated := [model for model in models if models.count(model) > 1]:
        raise ConfigError(f"{repeated[0]} is named twice", "name different models")
    against = reference or preset.reference or models[0]
    if against not in models:
        raise ConfigError(
            f"--reference {against} is not among the models", nearest(against, models)
        )
    named = {} if reference else _against(preset)
    said = _over(preset.overrides, overrides, config_dirs)
    common = _common(said, config_dirs)
    plain = load(common, config_dirs)
    seed, data = plain.tree["seed"], plain.choices["data"]
    name = (
        name or f"{'-'.join(models)[:60]}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    )
    searches = {}
    for model in models:
        own = preset.settings_of(model, data)
        told = [*own, *_without(said, own, config_dirs)]  # what makes a variant stays
        told = _searched(told, model, preset, config_dirs)
        searches[model] = _search(told, preset, f"{name}-{model}", config_dirs)
    first = searches[models[0]].settings
    yardsticks = {
        model: (*preset.settings_of(model, data), *common)
        for model in dict.fromkeys([*YARDSTICKS, *preset.yardsticks])
        if model not in models
    }
    others = [plan.settings for plan in searches.values()]
    others += [load(told, config_dirs) for told in yardsticks.values()]
    for other in others:
        _same_question(first, other)
    primary = str(first.tree["evaluation"]["primary"])
    return Contest(
        name=name,
        settings=first,
        searches=searches,
        yardsticks=yardsticks,
        reference=against,
        against=named,
        metrics=tuple(dict.fromkeys([primary, *metrics])),
        seeds=tuple(range(seed, seed + preset.seeds)),
        overrides=tuple(common),
        folders=tuple(config_dirs),
    )


def _against(preset: Preset) -> dict[str, str]:
    """Who is set against another than the reference, where both are there."""
    known = list(dict.fromkeys([*preset.models, *preset.variants]))
    for name in (*preset.against, *preset.against.values()):
        if name not in known:
            raise ConfigError(f"against: there is no {name}", nearest(name, known))
    return {
        name: other for name, other in preset.against.items() if {name, other} <= {*preset.models}
    }


def _searched(
    said: list[str], model: str, preset: Preset, config_dirs: Sequence[Path]
) -> list[str]:
    """What is said to a model, with what is searched: by the file, else its ready space."""
    space = preset.spaces.get(model)
    if space is not None:
        return [*said, *space]
    return with_ready(said, said[0].removeprefix("model="), config_dirs)


def _search(overrides: list[str], preset: Preset, name: str, config_dirs: Sequence[Path]) -> Plan:
    """A search with the budget of all; of a space with no more points than trials, all of them."""
    budget = seconds(preset.budget, "--budget") if preset.budget else None
    trials = preset.trials or (TRIALS if budget is None else None)
    size = read_space(overrides, config_dirs).size
    all_points = size is not None and trials is not None and size <= trials
    return make_plan(
        overrides,
        config_dirs=config_dirs,
        sampler="grid" if all_points else "tpe",
        trials=None if all_points else trials,
        limits=Limits(budget=budget),
        name=name,
    )


def _over(kept: Sequence[str], typed: Sequence[str], config_dirs: Sequence[Path]) -> list[str]:
    """Overrides of a file, but for those whose key was typed too, then what was typed."""
    return [*_without(kept, typed, config_dirs), *typed]


def _without(some: Sequence[str], others: Sequence[str], config_dirs: Sequence[Path]) -> list[str]:
    """Those of some overrides whose key is in none of the others."""
    keys = {override.key_or_group for override in parse(others, config_dirs)}
    pairs = zip(some, parse(some, config_dirs), strict=True)
    return [text for text, override in pairs if override.key_or_group not in keys]


def _common(overrides: Sequence[str], config_dirs: Sequence[Path]) -> list[str]:
    """Those overrides that a model without a search takes too."""
    parsed = parse(overrides, config_dirs)
    return [
        text
        for text, override in zip(overrides, parsed, strict=True)
        if override.key_or_group.split(".")[0] in OF_ALL
    ]


def _same_question(first: Config, other: Config) -> None:
    """Refuse models that bring another data set, split or rule of evaluation with them."""
    for key in (*SAME_IN_ALL, "filter"):
        if first.tree.get(key) != other.tree.get(key):
            models = [config.choices["model"] for config in (first, other)]
            raise ConfigError(
                f"{models[0]} and {models[1]} answer different questions: {key} is not the same",
                f"say it for all: {key}=NAME",
            )


def _typed(plan: Plan) -> list[str]:
    return [*plan.space.fixed, *(axis.typed for axis in plan.space.axes)]


def digest(definition: dict[str, Any]) -> str:
    """SHA-256 of a definition, by which a comparison is known again."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()

"""Which single setting makes a run fit that does not: found by estimating again, never by rule of thumb."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from recsys_cli.config import Config, build, load
from recsys_cli.errors import RecsysError
from recsys_cli.footprint import estimate
from recsys_cli.preparation import Draft, model_facts

# Numbers that are halved, first those that change least of what is learnt, and the least that is offered.
HALVED = {
    "trainer.batch_size": 64,
    "model.neighbours": 10,
    "model.n_negatives": 64,
    "model.rank": 4,
    "model.factors": 4,
    "model.dim": 8,
    "model.hidden": 8,
}
REPLACED = {
    "trainer.optimiser": ("adam", "rowwise_adagrad"),
    "model.softmax": ("full", "sampled"),
    "model.solver": ("cholesky", "cg"),
}
MOST_OFFERED = 2


@dataclass(frozen=True)
class Advice:
    """A setting that makes a run fit.

    Attributes:
        override: As it is typed.
        peak: Bytes that the run then needs on top of what its process holds.
    """

    override: str
    peak: int


def advise(draft: Draft, config: Config, *, room: int) -> list[Advice]:
    """Settings each of which alone makes the run fit into `room` bytes; the mildest first, some at most."""
    found: list[Advice] = []
    facts = model_facts(draft.interactions, draft.split)
    for tried in _candidates(config.tree):
        for override in tried:
            peak = _peak(draft, config, override, facts)
            if peak is not None and peak <= room:
                found.append(Advice(override, peak))
                break
        if len(found) == MOST_OFFERED:
            break
    return found


def _candidates(tree: dict[str, Any]) -> Iterator[list[str]]:
    """For each setting that there is, the overrides to be tried, the mildest first."""
    for key, (now, instead) in REPLACED.items():
        if _value(tree, key) in (now, "auto"):
            yield [f"{key}={instead}"]
    for key, least in HALVED.items():
        value, tried = _value(tree, key), []
        while isinstance(value, int) and value // 2 >= least:
            value //= 2
            tried.append(f"{key}={value}")
        yield tried


def _value(tree: dict[str, Any], key: str) -> Any:
    group, name = key.split(".")
    return tree[group].get(name)


def _peak(draft: Draft, config: Config, override: str, facts: dict[str, Any]) -> int | None:
    """What the run would need with this setting; None where that is no run."""
    key = override.split("=")[0]
    others = [text for text in config.overrides if text.lstrip("+").split("=")[0] != key]
    try:
        tree = load([*others, override], config.folders).tree
        trainer = build(tree["trainer"], key="trainer", seed=tree["seed"])
        make = partial(build, tree["model"], key="model", **facts)
        needed = estimate(make, train=draft.split.train, trainer=trainer)
    except RecsysError:  # settings that exclude each other
        return None
    return None if needed is None else needed.peak

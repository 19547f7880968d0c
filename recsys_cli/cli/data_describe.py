"""`recsys data describe`: a data set in numbers and as a picture, before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_cli.cli import data_facts, options, output
from recsys_cli.cli.completion import of_group
from recsys_cli.errors import DataError

if TYPE_CHECKING:
    from recsys_cli.config import Config
    from recsys_cli.data.split import Split
    from recsys_cli.progress import Progress


@dataclass(frozen=True)
class _Cut:
    """The split that a run would use, or why there is none."""

    split: Split | None
    why: str
    problem: str


def describe(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="The data set.",
            autocompletion=of_group("data"),
            show_default=False,
        ),
    ],
    overrides: options.Overrides = None,
    split: options.Split = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw popularity, activity over time and events a user into this file.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    config_dir: options.ConfigDir = None,
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """Count users, items and events; tell time span, sittings, popularity, and the split.

    Loaded and split as `recsys train` would; nothing is trained. For generated data it also tells
    the best that can be reached.

    Example: recsys data describe ml-100k --picture ml-100k.png
    """
    from recsys_cli import config, preparation
    from recsys_cli.data.describe import describe as count
    from recsys_cli.tracking.console import Console

    options.allow(allow_package)
    settings = config.load(options.collect(overrides, data=data, split=split), config_dir or ())
    if picture is not None:
        from recsys_cli.reports import data_picture

        data_picture.check_path(picture)
    console = Console(bars=progress)
    filtered = preparation.load(settings, progress=console)
    counted, cut = count(filtered.interactions), _cut(settings, filtered)
    if picture is not None:
        data_picture.draw(filtered.interactions, counted, cut.split, data, picture)
    if not as_json:
        data_facts.show(data, counted, picture)
        data_facts.show_split(cut.split, cut.why, cut.problem)
    best, problem = _oracle(settings, cut.split, console)
    if as_json:
        told = counted.to_json() | {
            "data": data,
            "settings": settings.tree["data"],
            "split": _plain(cut),
            "best_reachable": best,
            "best_reachable_problem": problem,
            "picture": None if picture is None else str(picture),
        }
        output.write(json.dumps(told))
    else:
        data_facts.show_ladder(best, problem)


def _cut(settings: Config, filtered: Any) -> _Cut:
    """The split, where the data allows it; one that the user named must be possible."""
    from recsys_cli import preparation

    try:
        return _Cut(preparation.cut(settings, filtered), preparation.why_this_split(settings), "")
    except DataError as error:
        if _names_a_split(settings.overrides):
            raise
        return _Cut(None, "", error.line)


def _names_a_split(overrides: Sequence[str]) -> bool:
    keys = [text.lstrip("+~").partition("=")[0] for text in overrides]
    return any(key == "split" or key.startswith("split.") for key in keys)


def _plain(cut: _Cut) -> dict[str, Any]:
    if cut.split is None:
        return {"problem": cut.problem}
    return {
        "name": cut.split.name,
        "hash": cut.split.hash,
        "why": cut.why,
        "leaks": cut.split.leaks,
        "counts": cut.split.counts(),
    }


def _oracle(
    settings: Config, split: Split | None, progress: Progress
) -> tuple[dict[str, dict[str, float]], str]:
    """The oracle's metrics on the test part of generated data, or why there are none; empty for other data."""
    from recsys_cli import config
    from recsys_cli.data.demo import demo, make_world
    from recsys_cli.evaluation.oracle import oracle_ladder
    from recsys_cli.evaluation.protocol import RankingProtocol

    made_by, arguments = config.bind(settings.tree["data"], key="data")
    if made_by is not demo or split is None:
        return {}, ""
    if settings.choices.get("filter", "none") != "none":
        return {}, "the oracle answers for the whole data; leave the filter out"
    protocol = RankingProtocol(
        cutoffs=[10],
        metrics=["ndcg", "recall"],
        primary="ndcg_at_10",
        exclude_seen=True,
        dialect="recsys",
    )
    try:
        best = oracle_ladder(make_world(**arguments), split.test, protocol, progress)
    except DataError as error:
        return {}, error.line
    return {str(knows): metrics for knows, metrics in best.items()}, ""

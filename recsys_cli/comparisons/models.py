"""The talk's experiment: every model tuned by a search of its own, then measured, and the differences judged.

All searches have the same budget and see validation only. Each best setting is trained with several seeds; each user's
value is the mean over those, and users are what intervals and tests are over. A comparison that was cut off goes on:
its searches are studies, its measured runs lie in its folder.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recsys_cli import __version__, config, experiment, preparation
from recsys_cli.comparisons import runs
from recsys_cli.comparisons.contest import (
    FOR_MANY_ITEMS,
    MOST_ITEMS,
    YARDSTICKS,
    Contest,
    digest,
)
from recsys_cli.comparisons.runs import Entry
from recsys_cli.comparisons.standings import Comparison, Standing, marked
from recsys_cli.durable import write_whole
from recsys_cli.errors import ConfigError, DivergedError, ModelError
from recsys_cli.outcome import Outcome
from recsys_cli.progress import NotesOnce, Progress
from recsys_cli.redact import redact
from recsys_cli.sweeps import sweep
from recsys_cli.sweeps.results import Result
from recsys_cli.tracking.contract import Status, Tracker
from recsys_cli.tracking.run_folder import HISTORY, PerUser, open_run
from recsys_cli.tracking.under_way import epochs, held

DEFINITION, TABLE, PAGE = "definition.json", "comparison.json", "comparison.html"
Draw = Callable[[Comparison], str]
DrawSearch = Callable[[Result], str]


@dataclass(frozen=True)
class Measured:
    """A model with its runs, a seed each.

    Attributes:
        model: Its name.
        overrides: Its setting, without a seed.
        outcomes: Of the runs.
        search: What found the setting; None for a model that was not tuned.
    """

    model: str
    overrides: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    search: Result | None

    def averaged(self) -> Entry:
        """The value of each test user, the mean over seeds."""
        folders = [
            open_run(str(outcome.run_dir), outcome.run_dir.parent) for outcome in self.outcomes
        ]
        parts = [entry.per_user for entry in runs.entries(folders)]
        values = {
            key: np.mean([part.values[key] for part in parts], axis=0) for key in parts[0].values
        }
        return Entry(self.model, PerUser(parts[0].users, values))

    def standing(self, metric: str, seed: int, mark: str) -> Standing:
        """Its line of the table."""
        first, search = self.outcomes[0], self.search
        valid = None if search is None else search.best.value
        trials = [] if search is None else sorted(search.trials, key=lambda row: row.number)
        command = ["recsys", "train", *self.overrides, f"seed={seed}"]
        return Standing(
            model=self.model,
            kind="yardstick" if search is None else "tuned",
            seed_values=tuple(each.metrics["test"][metric] for each in self.outcomes),
            valid=first.metrics["valid"][metric] if valid is None else valid,
            trials=len(trials),
            search_seconds=sum(row.seconds for row in trials),
            train_seconds=float(np.median([each.timings["fit_seconds"] for each in self.outcomes])),
            parameters=first.counts["parameters"],
            command=redact(shlex.join(command)),
            run_dirs=tuple(str(each.run_dir) for each in self.outcomes),
            mark=mark,
            setting={} if search is None else search.best.params,
            trial_values=tuple(row.value for row in trials),
            search_page="" if search is None else _page_of(search),
            curve=_curve(first.run_dir, f"valid_{metric}"),
        )


def _page_of(search: Result) -> str:
    path = Path(search.study_dir) / sweep.PAGE
    return str(path) if path.exists() else ""


def _curve(folder: Path, key: str) -> tuple[tuple[int, float], ...]:
    """Epoch and value, as the run's journal has them."""
    entries = epochs(folder / HISTORY)
    return tuple((entry["epoch"], entry[key]) for entry in entries if key in entry)


def compare(
    contest: Contest,
    *,
    progress: Progress,
    draw: Draw | None = None,
    draw_search: DrawSearch | None = None,
) -> Comparison:
    """Tune, measure and judge; what was finished before is not done again.

    Args:
        contest: What is compared.
        progress: Shows how it goes on.
        draw: Makes the page that is kept with the table; None = there is none.
        draw_search: Makes the page of each model's search.

    Raises:
        ConfigError: The folder holds another comparison, or another process works in it.
        DivergedError: All trials of the reference diverge.
        RecsysError: What stops a run.
    """
    progress = NotesOnce(progress)  # every model reads the same data
    yardsticks, left_out = _yardsticks(contest, progress)
    if not (contest.folder / DEFINITION).exists():
        _check_first(contest, progress)
    with _held(contest):
        progress.note(
            f"compare {contest.name}: {len(contest.searches)} searches, then {len(contest.seeds)} seeds each; "
            f"--name {contest.name} goes on with it after an interruption"
        )
        return _run(contest, yardsticks, left_out, progress, draw, draw_search)


def _yardsticks(
    contest: Contest, progress: Progress
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The models beside the tuned ones with what they are told, and why some are not there."""
    told, left_out = dict(contest.yardsticks), {}
    heavy = YARDSTICKS[-1]
    if heavy in told:
        split = preparation.load_and_split(contest.settings, progress=progress)[1]
        if split.n_items > MOST_ITEMS:
            del told[heavy]
            told[FOR_MANY_ITEMS] = (f"model={FOR_MANY_ITEMS}", *contest.overrides)
            left_out[heavy] = f"{FOR_MANY_ITEMS} stands for it among {split.n_items:,} items"
    for name, said in list(told.items()):
        try:
            preparation.prepare(config.load(said, contest.folders), progress=progress)
        except ModelError as error:
            del told[name]
            left_out[name] = error.line
    for name, why in left_out.items():
        progress.note(f"{name} is not in the table: {why}")
    return told, left_out


def _check_first(contest: Contest, progress: Progress) -> None:
    """Refuse what cannot be had while nothing is written yet."""
    for plan in contest.searches.values():
        ready = preparation.prepare(plan.settings, progress=progress)
        if "valid" not in ready.parts:
            raise ConfigError(
                f"split {ready.split.name} has no validation part, and models are tuned by one",
                "give it one, such as split.valid_ratio=0.1",
            )


@contextmanager
def _held(contest: Contest) -> Iterator[None]:
    """Make the folder, keep other processes out of it, and see that it is of this comparison."""
    folder, path = contest.folder, contest.folder / DEFINITION
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {folder}: {error.strerror}", "name another: root=DIR"
        ) from error
    with held(folder):
        known = digest(contest.definition)
        if not path.exists():
            told = {"sha256": known} | contest.definition
            write_whole(path, (json.dumps(told, indent=2) + "\n").encode())
        elif json.loads(path.read_text(encoding="utf-8")).get("sha256") != known:
            raise ConfigError(
                f"--name {contest.name} was begun with other models, settings or budgets, see {path}",
                "repeat its command, or give a new name",
            )
        yield


def _run(
    contest: Contest,
    yardsticks: Mapping[str, Sequence[str]],
    left_out: dict[str, str],
    progress: Progress,
    draw: Draw | None,
    draw_search: DrawSearch | None,
) -> Comparison:
    tracker: Tracker = config.build(contest.settings.tree["tracking"], key="tracking")
    run_id = tracker.start(
        name=f"compare {contest.name}",
        params=_params(contest),
        tags={"recsys.compare": contest.name, "recsys.version": __version__},
        folder=contest.folder,
        warn=progress.note,
    )
    status: Status = "FAILED"
    try:
        found = _searched(contest, left_out, progress, draw_search)
        entrants = [
            _measured(contest, model, search.best.overrides, search, run_id, progress)
            for model, search in found.items()
        ]
        entrants += [
            _measured(contest, model, said, None, run_id, progress)
            for model, said in yardsticks.items()
        ]
        comparison = replace(
            _judged(contest, entrants, left_out),
            run_id=run_id,
            logged_at=tracker.location,
            how_to_open=tracker.how_to_open,
        )
        _record(contest, comparison, tracker, draw)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    return replace(comparison, logged_at=tracker.location)


def _searched(
    contest: Contest,
    left_out: dict[str, str],
    progress: Progress,
    draw_search: DrawSearch | None,
) -> dict[str, Result]:
    """Each model's search; a model whose trials all diverge is left out, and told.

    Raises:
        DivergedError: It is the reference.
    """
    found = {}
    for model, plan in contest.searches.items():
        try:
            found[model] = sweep.run(plan, progress=progress, draw=draw_search)
        except DivergedError as error:
            if model == contest.reference:
                raise
            left_out[model] = error.line
            progress.note(f"{model} is not in the table: {error.line}")
    return found


def _measured(
    contest: Contest,
    model: str,
    overrides: Sequence[str],
    search: Result | None,
    parent_id: str,
    progress: Progress,
) -> Measured:
    """A training with each seed, and its test, read once; a run that is finished is not run again."""
    seeds = contest.seeds if search is not None else contest.seeds[:1]
    setting = tuple(text for text in overrides if not text.startswith("seed="))
    outcomes = []
    with progress.bar(f"measure {model}", len(seeds), "runs") as bar:
        for seed in seeds:
            outcomes.append(
                experiment.run(
                    config.load([*setting, f"seed={seed}"], contest.folders),
                    run_dir=contest.run_folder(model, seed),
                    progress=progress,
                    parent_id=parent_id or None,
                    resume=True,
                )
            )
            bar.advance()
    return Measured(model, setting, tuple(outcomes), search)


def _judged(
    contest: Contest, entrants: Sequence[Measured], left_out: Mapping[str, str]
) -> Comparison:
    """The table, and what its differences are worth."""
    names = [each.model for each in entrants]
    rows = runs.compare(
        [each.averaged() for each in entrants],
        contest.metrics,
        reference=names.index(contest.reference),
        against={model: other for model, other in contest.against.items() if other in names},
    )
    metric, first = contest.metrics[0], entrants[0].outcomes[0]
    means = {row.name: row.mean for row in rows if row.metric == metric}
    bars = {each.model: means[each.model] for each in entrants if each.search is None}
    better = config.build(contest.settings.tree["evaluation"], key="evaluation").better
    higher = better == "higher"
    standings = [
        each.standing(
            metric,
            contest.seeds[0],
            "" if each.search is None else marked(means[each.model], bars, higher=higher),
        )
        for each in sorted(entrants, key=lambda each: means[each.model], reverse=higher)
    ]
    return Comparison(
        name=contest.name,
        folder=str(contest.folder),
        split={"name": first.split, "hash": first.split_hash, "leaks": first.leaks},
        reference=contest.reference,
        standings=standings,
        rows=rows,
        left_out=left_out,
        environment=first.device,
        higher=higher,
    )


def _params(contest: Contest) -> dict[str, Any]:
    """Settings of the comparison as a whole; its runs have theirs in full."""
    return {
        "compare.models": ",".join(contest.searches),
        "compare.yardsticks": ",".join(contest.yardsticks),
        "compare.reference": contest.reference,
        "compare.trials": ",".join(str(plan.total) for plan in contest.searches.values()),
        "compare.seeds": ",".join(map(str, contest.seeds)),
        "compare.metric": contest.metrics[0],
        **{
            f"choice.{group}": name
            for group, name in contest.settings.choices.items()
            if group != "model"
        },
    }


def _record(contest: Contest, found: Comparison, tracker: Tracker, draw: Draw | None) -> None:
    """Keep the table and the page in the comparison's folder and with its run."""
    table = contest.folder / TABLE
    write_whole(table, (json.dumps(found.to_json(), indent=2) + "\n").encode())
    tracker.metrics({f"{row.name}_{row.metric}": row.mean for row in found.rows})
    tracker.artifact(table)
    if draw is not None:
        page = contest.folder / PAGE
        write_whole(page, draw(found).encode())
        tracker.artifact(page)

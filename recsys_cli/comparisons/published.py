"""Published tables, run again: the same data, split and settings, and how far our numbers are from the printed ones.

Every row is an ordinary experiment, recorded as such. Runs that are finished already can be held to the table too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recsys_cli import __version__, catalogue
from recsys_cli.comparisons import published_record
from recsys_cli.comparisons.published_checks import Ran, Reproduction, found_by
from recsys_cli.comparisons.published_record import difference
from recsys_cli.comparisons.published_table import Row, Table, read
from recsys_cli.config import Config, build, load
from recsys_cli.errors import ConfigError, nearest
from recsys_cli.experiment import run
from recsys_cli.outcome import Outcome
from recsys_cli.progress import NotesOnce, Progress
from recsys_cli.runs import read_settings
from recsys_cli.tracking.contract import Status, Tracker, keep_texts
from recsys_cli.tracking.run_folder import open_run

RESULT = "reproduce.json"


def reproduce(
    name: str,
    *,
    progress: Progress,
    only: Sequence[str] = (),
    source: Path | None = None,
    record: Path | None = None,
    overrides: Sequence[str] = (),
    config_dirs: Sequence[Path] = (),
) -> Reproduction:
    """Run the rows of a table and compare.

    Args:
        name: Of the table.
        progress: Shows how it goes on.
        only: Models whose rows are run; empty = all.
        source: A folder that holds the data set in a folder of its name; None = as the data set finds it.
        record: A file that keeps what the rows came to; None = none.
        overrides: For every run, such as `tracking=none`.
        config_dirs: The user's own configuration folders.

    Raises:
        ConfigError: No such table or row, a setting that is wrong, or one that no record of the table may have.
        RecsysError: What stops an experiment.
    """
    table = read(name, config_dirs)
    rows = _chosen(table, only, name)
    shared = [*overrides]
    if source is not None:
        shared.append(f"data.source={_quoted(source / (table.folder or table.data))}")
    # All rows are composed and checked before the first is run.
    runs = [(row, _runs(table, row, shared, config_dirs)) for row in rows]
    if record is not None:
        _expect_record(record, name, table, runs, config_dirs)
    tracker: Tracker = build(runs[0][1][0].tree["tracking"], key="tracking")
    run_id = tracker.start(
        name=f"reproduce {name}",
        params={"table": name, "models": ",".join(row.model for row in rows)},
        tags={
            "recsys.version": __version__,
            "recsys.published": name,
            "recsys.overrides": " ".join([f"data={table.data}", *table.overrides, *shared]),
        },
        warn=progress.note,
    )
    status: Status = "FAILED"
    try:
        ran = _run(name, runs, run_id, progress)
        entry = catalogue.find(catalogue.PUBLISHED, name, config_dirs)
        found = replace(
            found_by(entry, table, ran),
            run_id=run_id,
            logged_at=tracker.location,
            how_to_open=tracker.how_to_open,
        )
        _record(found, tracker)
        if record is not None:
            published_record.keep(record, name, found.rows)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    return replace(found, logged_at=tracker.location)


def compare_finished(
    name: str,
    named: Sequence[str],
    *,
    record: Path | None = None,
    overrides: Sequence[str] = (),
    config_dirs: Sequence[Path] = (),
) -> Reproduction:
    """Hold runs that are finished to a table, without training.

    Args:
        name: Of the table.
        named: The runs: folders, or their names or ids in the folder of runs.
        record: A file that keeps what the rows came to; None = none.
        overrides: What the runs were told beside the table's settings; `root=DIR` says where they lie.
        config_dirs: The user's own configuration folders.

    Raises:
        ConfigError: No such table, or a run that is none of its rows.
        DataError: There is no such run, or it is not finished.
        CheckpointError: It was changed.
    """
    table = read(name, config_dirs)
    rows = [(row, _runs(table, row, overrides, config_dirs)) for row in table.rows]
    if record is not None:
        _expect_record(record, name, table, rows, config_dirs)
    finished = {}
    for each in named:
        folder = open_run(each, Path(rows[0][1][0].tree["root"]))
        config = read_settings(folder)
        finished[each] = (config, Outcome.from_json(folder.recorded, folder.path))
    ran = [taken for row, wanted in rows if (taken := _taken(row, wanted, finished))]
    if finished:
        each, (config, _) = next(iter(finished.items()))
        raise ConfigError(f"--from {each}: {_stranger(name, config, rows)}", "name another run")
    entry = catalogue.find(catalogue.PUBLISHED, name, config_dirs)
    found = found_by(entry, table, ran)
    if record is not None:
        published_record.keep(record, name, found.rows)
    return found


def _taken(
    row: Row, wanted: Sequence[Config], finished: dict[str, tuple[Config, Outcome]]
) -> Ran | None:
    """The runs of a row, taken out of those that are there; None where there is none of it."""
    taken = []
    for config in wanted:
        fitting = [name for name, (here, _) in finished.items() if not difference(here, config)]
        if fitting:
            taken.append(finished.pop(fitting[0]))
    if taken and len(taken) < len(wanted):
        raise ConfigError(
            f"{row.model} is the mean of {len(wanted)} runs and {len(taken)} of them are named",
            "name the others too, each with --from",
        )
    return (row, [each[0] for each in taken], [each[1] for each in taken]) if taken else None


def _stranger(name: str, config: Config, rows: Sequence[tuple[Row, list[Config]]]) -> str:
    """Why a run is none of a table's."""
    model = config.choices["model"]
    for row, wanted in rows:
        if row.model == model:
            other = difference(config, wanted[0]) or "it is there already"
            return f"is no run of {model} in {name}: {other}"
    return f"the table {name} has no row for {model}"


def _expect_record(
    path: Path,
    name: str,
    table: Table,
    runs: Sequence[tuple[Row, list[Config]]],
    config_dirs: Sequence[Path],
) -> None:
    """Refuse to keep what other settings than the table's own would give, or where it cannot be kept."""
    published_record.expect_place(path, name)
    for row, configs in runs:
        for config, own in zip(configs, _runs(table, row, [], config_dirs), strict=True):
            if other := difference(config, own):
                raise ConfigError(
                    f"--record keeps what the table's own settings give, and {row.model} has {other}",
                    "leave one of them out",
                )


def _chosen(table: Table, only: Sequence[str], name: str) -> list[Row]:
    known = [row.model for row in table.rows]
    for model in only:
        if model not in known:
            raise ConfigError(
                f"--only {model}: the table {name} has no such row", nearest(model, known)
            )
    return [row for row in table.rows if not only or row.model in only]


def _runs(
    table: Table, row: Row, overrides: Sequence[str], config_dirs: Sequence[Path]
) -> list[Config]:
    """The settings of each run of a row, with these of the user's."""
    own = [f"model={row.model}", f"data={table.data}", *table.overrides, *overrides, *row.overrides]
    return [load([*own, *repeat], config_dirs) for repeat in table.repeats or [[]]]


def _run(
    name: str, runs: Sequence[tuple[Row, list[Config]]], parent_id: str, progress: Progress
) -> list[Ran]:
    inside = NotesOnce(progress)
    total = sum(len(configs) for _, configs in runs)
    ran = []
    with progress.bar(f"reproduce {name}", total, "runs") as bar:
        for row, configs in runs:
            outcomes = []
            for config in configs:
                outcomes.append(
                    run(config, run_dir=None, progress=inside, parent_id=parent_id or None)
                )
                bar.advance()
            ran.append((row, configs, outcomes))
    return ran


def _record(found: Reproduction, tracker: Tracker) -> None:
    numbers = {f"{check.model}_{check.metric}": check.ours for check in found.checks}
    passed = sum(check.passed for check in found.checks)
    tracker.metrics(numbers | {"numbers": len(found.checks), "numbers_reached": passed})
    keep_texts(tracker, {RESULT: json.dumps(found.to_json(), indent=2) + "\n"})


def _quoted(path: Path) -> str:
    """A path as a value in Hydra's grammar."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"

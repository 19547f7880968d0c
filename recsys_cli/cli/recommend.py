"""`recsys recommend`: what a finished run would show to one person now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys_cli.cli import options, output
from recsys_cli.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys_cli.data.split import Holdout
    from recsys_cli.preparation import Prepared
    from recsys_cli.tracking.run_folder import RunFolder

LONGEST = 1000


def recommend(
    run: options.Run,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="A user of the data, with all that they did.", show_default=False
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="ID,ID,...",
            help="Items of somebody who is not in the data, oldest first.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", metavar="N", help=f"Length of the list, 1 to {LONGEST}.")
    ] = 10,
    device: options.Device = None,
    root: options.Root = Path("runs"),
    allow_package: options.AllowPackage = None,
    as_json: options.Json = False,
    progress: options.Bars = None,
) -> None:
    """List the unseen items that a run's model puts first for one person.

    Example: recsys recommend runs/A --user 196 -k 5
    """
    if (user is None) == (history is None):
        raise ConfigError("say who it is for", "give one of --user ID and --history ID,ID,...")
    if not 1 <= k <= LONGEST:
        raise ConfigError(f"-k {k}: a list has 1 to {LONGEST} items", "such as -k 10")
    options.allow(allow_package)
    from recsys_cli import runs
    from recsys_cli.data.titles import titles
    from recsys_cli.evaluation.next_items import next_items
    from recsys_cli.tracking.console import Console
    from recsys_cli.tracking.run_folder import open_run

    folder, console = open_run(run, root), Console(bars=progress)
    config = runs.read_settings(folder, device=device)
    ready = runs.reopen(config, folder, progress=console)
    if k > ready.split.n_items:
        raise ConfigError(
            f"-k {k} is more than the {ready.split.n_items:,} items of the catalogue",
            "ask for fewer",
        )
    question = _question(ready, user, history)
    with ready.device.active():
        items, scores = next_items(ready.model, question, k, device=ready.device.torch)
    item_ids = ready.split.train.item_ids.decode(items).tolist()
    called = titles(config.choices["data"], config.tree["data"].get("source"), console)
    listed = [
        {"rank": rank, "item": item, "score": score, "title": called.get(str(item), "")}
        for rank, (item, score) in enumerate(zip(item_ids, scores.tolist(), strict=True), 1)
    ]
    _show(folder, listed, _notes(question, len(items), k), as_json)


def _show(
    folder: RunFolder, listed: Sequence[Mapping[str, Any]], notes: Sequence[str], as_json: bool
) -> None:
    if as_json:
        output.write(json.dumps({"run_dir": str(folder.path), "items": listed, "notes": notes}))
        return
    columns = ["rank", "item", "score", *(["title"] if any(row["title"] for row in listed) else [])]
    shown = [{**row, "score": f"{row['score']:.6g}"} for row in listed]
    output.table(columns, [[str(row[name]) for name in columns] for row in shown])
    output.facts([("note", note) for note in notes])


def _question(ready: Prepared, user: str | None, history: str | None) -> Holdout:
    from recsys_cli.data.next_question import of_history, of_user

    if user is not None:
        return of_user(user, ready.interactions, ready.split.train)
    if "items" not in ready.model.reads:
        raise ModelError(
            f"{type(ready.model).__name__} reads no history: it knows people by their id alone",
            "give --user, or a run of a model that reads items, such as ease or seq",
        )
    ids = [text.strip() for text in (history or "").split(",")]
    return of_history([text for text in ids if text], ready.interactions, ready.split.train)


def _notes(question: Holdout, n_items: int, k: int) -> list[str]:
    user = question.users[0]
    offsets: Any = question.history.offsets
    notes = [
        f"{int(offsets[user + 1] - offsets[user]):,} events are known and their items left out"
    ]
    if len(question.warm_users) > 1 and not question.warm_users[user]:
        notes.append("training has no event of this user")
    if not n_items:
        notes.append("the model gives all unseen items the same score: there is nothing to rank")
    elif n_items < k:
        notes.append(f"only {n_items:,} items are unseen")
    return notes

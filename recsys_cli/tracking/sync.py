"""Stores are told what they have not been told: of runs that ended while theirs was away, and of those that died.

It may be done as often as one likes: what a store has, it keeps once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from recsys_cli.errors import ConfigError, DataError, RecsysError
from recsys_cli.progress import Progress
from recsys_cli.redact import HIDDEN
from recsys_cli.tracking.delivery import Delivery, close_dead
from recsys_cli.tracking.description import reason
from recsys_cli.tracking.events import EVENTS, Events, InUseError
from recsys_cli.tracking.opening import open_store
from recsys_cli.tracking.process import HOST, process_tags
from recsys_cli.tracking.store import AwayError, Store, locate

State = Literal["delivered", "pending", "under way", "elsewhere", "damaged"]


@dataclass(frozen=True)
class Told:
    """What became of one run.

    Attributes:
        run: Its folder.
        state: `delivered`: its store has all of it. `pending`: not yet. `under way`: in a process of this machine,
            which does the telling. `elsewhere`: begun on another machine, and not known to be over. `damaged`: its
            events are.
        run_id: Its id in the store, or its key where it has none yet.
        why: What stands in the way; empty where nothing does.
    """

    run: str
    state: State
    run_id: str = ""
    why: str = ""


@dataclass(frozen=True)
class Synced:
    """What became of all of them.

    Attributes:
        runs: Those that were named, or that had something to tell.
        closed: The ids of the running runs in the stores whose process has died: they are killed now.
    """

    runs: list[Told] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def sync(named: Sequence[str], *, root: Path, uri: str | None, progress: Progress) -> Synced:
    """Tell the stores of runs, parents before their parts.

    Args:
        named: Folders, or their names in `root`, with all that is in them; empty = those in `root` that are pending.
        root: The folder of runs.
        uri: Tracking URI to use instead of the ones that the runs were begun with.
        progress: Shows how it goes on.

    Raises:
        ConfigError: A name is that of no tracked run.
    """
    folders = [folder for name in named for folder in _tracked(name, root)] or _below(root)
    found = Synced()
    with _opened(folders, found) as events:
        telling = [each for each in events if named or not each.delivered]
        stores = _Stores(root, uri)
        if telling:
            with progress.bar("sync", len(telling), "runs") as bar:
                for each in telling:
                    found.runs.append(_tell(each, stores))
                    bar.advance()
        places = dict.fromkeys(map(stores.place, events))
        for store, experiment in places | dict.fromkeys(_own(root)):
            found.closed.extend(stores.close_dead(store, experiment, progress))
    return found


class _Stores:
    """The stores of the runs, each asked again only as long as it answers."""

    def __init__(self, root: Path, uri: str | None) -> None:
        self._root = root
        self._uri = uri
        self.failures: dict[str, str] = {}

    def place(self, events: Events) -> tuple[Store, str]:
        """The store and the experiment that a run goes to."""
        last = next(entry for entry in reversed(events.entries) if "root" in entry)
        # The folder of runs may have been moved since.
        root = last["root"] if Path(last["root"]).is_dir() else str(self._root)
        return locate(self._uri or last["uri"], root), events.start["experiment"]

    def tell(self, events: Events, store: Store) -> str:
        """Tell all of a run; why that failed, or nothing."""
        if f"{HIDDEN}@" in store.uri:
            return (
                f"{store.uri}: its password is not kept with the run; give the whole URI with --uri"
            )
        if store.uri not in self.failures:
            try:
                Delivery(events, store).advance()
            except Exception as error:  # whatever MLflow and what it stands on raise
                if isinstance(error, RecsysError) and not isinstance(error, AwayError):
                    return reason(error)
                self.failures[store.uri] = f"cannot write to {store.shown}: {reason(error)}"
        return self.failures.get(store.uri, "")

    def close_dead(self, store: Store, experiment: str | None, progress: Progress) -> list[str]:
        """Close the runs of dead processes in an experiment, or in all; their ids."""
        if store.uri in self.failures or f"{HIDDEN}@" in store.uri:
            return []
        try:
            client = open_store(store)
            if experiment is None:
                known = list(client.search_experiments())
            else:
                known = list(filter(None, [client.get_experiment_by_name(experiment)]))
            return [run for each in known for run in close_dead(client, each.experiment_id)]
        except Exception as error:  # whatever MLflow and what it stands on raise
            progress.note(f"dead runs in {store.shown} cannot be looked for: {reason(error)}")
            return []


def _own(root: Path) -> list[tuple[Store, None]]:
    """The database of the folder of runs, where there is one: runs in it may have no folder any more."""
    store = locate(None, str(root))
    return [(store, None)] if store.database is not None and store.database.exists() else []


def _tell(events: Events, stores: _Stores) -> Told:
    run = str(events.folder)
    if not events.ended:
        host = _host(events)
        if host != process_tags()[HOST]:
            why = f"it was begun on {host}, where it may be under way"
            return Told(run, "elsewhere", events.run_id or events.start["key"], why)
        # Nobody holds its file here, so its process has died, at some moment after the last event.
        events.add("finish", time_ms=events.entries[-1]["time_ms"], status="KILLED")
    why = stores.tell(events, stores.place(events)[0])
    run_id = events.run_id or events.start["key"]
    return Told(run, "pending" if why else "delivered", run_id, why)


def _host(events: Events) -> str:
    last = next(e for e in reversed(events.entries) if e["kind"] in ("start", "resume"))
    return str((last["tags"] if last["kind"] == "start" else last["process"]).get(HOST))


@contextmanager
def _opened(folders: Sequence[Path], found: Synced) -> Iterator[list[Events]]:
    """The events of runs that are not under way, in the order of their beginnings; of the others it is noted why."""
    opened: list[Events] = []
    try:
        for folder in folders:
            try:
                events = Events(folder)
            except InUseError:
                found.runs.append(Told(str(folder), "under way"))
            except DataError as error:
                found.runs.append(Told(str(folder), "damaged", why=error.line))
            else:
                opened.append(events)
        begun = [events for events in opened if events.begun]
        yield sorted(begun, key=lambda events: int(events.start["time_ms"]))
    finally:
        for events in opened:
            events.close()


def _tracked(name: str, root: Path) -> list[Path]:
    """The folders with events in what is named."""
    for folder in (Path(name), root / name):
        if name and folder.is_dir() and (found := _below(folder)):
            return found
    raise ConfigError(
        f"{name!r} is no tracked run: there is no {EVENTS} in it",
        f"name the folder of a run, or none for all pending ones in {root}",
    )


def _below(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(EVENTS))

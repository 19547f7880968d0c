"""How much a run will write, and how much of the cache a plan made itself."""

from __future__ import annotations

import math
from pathlib import Path

from recsys_cli.data.cache import cache_root
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.footprint import Footprint
from recsys_cli.preparation import Draft
from recsys_cli.training.checkpoint import KEPT

RECORD_BYTES = 100_000  # settings, metrics, journal and events
DATABASE_BYTES = 1_200_000  # MLflow's, where it is new
BYTES_PER_VALUE = 0.5  # of a user's metrics, many of which are alike: they are packed


def files(draft: Draft, needed: Footprint | None, *, tracked: bool) -> int:
    """Bytes that a run leaves: its folder, and what MLflow keeps of it a second time."""
    kept = _users(draft) + (0 if needed is None else needed.weights)
    return RECORD_BYTES + (2 * kept + DATABASE_BYTES if tracked else kept)


def _users(draft: Draft) -> int:
    """Bytes of the lists and of the users' values."""
    protocol = draft.protocol
    asked = [part for part in (draft.split.valid, draft.split.test) if len(part.users)]
    users = sum(len(part.users) for part in asked)
    if not isinstance(protocol, RankingProtocol):
        return int(users * len(protocol.metrics) * 8)
    bits = math.log2(max(draft.split.n_items, 2))
    lists = len(draft.split.test.users) * protocol.longest * bits / 8
    return int(lists + users * len(protocol.keys) * BYTES_PER_VALUE)


def checkpoints(needed: Footprint) -> int:
    """Bytes of the checkpoints of a training while it is under way: those kept, and the one being written."""
    return (KEPT + 1) * needed.saving


def cache_entries() -> dict[Path, int]:
    """The data sets in the cache, and how many bytes each has."""
    folder = cache_root() / "events"
    entries = [entry for entry in folder.glob("*") if entry.is_dir()]
    return {
        entry: sum(file.stat().st_size for file in entry.glob("*") if file.is_file())
        for entry in entries
    }

"""What the films of a MovieLens release are called, for people: read from beside its ratings where it is there."""

from __future__ import annotations

from recsys_cli.data.download import obtain
from recsys_cli.data.films import rows
from recsys_cli.data.movielens import ARCHIVES, RELEASES
from recsys_cli.data.sources import in_data_folder, typed
from recsys_cli.errors import DataError
from recsys_cli.progress import Progress


def titles(name: str, source: str | None, progress: Progress) -> dict[str, str]:
    """Titles by raw item id as text; empty where the data set has none at hand: the id says all that is needed.

    Args:
        name: The data set, whose events have been read before.
        source: Its folder or zip, as `data.source` names it.
        progress: Shows a download.
    """
    if name not in RELEASES:
        return {}
    try:
        place = (typed(source) if source else in_data_folder(name)) or obtain(
            ARCHIVES[name], progress
        )
        films = rows(place, RELEASES[name].file, f"{name}.zip")
    except DataError:
        return {}
    return {row[0]: row[1] for row in films}

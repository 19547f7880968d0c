"""What a MovieLens release says about its films, in the file that lies beside its ratings in one of three forms."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from recsys_cli.data.categories import Categories
from recsys_cli.data.interactions import Vocabulary
from recsys_cli.data.sources import find
from recsys_cli.errors import DataError

# file of ratings -> file of films, and what stands between its fields
FILES = {
    "u.data": ("u.item", "|"),
    "ratings.dat": ("movies.dat", "::"),
    "ratings.csv": ("movies.csv", ","),
}
FLAGS = (
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # the last columns of u.item, after one that means that no genre is known  # fmt: skip
UNKNOWN = "(no genres listed)"


def rows(place: Path, ratings: str, archive: str) -> list[list[str]]:
    """The lines of the file of films; its fields are an id, a title, and what the form has beyond.

    Args:
        place: The folder or zip that the ratings were read from.
        ratings: Base name of the file of ratings, which tells the form.
        archive: Base name of the publisher's zip.

    Raises:
        DataError: There is no such file, or it cannot be read.
    """
    file, delimiter = FILES[ratings]
    member = find(place, file, archive)
    with member.open() as stream:
        text = _decoded(stream.read())
    lines = (
        csv.reader(io.StringIO(text))
        if delimiter == ","
        else (line.rstrip("\r").split(delimiter) for line in text.split("\n"))
    )
    try:
        return [row for row in lines if len(row) > 1]
    except csv.Error as error:
        raise DataError(f"{member}: {error}", "get it from its publisher") from error


def genres(place: Path, ratings: str, archive: str, item_ids: Vocabulary) -> Categories | None:
    """The genres of the films; None where the release has no file of films at hand.

    Args:
        place: As in `rows`.
        ratings: As in `rows`.
        archive: As in `rows`.
        item_ids: Of the catalogue. A film that the file does not have is of no known genre.
    """
    try:
        films = rows(place, ratings, archive)
    except DataError:
        return None
    known = {row[0]: row for row in films}
    of_films = [_genres(known.get(str(film), []), ratings) for film in item_ids.ids.tolist()]
    names = tuple(sorted({name for own in of_films for name in own}))
    position = {name: at for at, name in enumerate(names)}
    of_items = np.zeros((len(item_ids), len(names)), dtype=np.bool_)
    for code, own in enumerate(of_films):
        of_items[code, [position[name] for name in own]] = True
    return Categories(names, of_items) if names else None


def _genres(row: list[str], ratings: str) -> list[str]:
    """The genres of a film; in the oldest form they are flags, in the others names with | between them."""
    if ratings == "u.data":
        flags = row[-len(FLAGS) :] if len(row) > len(FLAGS) else []
        return [name for name, flag in zip(FLAGS, flags, strict=False) if flag == "1"]
    named = row[2].split("|") if len(row) > 2 else []
    return [name for name in named if name not in ("", UNKNOWN)]


def _decoded(content: bytes) -> str:
    """The older releases are Latin-1, in which any bytes are text; the newer ones UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")

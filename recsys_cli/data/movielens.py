"""The MovieLens releases: ratings of films by users of a recommender, 1995-2023.

Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 2015. A time is that of the rating, not of
watching: users rate many films at a sitting.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from recsys_cli.data.cache import cached
from recsys_cli.data.download import Archive, Package, obtain
from recsys_cli.data.event_layout import Layout
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.official_split import TEST_ROLES, TRAIN_ROLES, joined
from recsys_cli.data.sources import find, in_data_folder, typed
from recsys_cli.errors import DataError
from recsys_cli.progress import Progress

MinRating = Annotated[float, Ge(0.5), Le(5)] | None
Fold = Literal["u1", "u2", "u3", "u4", "u5", "ua", "ub"]
TERMS = (
    "for research, with acknowledgement of GroupLens; no revenue without their permission, "
    "redistribution restricted: the terms are in its README"
)


@dataclass(frozen=True)
class Release:
    """One published data set.

    Attributes:
        checksum: Of the publisher's zip.
        file: Base name of the file of ratings.
        delimiter: What stands between its fields.
        header: Whether its first line names them.
        second: Where else the ratings are.
    """

    checksum: str
    file: str = "ratings.csv"
    delimiter: str = ","
    header: bool = True
    second: Package | None = None


RELEASES = {
    "ml-100k": Release(
        checksum="sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        file="u.data",
        delimiter="\t",
        header=False,
        second=Package(
            requirement="recbole==1.2.1",
            checksum="sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            member="recbole/dataset_example/ml-100k/ml-100k.inter",
            file="u.data",
        ),
    ),
    "ml-1m": Release(
        checksum="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        file="ratings.dat",
        delimiter="::",
        header=False,
    ),
    "ml-10m": Release(
        checksum="md5:ce571fd55effeba0271552578f2648bd",
        file="ratings.dat",
        delimiter="::",
        header=False,
    ),
    "ml-20m": Release("sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"),
    "ml-25m": Release("md5:6b51fb2759a8657d3bfcbfc42b592ada"),
    "ml-32m": Release("md5:d472be332d4daa821edc399621853b57"),
    "ml-latest-small": Release(
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"
    ),
}

ARCHIVES = {
    name: Archive(
        name=name,
        address=f"https://files.grouplens.org/datasets/movielens/{name}.zip",
        checksum=release.checksum,
        terms=TERMS,
        second=release.second,
    )
    for name, release in RELEASES.items()
}  # what `recsys data get` fetches, by the name of the data set
ARCHIVES["ml-100k-official"] = ARCHIVES["ml-100k"]


def ml_100k(*, source: str | None, min_rating: MinRating, progress: Progress) -> Interactions:
    """100,000 ratings (1 to 5) of 1,682 films by 943 users, 1997-1998."""
    return load("ml-100k", source, min_rating, progress)


def ml_1m(*, source: str | None, min_rating: MinRating, progress: Progress) -> Interactions:
    """1,000,209 ratings (1 to 5) of 3,706 films by 6,040 users, 2000-2003."""
    return load("ml-1m", source, min_rating, progress)


def ml_10m(*, source: str | None, min_rating: MinRating, progress: Progress) -> Interactions:
    """10,000,054 ratings (0.5 to 5) by 69,878 users, 1995-2009."""
    return load("ml-10m", source, min_rating, progress)


def ml_20m(*, source: str | None, min_rating: MinRating, progress: Progress) -> Interactions:
    """20,000,263 ratings (0.5 to 5) of 26,744 films by 138,493 users, 1995-2015."""
    return load("ml-20m", source, min_rating, progress)


def ml_25m(*, source: str | None, min_rating: MinRating, progress: Progress) -> Interactions:
    """25,000,095 ratings (0.5 to 5) of 59,047 films by 162,541 users, 1995-2019."""
    return load("ml-25m", source, min_rating, progress)


def ml_32m(*, source: str | None, min_rating: MinRating, progress: Progress) -> Interactions:
    """32,000,204 ratings (0.5 to 5) of 84,432 films by 200,948 users, 1995-2023."""
    return load("ml-32m", source, min_rating, progress)


def ml_latest_small(
    *, source: str | None, min_rating: MinRating, progress: Progress
) -> Interactions:
    """100,836 ratings (0.5 to 5) of 9,724 films by 610 users, 1996-2018."""
    return load("ml-latest-small", source, min_rating, progress)


def load(
    name: str, source: str | None, min_rating: float | None, progress: Progress
) -> Interactions:
    """The ratings of a release as events, the rating as their value.

    Args:
        name: A key of `RELEASES`.
        source: A folder or zip to read; None looks in $RECSYS_DATA, then in the cache, then downloads.
        min_rating: Keep ratings of at least this, and the users and films that still have one; None keeps all.
        progress: Shows the download.

    Raises:
        DataError: The data is not there, cannot be downloaded, or is not as it should be.
    """
    place = _place(name, source, progress)
    events = _with_genres(_read(name, RELEASES[name].file, place, progress), name, place)
    return events if min_rating is None else _at_least(events, min_rating)


def ml_100k_official(*, source: str | None, fold: Fold, progress: Progress) -> Interactions:
    """MovieLens-100K with the parts that GroupLens made: `official` reads them.

    Args:
        source: As in `load`; the files `FOLD.base` and `FOLD.test` stand beside u.data.
        fold: u1 to u5 are the folds of a five-fold cross-validation; ua and ub have ten test ratings a user.
        progress: Shows the download.

    Raises:
        DataError: As `load`.
    """
    place = _place("ml-100k", source, progress)
    base, test = (_read("ml-100k", f"{fold}.{kind}", place, progress) for kind in ("base", "test"))
    return _with_genres(joined((base, TRAIN_ROLES), (test, TEST_ROLES)), "ml-100k", place)


def _place(name: str, source: str | None, progress: Progress) -> Path:
    """The folder or zip of a release: what the user names, else in $RECSYS_DATA, else the cache, else downloaded."""
    if source is not None:
        return typed(source)
    return in_data_folder(name) or obtain(ARCHIVES[name], progress)


def _with_genres(events: Interactions, name: str, place: Path) -> Interactions:
    """The events with the genres of the films, where the place has them."""
    from recsys_cli.data.films import genres

    categories = genres(place, RELEASES[name].file, f"{name}.zip", events.item_ids)
    return replace(events, item_categories=categories)


def _read(name: str, file: str, place: Path, progress: Progress) -> Interactions:
    """One file of a release."""
    from recsys_cli.data.event_file import read_events

    release = RELEASES[name]
    member, layout = find(place, file, f"{name}.zip"), _layout(release)
    return cached(member, asdict(layout), lambda: read_events(member, layout, progress), progress)


def _layout(release: Release) -> Layout:
    names = ("userId", "movieId", "rating", "timestamp")
    return Layout(
        delimiter=release.delimiter,
        names=None if release.header else names,
        user=names[0],
        item=names[1],
        value=names[2],
        time=names[3],
        time_unit="s",
        low=0.5,
        high=5,
    )


def _at_least(events: Interactions, min_rating: float) -> Interactions:
    kept = events.take(events.values >= min_rating)
    if not len(kept):
        raise DataError(f"no rating is {min_rating:g} or more", "lower data.min_rating")
    return kept.compact()

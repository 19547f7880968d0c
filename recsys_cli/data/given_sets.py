"""Published data sets whose files are given by folder: their publishers offer no download that could be checked.

Sources: McAuley et al. (Amazon Beauty, 2014); Zhou et al., S3-Rec (2020); Gusak et al., Time to Split (RecSys 2025);
Kang and McAuley, SASRec (2018), for the order of MovieLens-1M; Baltrunas et al., Frappe (2015); Ben-Shimon et al.,
RecSys Challenge 2015 (Yoochoose).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from recsys_cli.data.cache import cached
from recsys_cli.data.event_layout import Layout
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.item_lists import read_item_lists
from recsys_cli.data.official_split import (
    LEARNT,
    TEST_KNOWN,
    TEST_ROLES,
    TEST_TARGET,
    TRAIN_ROLES,
    VALID_KNOWN,
    VALID_TARGET,
    joined,
    merged,
)
from recsys_cli.data.sources import find, in_data_folder, typed
from recsys_cli.errors import DataError
from recsys_cli.progress import Progress


def beauty(*, source: str | None, progress: Progress) -> Interactions:
    """198,502 reviews of 12,101 cosmetics by 22,363 users, 2002-2014, in days."""
    place = place_of(source, "beauty", "amazon-beauty-s3rec")
    return _read(
        place, "Beauty_timestamps.tsv", "\t", ("user_id", "item_id", "timestamp"), progress
    )


def beauty_gts(*, source: str | None, progress: Progress) -> Interactions:
    """The same, cut at one moment by the authors of "Time to Split": `official` reads their parts.

    What the test is asked with goes on after the end of training, up to each user's last event.
    """
    place = place_of(source, "beauty-gts", "amazon-beauty-gts")
    files = {
        "train": LEARNT | VALID_KNOWN | TEST_KNOWN,
        "validation_input": VALID_KNOWN,
        "validation_target": VALID_TARGET,
        "test_input": TEST_KNOWN,
        "test_target": TEST_TARGET,
    }
    names = ("user_id", "item_id", "timestamp")
    read = [(_read(place, f"{name}.csv", ",", names, progress), files[name]) for name in files]
    return merged(joined(*read))


def ml_100k_mcrec(*, source: str | None, progress: Progress) -> Interactions:
    """MovieLens-100K without times, in a published train and test part: `official` reads them."""
    place = place_of(source, "ml-100k-mcrec")
    names = ("user", "item", None)
    train = _read(place, "train.rating", "\t", names, progress, header=("user", "item", "one"))
    test = read_item_lists(find(place, "test.rating", "ml-100k-mcrec.zip"))
    return joined((train, TRAIN_ROLES), (test, TEST_ROLES))


def ml_1m_sequences(*, source: str | None, progress: Progress) -> Interactions:
    """999,611 events of MovieLens-1M in the order of the sequence papers, without times; 3,416 films."""
    place = place_of(source, "ml-1m-sequences", "ml-1m")
    return read_item_lists(find(place, "sequences.txt", "ml-1m.zip"))


def yoochoose(*, source: str | None, progress: Progress) -> Interactions:
    """Clicks of a shop's sessions, the file `train_full.tsv` and behind it `test.tsv`; a user is a session."""
    place = place_of(source, "yoochoose", "yoochoose-clicks-100k")
    names = ("SessionId", "ItemId", "Time")
    train, test = (_read(place, f"{n}.tsv", "\t", names, progress) for n in ("train_full", "test"))
    return replace(joined((train, TRAIN_ROLES), (test, TEST_ROLES)), context={})


def place_of(source: str | None, *names: str) -> Path:
    """The folder or zip: where the user says, else in $RECSYS_DATA."""
    place = typed(source) if source is not None else in_data_folder(*names)
    if place is None:
        raise DataError(
            f"data={names[0]} has no publisher's address to be fetched from",
            f"give its folder with data.source=PATH, or set RECSYS_DATA to a folder that has {names[0]} in it",
        )
    return place


def _read(
    place: Path,
    file: str,
    delimiter: str,
    names: tuple[str, str, str | None],
    progress: Progress,
    header: tuple[str, ...] | None = None,
) -> Interactions:
    """One delimited file; `header` names the fields where the file does not."""
    from recsys_cli.data.event_file import read_events

    user, item, time = names
    layout = Layout(
        delimiter=delimiter,
        names=header,
        user=user,
        item=item,
        time=time,
        value=None,
        time_unit="s",
        low=None,
        high=None,
    )
    member = find(place, file, f"{place.name}.zip")
    return cached(member, asdict(layout), lambda: read_events(member, layout, progress), progress)

"""Frappe: which app a user opened, in which discrete context, without a clock.

Source: Baltrunas et al., Frappe: Understanding the Usage and Perception of Mobile App Recommendations In-The-Wild,
2015, in the coded files of the factorisation-machine papers.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from recsys_cli.data.given_sets import place_of
from recsys_cli.data.interactions import Interactions, factorise, from_columns
from recsys_cli.data.official_split import COLUMN, TEST_ROLES, TRAIN_ROLES
from recsys_cli.data.sources import Member, find
from recsys_cli.errors import DataError
from recsys_cli.progress import Progress

# Nobody wrote down which of the first two is the weekday: it is the one that tells whether it is weekend.
CONTEXT = ("daytime", "weekday", "weekend", "homework", "weather", "country", "city")
COST = "event_cost"  # of the app that was opened
LINE = re.compile(rb"\d{1,9}(?:-\d{1,9}){7},\d{1,9}-\d{1,9}\r?\n?")


def frappe(*, source: str | None, progress: Progress) -> Interactions:
    """96,195 openings of 4,082 apps by 957 users with seven columns of context and whether the app costs money."""
    place = place_of(source, "frappe")
    folder = place / "cfm" if (place / "cfm").is_dir() else place
    parts = [_rows(find(folder, f"{name}.csv", "frappe.zip")) for name in ("train", "test")]
    rows = np.concatenate(parts)
    columns = dict(zip((*CONTEXT, COST), rows[:, [*range(1, 8), 9]].T, strict=True))
    return from_columns(
        users=rows[:, 0],
        items=rows[:, 8],
        context={
            **{name: factorise(column)[1] for name, column in columns.items()},
            COLUMN: np.repeat([TRAIN_ROLES, TEST_ROLES], [len(part) for part in parts]),
        },
    )


def _rows(member: Member) -> NDArray[np.int64]:
    """(events, 10) codes: user, seven of context, app, cost."""
    lines = []
    with member.open() as stream:
        for number, line in enumerate(stream, start=1):
            if not LINE.fullmatch(line):
                raise DataError(
                    f"{member}:{number}:1: is not user and seven codes of context with '-' between, ',', app and cost",
                    "give the files of the folder cfm",
                )
            lines.append(line.strip().replace(b",", b"-").split(b"-"))
    if not lines:
        raise DataError(f"{member}:1:1: the file is empty", "give a file with at least one event")
    return np.array(lines).astype(np.int64)

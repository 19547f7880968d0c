"""The numbers of a data set, counted here by hand or by a slower way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli.data import movielens
from recsys_cli.data.describe import describe, gini, sittings_per_user, spread, top_share
from recsys_cli.data.interactions import Interactions, Vocabulary, from_columns
from recsys_cli.evaluation import beyond
from recsys_cli.progress import Silent

HOUR = 3_600


def events(*rows: tuple[int, int, int], **columns: Any) -> Interactions:
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    return from_columns(users=users, items=items, times=times, **columns)


SMALL = events((1, 7, 0), (1, 7, HOUR), (1, 8, 2 * HOUR + 1), (2, 7, 5), (2, 9, 5), (3, 7, 86_400))


def test_counts() -> None:
    found = describe(SMALL)
    assert (found.users, found.items, found.events) == (3, 3, 6)
    assert found.repeats == 1
    assert found.density == 5 / 9
    assert found.digest == SMALL.digest()
    assert found.items_without_event == 0
    assert found.context == {}


def test_items_that_nobody_took_count_in_the_catalogue() -> None:
    catalogue = Vocabulary(np.arange(20))
    wider = Interactions(
        SMALL.users, SMALL.items, SMALL.values, SMALL.times, SMALL.rows, SMALL.user_ids, catalogue
    )
    found = describe(wider)
    assert found.items_without_event == 17
    assert found.per_item.least == 0
    assert found.density == 5 / 60


def test_spread_over_users_and_items() -> None:
    found = describe(SMALL)
    assert found.per_user == spread(np.array([3, 2, 1]))
    assert found.per_item == spread(np.array([4, 1, 1]))
    assert spread(np.array([4, 1, 2, 3, 10])).__dict__ == {
        "least": 1, "lower": 2, "median": 3, "upper": 4, "greatest": 10, "mean": 4,
    }  # fmt: skip


def test_a_gap_of_an_hour_does_not_end_a_sitting_and_a_second_more_does() -> None:
    assert sittings_per_user(SMALL).tolist() == [2, 1, 1]
    times = describe(SMALL).times
    assert times is not None
    assert times.sittings == 4
    assert times.users_with_one_sitting == 2 / 3
    assert times.gaps_within_sittings == 2 / 3
    assert times.gaps_of_nothing == 1 / 3
    assert times.sittings_per_user == spread(np.array([2, 1, 1]))


def test_the_clock_is_that_of_utc() -> None:
    times = describe(SMALL).times
    assert times is not None
    assert (times.first, times.last) == ("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z")
    assert times.days == 1


def test_a_clock_of_whole_days_is_told() -> None:
    for times, whole in (((0, 86_400, 7 * 86_400), True), ((0, 86_400, 86_399), False)):
        told = describe(events(*((1, 1, time) for time in times))).times
        assert told is not None
        assert told.whole_days == whole


def test_without_times_there_are_no_sittings() -> None:
    assert describe(from_columns(users=np.array([1, 2]), items=np.array([1, 1]))).times is None


def test_users_of_one_event_each_have_no_gaps() -> None:
    times = describe(events((1, 1, 5), (2, 2, 6))).times
    assert times is not None
    assert (times.gaps_within_sittings, times.gaps_of_nothing) == (1.0, 0.0)
    assert times.users_with_one_sitting == 1


def test_values() -> None:
    few = describe(events((1, 1, 5), (2, 2, 6), (3, 2, 6), values=np.array([1, 4.5, 1]))).values
    assert (few.least, few.greatest, few.counts) == (1, 4.5, {1.0: 2, 4.5: 1})
    assert few.mean == pytest.approx(6.5 / 3)
    rows = [(1, i, 5) for i in range(13)]
    assert describe(events(*rows, values=np.arange(13))).values.counts == {}
    assert len(describe(events(*rows[:12], values=np.arange(12))).values.counts) == 12


def test_context_columns_are_told_with_their_number_of_values() -> None:
    found = describe(events((1, 1, 5), (1, 2, 6), (3, 2, 6), context={"day": np.array([4, 4, 0])}))
    assert found.context == {"day": 2}


def test_the_share_of_the_top_is_of_the_catalogue_and_of_at_least_one_item() -> None:
    counts = np.array([*range(1, 201)])
    assert top_share(counts, 0.01) == (200 + 199) / counts.sum()
    assert top_share(counts, 0.1) == np.arange(181, 201).sum() / counts.sum()
    assert top_share(np.array([1, 3]), 0.01) == 0.75


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=40).filter(any))
def test_gini_is_that_of_the_evaluation_and_of_its_definition(counts: list[int]) -> None:
    array = np.array(counts)
    differences = np.abs(array[:, None] - array).mean()
    assert gini(array) == pytest.approx(differences / (2 * array.mean()))
    assert gini(array) == pytest.approx(beyond.gini(torch.tensor(counts, dtype=torch.float64)))


def test_everything_is_plain_json() -> None:
    plain = json.loads(json.dumps(describe(SMALL).to_json()))
    assert plain["values"]["counts"] == {"1": 6}
    assert plain["times"]["sittings"] == 4
    assert plain["per_user"]["median"] == 2


@pytest.mark.realdata
@pytest.mark.usefixtures("cache")
def test_movielens_records_sittings(real_data: Callable[[str], Path]) -> None:
    found = describe(
        movielens.ml_100k(source=str(real_data("ml-100k")), min_rating=None, progress=Silent())
    )
    assert (found.users, found.items, found.events) == (943, 1_682, 100_000)
    assert found.values.counts == {1.0: 6_110, 2.0: 11_370, 3.0: 27_145, 4.0: 34_174, 5.0: 21_201}
    assert found.times is not None
    assert round(found.times.gaps_within_sittings, 2) == 0.98
    assert round(found.times.users_with_one_sitting, 2) == 0.61  # .65 where 6 hours end a sitting
    assert found.times.first == "1997-09-20T03:05:10Z"
    assert round(found.density, 4) == 0.0630

"""Each planted leak is found, and a clean split has none."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_cli.data.audit import KINDS, Finding, audit
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.split import DAY_SECONDS as DAY
from recsys_cli.data.split import TEST, TRAIN, VALID, Split, assemble, from_masks
from recsys_cli.data.time_splits import global_time
from recsys_cli.data.user_splits import leave_last_out, per_user_ratio


def world(n_users: int = 6, n_days: int = 60) -> Interactions:
    """An event of each user a day, all at different times, no item twice for a user."""
    users = np.tile(np.arange(n_users), n_days)
    days = np.repeat(np.arange(n_days), n_users)
    return from_columns(users=users, items=(days + 5 * users) % 60, times=days * DAY + users * 600)


def clean(x: Interactions) -> Split:
    return global_time(interactions=x, test_days=10, valid_days=10)


def found(split: Split) -> dict[tuple[str, str], Finding]:
    return {(finding.name, finding.part): finding for finding in audit(split)}


def leaks(split: Split) -> set[str]:
    return {finding.name for finding in audit(split) if finding.leak}


def test_a_clean_split_has_no_leak_and_nothing_to_note():
    findings = audit(clean(world()))
    assert {finding.name for finding in findings} == set(KINDS)
    assert [finding for finding in findings if finding.leak or finding.count] == []
    assert len(findings) == 2 * len(KINDS)


def relabelled(split_of: Interactions, part: np.ndarray) -> Split:
    return assemble(split_of, part, name="planted", leaks="")


def parts_of(x: Interactions) -> np.ndarray:
    day = x.times // DAY
    return np.where(day >= 50, TEST, np.where(day >= 40, VALID, TRAIN))


def test_later_events_in_training_are_found():
    x = world()
    part = parts_of(x)
    part[np.flatnonzero(part == TEST)[[3, 4, 5, 11]]] = TRAIN
    split = relabelled(x, part)
    assert found(split)["later_events", "test"].count == 4
    assert found(split)["later_events", "valid"].count == 4
    assert "later_events" in leaks(split)


def test_an_event_at_the_moment_of_the_first_question_is_a_later_one():
    x = world()
    part = parts_of(x)
    times = x.times.copy()
    times[np.flatnonzero(part == TRAIN)[-1]] = times[part == TEST].min()
    assert found(relabelled(replace(x, times=times), part))["later_events", "test"].count == 1


def test_items_from_behind_the_cut_are_found_in_training_and_noted_elsewhere():
    x = world()
    new = x.items.copy()
    tested = np.flatnonzero(parts_of(x) == TEST)
    new[tested[[0, 12]]] = 60  # the first question itself is for a new item
    new[tested[[5]]] = 61
    x = replace(
        x, items=new, item_ids=from_columns(users=np.arange(62), items=np.arange(62)).item_ids
    )
    split = clean(x)
    assert found(split)["new_items", "test"].count == 2
    assert found(split)["new_items", "test"].share == 2 / 62
    assert leaks(split) == set()
    part = parts_of(x)
    part[tested[12]] = TRAIN
    assert found(relabelled(x, part))["later_items", "test"].count == 1
    assert "later_items" in leaks(relabelled(x, part))


def test_an_event_in_two_parts_is_found():
    x = world()
    part = parts_of(x)
    split = relabelled(x, part)
    twice = from_masks(
        x, train=(part == TRAIN) | (x.rows == x.rows[part == TEST][0]),
        valid=(part == TRAIN, part == VALID), test=(part != TEST, part == TEST),
        name="planted", leaks="",
    )  # fmt: skip
    assert found(split)["duplicates", "test"].count == 0
    assert found(twice)["duplicates", "test"].count == 1
    assert "duplicates" in leaks(twice)


@pytest.mark.parametrize(("earlier", "name"), [(TRAIN, "test"), (VALID, "test"), (TRAIN, "valid")])
def test_the_same_line_twice_in_a_file_is_found_across_parts(earlier, name):
    """Same user, item and time, another row."""
    x = world()
    part = parts_of(x)
    label = TEST if name == "test" else VALID
    at = np.flatnonzero(part == label)[7]
    index = np.sort(np.append(np.arange(len(x)), at))
    doubled = replace(x.take(index), rows=np.arange(len(index)))
    parts = part[index]
    parts[at] = earlier
    split = relabelled(doubled, parts)
    assert found(split)["duplicates", name].count == 1
    assert "duplicates" in leaks(split)


def test_duplicates_are_told_apart_by_context_where_there_is_no_time():
    def lines(weather: list[int]) -> Split:
        x = from_columns(
            users=np.zeros(4, int), items=np.array([1, 2, 3, 1]), context={"weather": np.array(weather)}
        )  # fmt: skip
        return relabelled(x, np.array([TRAIN, TRAIN, VALID, TEST]))

    assert found(lines([0, 0, 0, 0]))["duplicates", "test"].count == 1
    assert found(lines([0, 0, 0, 1]))["duplicates", "test"].count == 0


def test_a_target_that_is_known_is_a_leak_and_an_honest_repeat_is_none():
    x = world()
    part = parts_of(x)
    own = np.flatnonzero((part == TEST) & (x.users == 2))
    items = x.items.copy()
    items[own[3]] = x.items[(part == TRAIN) & (x.users == 2)][0]
    repeat = relabelled(replace(x, items=items), part)
    assert found(repeat)["known_targets", "test"].count == 1
    assert leaks(repeat) == set()
    given_away = from_masks(
        x, train=part == TRAIN, valid=(part == TRAIN, part == VALID),
        test=((part != TEST) | (x.rows == x.rows[own[0]]), part == TEST), name="planted", leaks="",
    )  # fmt: skip
    assert found(given_away)["known_targets", "test"].count == 1
    assert "known_targets" in leaks(given_away)


@pytest.mark.parametrize(("seconds", "leak"), [(1, True), (0, False), (-1, False)])
def test_a_repeat_that_is_known_before_it_happened_is_a_leak(seconds, leak):
    x = world()
    part = parts_of(x)
    own = np.flatnonzero((part == TEST) & (x.users == 2))
    items, times = x.items.copy(), x.times.copy()
    items[own[5]] = items[own[0]]
    times[own[5]] = times[own[0]] + seconds
    part[own[5]] = VALID  # known when the other one is asked for
    split = relabelled(replace(x, items=items, times=times), part)
    assert found(split)["known_targets", "test"].count == 1
    assert found(split)["known_targets", "test"].leak == leak


def test_histories_that_go_on_after_the_question_are_found():
    x = world()
    split = per_user_ratio(
        interactions=x, seed=0, valid_ratio=0.1, test_ratio=0.1, chronological=False
    )
    first = {user: x.times[x.rows == rows.min()] for user, rows in by_user(split.test.targets)}
    expected = sum(
        int((split.test.history.times[split.test.history.users == user] > at).sum())
        for user, at in first.items()
    )
    assert found(split)["later_history", "test"].count == expected > 0
    assert found(split)["same_sitting_30", "test"].count == 0
    assert "later_history" in leaks(split)


def by_user(part: Interactions) -> list[tuple[int, np.ndarray]]:
    return [(user, part.rows[part.users == user]) for user in np.unique(part.users).tolist()]


@pytest.mark.parametrize(
    ("minutes", "tie", "in_30", "in_60"),
    [(0, 1, 1, 1), (29, 0, 1, 1), (30, 0, 0, 1), (59, 0, 0, 1), (60, 0, 0, 0)],
)
def test_one_sitting_is_counted_user_by_user(minutes, tie, in_30, in_60):
    x = world()
    times = x.times.copy()
    last = x.offsets[3] - 1  # of user 2: its time comes close to the event before it
    times[last] = times[last - 1] + minutes * 60
    split = leave_last_out(interactions=replace(x, times=times), min_events=3)
    counts = {
        name: found(split)[name, "test"].count for name, part in found(split) if part == "test"
    }
    assert counts["ties_at_the_cut"] == tie
    assert counts["later_history"] == 0
    assert (counts["same_sitting_30"], counts["same_sitting_60"]) == (in_30, in_60)
    assert found(split)["same_sitting_30", "test"].of == 6


def test_without_times_nothing_is_said_about_them():
    x = from_columns(users=np.repeat([0, 1], 4), items=np.tile(np.arange(4), 2))
    findings = audit(leave_last_out(interactions=x, min_events=3))
    assert {finding.name for finding in findings} == {"duplicates", "known_targets"}
    assert not any(finding.leak for finding in findings)


def test_a_part_without_targets_is_left_out():
    x = world()
    part = parts_of(x)
    part[part == VALID] = TRAIN
    split = assemble(x, part, name="a", leaks="", may_lack_validation=True)
    assert {finding.part for finding in audit(split)} == {"test"}


@pytest.mark.realdata
def test_movielens_users_rate_in_one_sitting(real_data, cache):
    from recsys_cli.data.movielens import ml_100k
    from recsys_cli.progress import Silent

    ratings = ml_100k(source=str(real_data("ml-100k")), min_rating=None, progress=Silent())
    findings = found(leave_last_out(interactions=ratings, min_events=3))
    assert findings["same_sitting_30", "test"].share > 0.9
    assert findings["ties_at_the_cut", "test"].share > 0.4
    assert findings["later_events", "test"].leak
    assert leaks(global_time(interactions=ratings, test_days=14, valid_days=14)) == set()

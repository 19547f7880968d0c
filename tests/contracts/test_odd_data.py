"""Every model on data that is small, repeated, extreme or of one kind: it learns and scores, or refuses in words."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recsys_cli.data.interactions import Interactions, Vocabulary, from_columns
from recsys_cli.data.queries import Queries, make_queries
from recsys_cli.errors import RecsysError
from recsys_cli.models.contract import ClosedForm
from recsys_cli.outcome import weights_digest
from tests.contracts.fits import (
    MODELS,
    SMALL_DATA,
    after,
    ask,
    fit,
    fitted,
    models,
    score,
    target,
    unfitted,
)

HOUR = 3_600
READ_A_CLOCK = {"crnn", "hstu", "popularity_by_hour", "seq"}
CLOSED = [name for name in MODELS if issubclass(target(name), ClosedForm)]


@pytest.fixture(autouse=True)
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for all that is checked here."""
    monkeypatch.setitem(SMALL_DATA, "epochs", 1)


def events(users: Any, items: Any, **other: Any) -> Interactions:
    times = 1_000_000_000 + np.arange(len(users)) * HOUR
    return from_columns(users=np.array(users), items=np.array(items), **{"times": times, **other})


def learns_or_says_why_not(
    name: str, interactions: Interactions, asked: Interactions | None = None
) -> None:
    """Scores are finite, or an error of ours says what is wrong; any other fails the test."""
    try:
        model = fit(name, interactions)
    except RecsysError:
        return
    scores = score(model, ask(model, asked or interactions))
    assert scores.shape == (interactions.n_users, interactions.n_items)
    assert scores.isfinite().all()


EXTREME: dict[str, Callable[[Interactions], Interactions]] = {
    "one user": lambda x: events([0] * 5, range(5)),
    "one item": lambda x: events(range(5), [0] * 5),
    "one event": lambda x: events([0], [0]),
    "one pair again and again": lambda x: events([0] * 9, [0] * 9),
    "one event each": lambda x: events(range(30), np.arange(30) % 7),
    "everybody met everything": lambda x: events(np.repeat(range(6), 6), np.tile(range(6), 6)),
    "great values": lambda x: replace(x, values=np.where(x.items % 3, 1e4, 1).astype(np.float32)),
    "negative values": lambda x: replace(x, values=np.where(x.items % 3, -1, 1).astype(np.float32)),
}
SOUND: dict[str, Callable[[Interactions], Interactions]] = {
    "every event twice": lambda x: events(
        np.repeat(x.users, 2), np.repeat(x.items, 2), times=np.repeat(x.times, 2)
    ),
    "all at one moment": lambda x: events(x.users, x.items, times=np.full(len(x), 10**9)),
    "from 1970 to 2100": lambda x: events(
        x.users, x.items, times=np.linspace(0, 4_102_444_799, len(x)).astype(int)
    ),
    "values of 0": lambda x: replace(x, values=np.zeros(len(x), np.float32)),
    "users and items without an event": lambda x: replace(
        x, user_ids=Vocabulary(np.arange(50)), item_ids=Vocabulary(np.arange(30))
    ),
}


@pytest.mark.parametrize("kind", EXTREME)
@models("extreme")
def test_extreme_data_is_learnt_from_or_refused_in_words(name, kind, checkerboard):
    learns_or_says_why_not(name, EXTREME[kind](checkerboard))


@pytest.mark.parametrize("kind", SOUND)
@models("sound")
def test_data_that_is_odd_and_sound_is_learnt_from(name, kind, checkerboard):
    interactions = SOUND[kind](checkerboard)
    model = fit(name, interactions)
    last = interactions.take(np.unique(interactions.users, return_index=True)[1])
    queries = make_queries(
        replace(after(checkerboard), history=interactions, targets=last),
        np.arange(40),
        model.reads,
        model.history_length,
    )
    scores = score(model, queries)
    assert scores.shape == (40, interactions.n_items)
    assert scores.isfinite().all()


@models("no_clock")
def test_a_model_that_reads_no_times_needs_none(name, checkerboard):
    model = unfitted(name, checkerboard)
    if model.reads & {"times", "now"}:
        assert name in READ_A_CLOCK  # the program refuses it before it learns
        return
    learns_or_says_why_not(name, replace(checkerboard, times=None), checkerboard)


@models("read_only")
def test_what_it_learns_from_may_be_a_file_that_is_only_read(name, checkerboard, tmp_path):
    columns = {}
    for column in ("users", "items", "values", "times", "rows"):
        np.save(tmp_path / f"{column}.npy", getattr(checkerboard, column))
        columns[column] = np.lib.format.open_memmap(tmp_path / f"{column}.npy", mode="r")
    mapped = fit(name, replace(checkerboard, **columns))
    assert weights_digest(mapped) == weights_digest(fitted(name, checkerboard))


@models("file_order")
def test_the_order_of_lines_in_the_file_is_not_learnt(name, checkerboard):
    order = np.random.default_rng(0).permutation(len(checkerboard))
    x = checkerboard
    shuffled = from_columns(users=x.users[order], items=x.items[order], times=x.times[order])
    assert weights_digest(fit(name, shuffled)) == weights_digest(fitted(name, checkerboard))


@models("learnt_again", CLOSED)
def test_learning_again_leaves_nothing_of_what_was_learnt_before(name, checkerboard):
    x = checkerboard
    model = fit(name, from_columns(users=x.users, items=(x.items + 1) % 20, times=x.times))
    for _ in range(2):
        model.fit(checkerboard)
        assert weights_digest(model) == weights_digest(fitted(name, checkerboard))


@models("repeat")
def test_asking_again_gives_the_same_bits_and_changes_nothing(name, checkerboard):
    model = fitted(name, checkerboard)
    before, queries = weights_digest(model), ask(model, checkerboard)
    assert torch.equal(score(model, queries), score(model, queries))
    assert weights_digest(model) == before


@models("copy")
def test_a_copy_is_a_model_of_its_own(name, checkerboard):
    model = fitted(name, checkerboard)
    twin, queries = copy.deepcopy(model), ask(model, checkerboard)
    expected = score(model, queries)
    assert torch.equal(score(twin, queries), expected)
    for tensor in twin.state_dict().values():
        tensor.zero_()
    assert torch.equal(score(model, queries), expected)


@models("finite_weights")
def test_all_that_is_learnt_is_finite_and_can_be_saved(name, checkerboard):
    state = fitted(name, checkerboard).state_dict()
    assert state
    for key, tensor in state.items():
        assert not tensor.is_floating_point() or tensor.isfinite().all(), key
        assert not tensor.is_sparse, key


@models("batch_order")
def test_the_order_of_the_questions_is_no_matter(name, checkerboard):
    model, order = fitted(name, checkerboard), torch.randperm(40)
    queries = ask(model, checkerboard)
    columns = {field: getattr(queries, field) for field in ("users", "items", "times", "now")}
    moved = Queries(**{k: None if c is None else c[order] for k, c in columns.items()})
    assert torch.allclose(score(model, moved), score(model, queries)[order], rtol=1e-4, atol=1e-5)


@models("long_history")
def test_a_history_longer_than_any_in_training_gives_finite_scores(name, checkerboard):
    model = fitted(name, checkerboard)
    longest = model.history_length or 500
    items = torch.arange(longest)[None] % 20
    times = checkerboard.times.max() + HOUR * torch.arange(longest)[None]
    told = {"users": torch.tensor([3]), "items": items, "times": times, "now": times[:, -1] + HOUR}
    queries = Queries(**{field: told[field] for field in model.reads})
    assert score(model, queries).isfinite().all()


@models("no_question")
def test_the_moment_of_a_question_may_be_any(name, checkerboard):
    """A question from before all training events, and one from 2100."""
    model = fitted(name, checkerboard)
    queries = ask(model, checkerboard)
    for moment in (0, 4_102_444_799):
        now = None if queries.now is None else torch.full_like(queries.now, moment)
        assert score(model, replace(queries, now=now)).isfinite().all()

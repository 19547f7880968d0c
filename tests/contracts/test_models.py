"""What every model keeps, whoever wrote it: found by its YAML file, checked without a line of its own."""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import recsys_cli.models
from recsys_cli.data.queries import FIELDS, Queries, make_queries
from recsys_cli.data.split import Holdout
from recsys_cli.evaluation.protocol import RankingProtocol
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.models.contract import ClosedForm, Trained
from recsys_cli.outcome import weights_digest
from tests.contracts.fits import (
    CONFIGS,
    EXEMPT,
    MODELS,
    RUNTIME,
    after,
    ask,
    fit,
    fitted,
    models,
    relabelled,
    score,
    settings,
    skewed,
    target,
    unfitted,
)

CPU = torch.device("cpu")
SOLVED = 2e-4  # solvers that stop at a tolerance do so elsewhere when the order changes


def close(left, right):
    return torch.allclose(left, right, rtol=1e-4, atol=1e-5)


@models("signature")
def test_the_settings_are_the_arguments(name):
    parameters = inspect.signature(target(name)).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
    assert {p.name for p in parameters} - RUNTIME == set(settings("model", name)) - {"_target_"}


@models("comments")
def test_every_setting_says_what_it_means_and_what_it_may_be(name):
    lines = (CONFIGS / "model" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"# [^|]+ \| (slides? [\d, -]+|baseline) \| [^|]+ \d{4}", lines[0])
    stated = {line.split(":")[0]: line for line in lines if re.match(r"[a-z]\w*:", line)}
    for key in settings("model", name).keys() - {"_target_"}:
        assert re.search(r"  # \S.* (\[.+\]|\(.+\]|\[.+\)|\(.+\)|\{.+\})$", stated[key]), key


def test_every_model_has_a_file():
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(recsys_cli.models.__path__, "recsys_cli.models.")
    ]
    classes = {
        f"{module.__name__}.{name}"
        for module in modules
        for name, found in vars(module).items()
        if inspect.isclass(found)
        and issubclass(found, nn.Module)
        and hasattr(found, "score")
        and found.__module__ == module.__name__
    }
    assert classes == {settings("model", name)["_target_"] for name in MODELS}


def test_exemptions_are_of_models_that_exist():
    assert {name for name, _ in EXEMPT} <= set(MODELS)


@models("kind")
def test_it_learns_in_one_of_the_two_ways(name, checkerboard):
    model = unfitted(name, checkerboard)
    assert isinstance(model, ClosedForm) != isinstance(model, Trained)
    assert model.reads
    assert model.reads <= FIELDS


@models("shape")
def test_scores_are_finite_numbers_for_every_query_and_item(name, checkerboard):
    model = fitted(name, checkerboard)
    scores = score(model, ask(model, checkerboard))
    assert scores.shape == (40, 20)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@models("withheld")
def test_it_finds_the_withheld_items(name, checkerboard):
    model = fitted(name, checkerboard)
    scores = score(model, ask(model, checkerboard))
    scores[checkerboard.users, checkerboard.items] = -torch.inf
    top = scores.topk(2).indices
    assert (top % 2 == torch.arange(40)[:, None] % 2).float().mean() > 0.9


@models("beats_popularity")
def test_it_beats_popularity(name):
    train, test = skewed()
    everybody, every_item = np.ones(train.n_users, dtype=bool), np.ones(train.n_items, dtype=bool)
    holdout = Holdout(train, test, everybody, every_item)
    protocol = RankingProtocol(
        cutoffs=[10], metrics=["ndcg"], primary="ndcg_at_10", exclude_seen=True, dialect="recsys"
    )
    ours, floor = (
        evaluate(fitted(which, train), holdout, protocol, device=CPU).primary
        for which in (name, "popularity")
    )
    assert ours > 1.1 * floor


@models("seed")
def test_a_seed_repeats_and_the_global_generators_stay_as_they_are(name, checkerboard):
    before = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002
    again = fit(name, checkerboard, seed=0)
    assert weights_digest(again) == weights_digest(fitted(name, checkerboard, seed=0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert repr(np.random.get_state()) == before[1]  # noqa: NPY002


@models("saved")
def test_saved_weights_are_the_whole_model(name, checkerboard, tmp_path):
    model = fitted(name, checkerboard)
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors")
    loaded = unfitted(name, checkerboard, seed=1).eval()
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"))
    queries = ask(model, checkerboard)
    assert torch.equal(score(loaded, queries), score(model, queries))


@models("alone")
def test_a_query_alone_scores_as_in_a_batch(name):
    train, _ = skewed()
    uneven = train.take(np.arange(len(train)) - train.offsets[train.users] < 1 + train.users % 8)
    model = fitted(name, train)
    together = score(model, ask(model, uneven))
    for user in (0, 3, 12, 23):
        one = make_queries(after(uneven), np.array([user]), model.reads, model.history_length)
        assert close(score(model, one)[0], together[user])


@models("padding")
def test_more_padding_changes_nothing(name, checkerboard):
    model = fitted(name, checkerboard)
    queries = ask(model, checkerboard)
    padded = Queries(
        users=queries.users,
        now=queries.now,
        **{
            field: None if column is None else nn.functional.pad(column, (5, 0), value=-1)
            for field, column in (("items", queries.items), ("times", queries.times))
        },
    )
    assert close(score(model, padded), score(model, queries))


@models("permuted_users")
def test_users_are_only_names(name, checkerboard):
    codes = np.random.default_rng(1).permutation(40)
    other = relabelled(checkerboard, codes, np.arange(20))
    scores, moved = (
        score(m := fitted(name, events), ask(m, events)) for events in (checkerboard, other)
    )
    assert torch.allclose(moved[codes], scores, atol=SOLVED)


@models("permuted_items")
def test_items_are_only_names(name, checkerboard):
    codes = np.random.default_rng(1).permutation(20)
    other = relabelled(checkerboard, np.arange(40), codes)
    scores, moved = (
        score(m := fitted(name, events), ask(m, events)) for events in (checkerboard, other)
    )
    assert torch.allclose(moved[:, codes], scores, atol=SOLVED)


@pytest.mark.parametrize("history", [[3, 5], [-1, -1]], ids=["with a history", "with none"])
@models("unseen")
def test_an_unseen_user_gets_finite_scores(name, history, checkerboard):
    model = fitted(name, checkerboard)
    seconds = int(checkerboard.times.max())
    queries = Queries(
        users=torch.tensor([-1]) if "users" in model.reads else None,
        items=torch.tensor([history]) if "items" in model.reads else None,
        times=torch.tensor([[seconds if item >= 0 else -1 for item in history]])
        if "times" in model.reads
        else None,
        now=torch.tensor([seconds + 60]) if "now" in model.reads else None,
    )
    scores = score(model, queries)
    assert scores.shape == (1, 20)
    assert scores.isfinite().all()


@models("inputs")
def test_what_is_given_stays_as_it_is(name, checkerboard):
    before = checkerboard.digest()
    model = fit(name, checkerboard)
    assert checkerboard.digest() == before
    queries, same = ask(model, checkerboard), ask(model, checkerboard)
    score(model, queries)
    for field in FIELDS:
        given, expected = getattr(queries, field), getattr(same, field)
        assert given is None or torch.equal(given, expected)


@models("outputs")
def test_scores_may_be_written_on(name, checkerboard):
    model = fitted(name, checkerboard)
    queries = ask(model, checkerboard)
    first = score(model, queries)
    expected = first.clone()
    first.fill_(-torch.inf)
    assert torch.equal(score(model, queries), expected)

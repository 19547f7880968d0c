"""What happens in the test part reaches no model: whatever is done to its events, the learnt bits stay the same.

The rules and their busy little data set are those of `tests/data/test_split.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recsys_cli.data.batches import PairBatches
from recsys_cli.data.interactions import Interactions
from recsys_cli.data.sampling import UnseenItems
from recsys_cli.data.split import DAY_SECONDS, Split
from recsys_cli.devices import Device
from recsys_cli.evaluation.ranking import evaluate
from recsys_cli.outcome import weights_digest
from recsys_cli.progress import Silent
from recsys_cli.seeds import generator
from tests.contracts.fits import MODELS, SMALL_DATA, build, fit, settings, unfitted
from tests.data.test_split import COUNTING, ORDINARY, RULES, of
from tests.evaluation.cases import CPU, protocol

LEARNERS = ["popularity", "mf"]  # one that counts, one that descends: training and negatives


def other_items(world: Interactions, split: Split) -> Interactions:
    """Everybody chose something else in the test."""
    items = world.items.copy()
    at = np.isin(world.rows, split.test.targets.rows)
    items[at] = (items[at] + 1) % world.n_items
    return replace(world, items=items)


def other_values(world: Interactions, split: Split) -> Interactions:
    """Everybody rated otherwise in the test."""
    at = np.isin(world.rows, split.test.targets.rows)
    return replace(world, values=np.where(at, np.float32(7), world.values))


def fewer(world: Interactions, split: Split) -> Interactions:
    """Every other test event did not happen, but the latest of its user, by which some rules tell the parts."""
    keep = ~np.isin(world.rows, split.test.targets.rows[::2])
    keep[world.offsets[1:] - 1] = True
    return world.take(keep)


def later(world: Interactions, split: Split) -> Interactions:
    """The test events that come after all else come a second later; the last of all stays where it is."""
    assert world.times is not None
    at = np.isin(world.rows, split.test.targets.rows)
    at &= (world.times > world.times[~at].max(initial=0)) & (world.times < world.times.max())
    return replace(world, times=world.times + at)


CHANGES: dict[str, Callable[[Interactions, Split], Interactions]] = {
    "other items": other_items,
    "other values": other_values,
    "fewer events": fewer,
    "later events": later,
}


@pytest.fixture(scope="module")
def learnt() -> Callable[[str, str], tuple[Split, str]]:
    """The split of the unchanged data under a rule, and the hash of what a model learns from it; each made once."""
    known: dict[tuple[str, str], tuple[Split, str]] = {}

    def get(rule: str, model: str) -> tuple[Split, str]:
        if (rule, model) not in known:
            split = RULES[rule](of(ORDINARY))
            known[rule, model] = split, weights_digest(fit(model, split.train))
        return known[rule, model]

    return get


@pytest.mark.parametrize("model", LEARNERS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_in_the_test_changes_no_bit_of_what_is_learnt(
    change: str, rule: str, model: str, learnt: Any
) -> None:
    split, weights = learnt(rule, model)
    changed = CHANGES[change](of(ORDINARY), split)
    if change == "fewer events" and rule in COUNTING:
        return  # where the number of events decides, they are told as an exception in test_split
    again = RULES[rule](changed)
    assert again.hash != split.hash or changed.digest() == of(ORDINARY).digest()
    assert weights_digest(fit(model, again.train)) == weights


@pytest.mark.parametrize("model", MODELS)
def test_no_model_learns_from_the_test(
    model: str, checkerboard: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SMALL_DATA, "epochs", 1)
    rule = RULES["leave_last_out"]
    split = rule(checkerboard)
    changed = rule(other_values(other_items(checkerboard, split), split))
    assert changed.hash != split.hash
    assert weights_digest(fit(model, changed.train)) == weights_digest(fit(model, split.train))


@pytest.mark.parametrize("model", LEARNERS)
def test_events_after_the_cut_of_new_users_and_items_teach_nothing(model: str) -> None:
    """The new ones get codes behind the old, so the bits of what was learnt of the old can be set side by side."""
    rule = RULES["global_date"]
    future = [(user, item, 40, 16) for user in (3, 50, 51) for item in (2, 99)]
    before, after = rule(of(ORDINARY)), rule(of(ORDINARY + future))
    assert (after.n_users, after.n_items) == (before.n_users + 2, before.n_items + 1)
    assert before.train.rows.tolist() == after.train.rows.tolist()
    assert before.valid.targets.rows.tolist() == after.valid.targets.rows.tolist()
    if model == "popularity":
        learnt, again = (fit(model, split.train).state_dict() for split in (before, after))
        for name, tensor in learnt.items():
            assert torch.equal(again[name][: len(tensor)], tensor)
            assert not again[name][len(tensor) :].any()


@pytest.mark.parametrize("rule", RULES)
def test_counts_and_negatives_are_those_of_training_alone(rule: str) -> None:
    split = RULES[rule](of(ORDINARY))
    train, device = split.train, torch.device("cpu")
    counts = np.bincount(train.items, minlength=split.n_items)
    assert fit("popularity", train).state_dict()["counts"].tolist() == counts.tolist()
    seen = [set(train.items[train.users == user].tolist()) for user in range(split.n_users)]
    assert UnseenItems(train, device).n_unseen.tolist() == [
        split.n_items - len(own) for own in seen
    ]
    for part in (split.valid, split.test):
        assert part.warm_items.tolist() == (counts > 0).tolist()
    # What a user has in the test alone is a negative like anything else that they never had.
    askable = [user for user, own in enumerate(seen) if len(own) < split.n_items]
    users = torch.tensor(askable).repeat_interleave(200)
    drawn = UnseenItems(train, device).draw(users, 1, generator(0, rule))[:, 0]
    for user in askable:
        assert set(drawn[users == user].tolist()) == set(range(split.n_items)) - seen[user]


def test_what_stops_a_training_is_validation() -> None:
    """The same training data and another test part: every validation number and the epoch chosen are the same."""
    world, rule = of(ORDINARY), RULES["global_time"]
    split = rule(world)
    histories = []
    for part in (split, rule(other_items(world, split)), rule(fewer(world, split))):
        model, numbers = unfitted("mf", part.train), []
        trainer = build(
            settings("trainer", "gradient") | SMALL_DATA | {"epochs": 8, "patience": 2},
            key="trainer",
            seed=0,
        )

        def validate(model: Any = model, part: Split = part) -> dict[str, float]:
            found = evaluate(model, part.valid, protocol(["ndcg"], [3]), device=CPU)
            return {"ndcg_at_3": found.primary}

        trainer.fit(
            model,
            part.train,
            device=Device("cpu", 1),
            primary="ndcg_at_3",
            validate=validate,
            report=lambda epoch, told, into=numbers: into.append((epoch, told["valid_ndcg_at_3"])),
            progress=Silent(),
        )
        histories.append((numbers, weights_digest(model)))
    assert histories[0] == histories[1] == histories[2]


def test_the_data_has_room_for_a_leak() -> None:
    """The tests above can fail: a model that is given the test events as well learns something else."""
    split = RULES["global_time"](of(ORDINARY))
    for model in LEARNERS:
        cheated = fit(model, split.test.history)
        assert weights_digest(cheated) != weights_digest(fit(model, split.train))
    assert len(
        PairBatches(split.train, unfitted("mf", split.train), batch_size=8, seed=0, device=CPU)
    )
    assert split.test.targets.times.max() - split.train.times.max() > DAY_SECONDS

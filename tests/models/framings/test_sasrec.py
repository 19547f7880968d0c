"""SASRec: windows against queries, causality, and the losses that are one another's special cases."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from recsys_cli.data.batches import Draws, Negatives, Sequences
from recsys_cli.data.context import ContextFacts
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ConfigError
from recsys_cli.models.framings.sasrec import SASRec
from recsys_cli.seeds import isolated
from tests.models.framings.windows import (
    ITEMS,
    N_ITEMS,
    REAL,
    asked_one_by_one,
    batch,
    padded_by,
    scores,
    targets,
)

FACTS = ContextFacts({"weather": 3, "event_type": 2}, (0, 1_000_000))
IN_CONTEXT = ["gap", "weekday", "hour", "clock", "weather", "event_type"]
LOSSES = ["softmax", "sampled_softmax", "bce", "gbce"]


def make(loss="softmax", **settings) -> SASRec:
    given = {
        "dim": 6, "blocks": 2, "heads": 2, "dropout": 0.0, "history_length": 10,
        "n_negatives": 4, "logq": 1.0, "calibration": 0.75, "context": [],
    }  # fmt: skip
    with isolated(0, "init"):
        model = SASRec(n_items=N_ITEMS, context_facts=FACTS, loss=loss, **(given | settings))
        for table in (
            model.items,
            model.places,
        ):  # what a position knows is to be seen in its scores
            torch.nn.init.normal_(table)
    return model


def drawn(*items: int) -> Negatives:
    return Negatives(torch.tensor(items), torch.full((N_ITEMS,), -math.log(N_ITEMS)))


def test_a_position_in_training_is_scored_as_a_query_would_be():
    model = make()
    assert model.loss(batch()).item() == pytest.approx(asked_one_by_one(model).item(), abs=1e-5)


def test_more_padding_changes_nothing():
    model = make().eval()
    queries = Queries(items=torch.tensor([[-1, -1, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]]))
    found = model.score(queries)
    assert torch.allclose(model.score(padded_by(6, queries)), found, atol=1e-6)
    assert torch.equal(found[2], torch.zeros(N_ITEMS))


def test_what_comes_after_a_position_does_not_reach_it():
    model = make()
    first_only = torch.zeros_like(REAL)
    first_only[:, 0] = True
    later = ITEMS.clone()
    later[:, 1:] = 10
    assert model.loss(batch(real=first_only, items=later)).item() == pytest.approx(
        model.loss(batch(real=first_only)).item(), abs=1e-6
    )


@pytest.mark.parametrize("changed", [[[2, 1, 3]], [[1, 3]]])
def test_order_and_length_matter(changed):
    model = make().eval()
    one, other = (model.score(Queries(items=torch.tensor(x))) for x in ([[1, 2, 3]], changed))
    assert not torch.allclose(one, other, atol=1e-3)


def test_the_attention_is_that_of_the_definition():
    """softmax(Q K / sqrt(width)) V of each head, over the positions up to the asking one."""
    attention = make().blocks[0].attention
    with isolated(1, "x"):
        x = torch.randn(1, 3, 6)
    q, k, v = attention.project(x).chunk(3, dim=2)
    rows = []
    for t in range(3):
        heads = []
        for part in (slice(0, 3), slice(3, 6)):
            weights = (k[0, : t + 1, part] @ q[0, t, part] / math.sqrt(3)).softmax(0)
            heads.append(weights @ v[0, : t + 1, part])
        rows.append(attention.join(torch.cat(heads)))
    assert torch.allclose(attention(x)[0], torch.stack(rows), atol=1e-6)


def test_with_one_negative_and_no_calibration_gbce_is_bce():
    """And both are the mean of two binary cross-entropies."""
    own = torch.tensor([[[4], [6], [0], [1]], [[2], [9], [1], [1]]])
    each = Negatives(own, torch.zeros(N_ITEMS))
    plain, general = make("bce"), make("gbce", n_negatives=1, calibration=0.0)
    both = torch.stack([targets(), torch.tensor([4, 6, 0, 2, 9])], dim=1)
    logits = scores(plain).gather(1, both).T
    truth = torch.tensor([[1.0] * 5, [0.0] * 5])
    value = binary_cross_entropy_with_logits(logits, truth).item()
    assert plain.loss(batch(each)).item() == pytest.approx(value, abs=1e-6)
    assert general.loss(batch(each)).item() == plain.loss(batch(each)).item()
    assert make("gbce", n_negatives=1).loss(batch(each)).item() != plain.loss(batch(each)).item()


def test_a_shared_draw_is_the_same_draw_for_each_position():
    model = make("gbce", n_negatives=3)
    own = torch.tensor([4, 9, 10]).expand(2, 4, 3)
    each = Negatives(own, torch.zeros(N_ITEMS))
    assert model.loss(batch(drawn(4, 9, 10))).item() == pytest.approx(
        model.loss(batch(each)).item(), abs=1e-6
    )


def test_a_target_that_is_drawn_is_not_its_own_negative():
    model = make("gbce", n_negatives=2, calibration=0.0)
    alone = torch.zeros_like(REAL)
    alone[0, 0] = True  # its target is 5
    score = scores(model)[0, 5]
    expected = -torch.nn.functional.logsigmoid(score).item() / 3
    assert model.loss(batch(drawn(5, 5), real=alone)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("logq", [0.0, 1.0])
def test_with_every_item_drawn_evenly_sampled_softmax_is_softmax(logq):
    """An item that is expected once needs no correction, so that logq = 0 and 1 are the same there."""
    full, sampled = make(), make("sampled_softmax", logq=logq)
    every = drawn(*range(N_ITEMS))
    assert sampled.loss(batch(every)).item() == pytest.approx(full.loss(batch()).item(), abs=1e-6)


def test_logq_0_is_the_plain_softmax_over_the_target_and_the_draw():
    uneven = Negatives(torch.tensor([4, 6]), torch.linspace(-3, -1, N_ITEMS))
    found = scores(make())
    among = torch.cat([found.gather(1, targets()[:, None]), found[:, [4, 6]]], dim=1)
    expected = -among.log_softmax(1)[:, 0].mean().item()
    assert make("sampled_softmax", logq=0.0).loss(batch(uneven)).item() == pytest.approx(
        expected, abs=1e-6
    )
    assert make("sampled_softmax").loss(batch(uneven)).item() != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("loss", "negatives", "draws"),
    [
        ("softmax", None, None),
        ("sampled_softmax", 4, Draws()),
        ("bce", 1, Draws(power=0.0, each=True)),
        ("gbce", 4, Draws(power=0.0)),
    ],
)
def test_each_loss_says_what_it_wants_drawn(loss, negatives, draws):
    model = make(loss)
    assert model.negatives == negatives
    assert negatives is None or model.draws == draws


@pytest.mark.parametrize("loss", LOSSES)
def test_all_parameters_learn_by_every_loss(loss):
    model = make(loss)
    own = torch.full((2, 4, 1), 4)
    given = {"softmax": None, "bce": Negatives(own, torch.zeros(N_ITEMS))}.get(
        loss, drawn(1, 2, 4, 4)
    )
    model.loss(batch(given)).backward()
    assert all((p.grad != 0).any() for p in model.parameters())
    assert len({make(name).in_words() for name in LOSSES}) == len(LOSSES)


def test_heads_share_the_vector_evenly():
    with pytest.raises(ConfigError, match=r"model.dim=6 is no multiple of model.heads=4"):
        make(heads=4)


def crossed(model: SASRec) -> SASRec:
    """With crosses that can be seen in the scores."""
    for cross in (model.event_cross, model.request_cross):
        for weight in cross.parameters():
            torch.nn.init.normal_(weight)
    return model


def in_context(**changed: torch.Tensor) -> Sequences:
    """Three events and the one after each, with moments and columns."""
    columns = {
        "items": torch.tensor([[1, 5, 2]]), "times": torch.tensor([[0, 4_000, 90_000]]),
        "targets": torch.tensor([[5, 2, 9]]), "now": torch.tensor([[4_000, 90_000, 95_000]]),
        "real": torch.ones(1, 3, dtype=torch.bool),
    } | changed  # fmt: skip
    weather, kind = torch.tensor([[0, 1, 2]]), torch.tensor([[1, 0, 1]])
    return Sequences(
        **columns,
        context={"weather": weather, "event_type": kind},
        asked={"weather": torch.tensor([[1, 2, 0]])},
    )


def asked_at(batch: Sequences, t: int) -> Queries:
    """Position t of the window as a query, with padding."""
    pad = torch.full((1, 2), -1)
    return Queries(
        items=torch.cat([pad, batch.items[:, : t + 1]], 1),
        times=torch.cat([pad, batch.times[:, : t + 1]], 1),
        now=batch.now[:, t],
        context={
            name: torch.cat([pad, codes[:, : t + 1]], 1) for name, codes in batch.context.items()
        },
        asked={name: codes[:, t] for name, codes in batch.asked.items()},
    )


def test_in_a_context_a_position_in_training_is_scored_as_a_query_would_be():
    model, window = crossed(make(context=IN_CONTEXT)), in_context()
    with torch.no_grad():
        answers = torch.cat([model.score(asked_at(window, t)) for t in range(3)])
    expected = torch.nn.functional.cross_entropy(answers, window.targets[0])
    assert model.loss(window).item() == pytest.approx(expected.item(), abs=1e-5)
    assert model.reads == {"items", "times", "now", "context.weather", "context.event_type"}


def test_with_zero_cross_vectors_it_is_the_model_without_context():
    told, plain = make(context=IN_CONTEXT), make()
    plain.load_state_dict({k: v for k, v in told.state_dict().items() if "cross" not in k})
    for cross in (told.event_cross, told.request_cross):
        for weight in cross.parameters():
            torch.nn.init.zeros_(weight)
    query = asked_at(in_context(), 2)
    assert plain.reads == {"items"}
    assert torch.equal(told.score(query), plain.score(Queries(items=query.items)))


@pytest.mark.parametrize("context", [["hour"], ["clock"], ["weather"]])
def test_the_moment_of_the_request_matters(context):
    model, query = crossed(make(context=context)), asked_at(in_context(), 2)
    later = replace(query, now=query.now + 7_200, asked={"weather": torch.tensor([2])})
    assert not torch.allclose(model.score(query), model.score(later), atol=1e-3)


def test_the_answer_and_its_moment_do_not_reach_the_position_that_is_asked():
    """What comes with the answer, and all that comes later, may be anything."""
    model = crossed(make(context=IN_CONTEXT))
    first_only = torch.tensor([[True, False, False]])
    changed = {"items": torch.tensor([[1, 8, 7]]), "times": torch.tensor([[0, 4_001, 7]])}
    changed |= {"targets": torch.tensor([[5, 7, 7]]), "now": torch.tensor([[4_000, 7, 7]])}
    window = in_context(real=first_only)
    other = in_context(real=first_only, **changed)
    other.context["event_type"][0, 1:] = 1 - other.context["event_type"][0, 1:]
    assert model.loss(other).item() == pytest.approx(model.loss(window).item(), abs=1e-6)

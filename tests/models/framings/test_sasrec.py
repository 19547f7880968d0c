"""SASRec: windows against queries, causality, and the losses that are one another's special cases."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from recsys_cli.data.batches import Draws, Negatives
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

LOSSES = ["softmax", "sampled_softmax", "bce", "gbce"]


def make(loss="softmax", **settings) -> SASRec:
    given = {
        "dim": 6, "blocks": 2, "heads": 2, "dropout": 0.0, "history_length": 10,
        "n_negatives": 4, "logq": 1.0, "calibration": 0.75,
    }  # fmt: skip
    with isolated(0, "init"):
        model = SASRec(n_items=N_ITEMS, loss=loss, **(given | settings))
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

"""HSTU: windows against queries, its block against the definition, and what it knows of time."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, silu

from recsys_cli.data.batches import Negatives, Sequences
from recsys_cli.data.queries import Queries
from recsys_cli.errors import ConfigError
from recsys_cli.models.framings import hstu
from recsys_cli.models.framings.hstu import HSTU, buckets
from recsys_cli.seeds import isolated
from tests.models.framings.windows import ITEMS, N_ITEMS, PLACES, REAL, TARGETS, targets

TIMES = torch.tensor([[0, 4_000, 90_000, 0], [10, 200_000, 0, 0]])
NOW = torch.tensor([[4_000, 90_000, 95_000, 0], [200_000, 900_000, 0, 0]])


def make(time_bias="request", **settings) -> HSTU:
    given = {
        "dim": 6, "blocks": 2, "heads": 2, "dropout": 0.0, "history_length": 10,
        "loss": "softmax", "n_negatives": 4, "logq": 1.0, "calibration": 0.75,
    }  # fmt: skip
    with isolated(0, "init"):
        model = HSTU(n_items=N_ITEMS, time_bias=time_bias, **(given | settings))
        tables = [model.items, model.places]
        for block in model.blocks:
            tables += [block.place_bias, *([block.time_bias] if time_bias != "none" else [])]
        for table in tables:  # what a position knows is to be seen in its scores
            torch.nn.init.normal_(table)
    return model.eval()


def batch(negatives=None, **changed) -> Sequences:
    columns = {"items": ITEMS, "times": TIMES, "targets": TARGETS, "now": NOW, "real": REAL}
    return Sequences(**(columns | changed), negatives=negatives)


def asked(row: int, t: int) -> Queries:
    """The question that a position of training is."""
    return Queries(
        items=ITEMS[row : row + 1, : t + 1],
        times=TIMES[row : row + 1, : t + 1],
        now=NOW[row, t : t + 1],
    )


def queries() -> Queries:
    items = torch.tensor([[-1, -1, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]])
    times = torch.where(items >= 0, items * 90_000, -1)
    return Queries(items=items, times=times, now=torch.tensor([500_000, 400_000, 10]))


@pytest.mark.parametrize("time_bias", ["none", "event", "request"])
def test_a_position_in_training_is_scored_as_a_query_would_be(time_bias):
    model = make(time_bias)
    with torch.no_grad():
        one_by_one = torch.cat([model.score(asked(row, t)) for row, t in PLACES])
    expected = cross_entropy(one_by_one, targets()).item()
    assert model.loss(batch()).item() == pytest.approx(expected, abs=1e-5)


def test_more_padding_and_other_rows_change_nothing_and_without_a_history_all_scores_are_0(
    monkeypatch,
):
    model, question = make(), queries()
    longer = Queries(
        items=torch.nn.functional.pad(question.items, (5, 0), value=-1),
        times=torch.nn.functional.pad(question.times, (5, 0), value=-1),
        now=question.now,
    )
    found = model.score(question)
    assert torch.allclose(model.score(longer), found, atol=1e-6)
    assert torch.equal(found[2], torch.zeros(N_ITEMS))
    monkeypatch.setattr(hstu, "ROWS_AT_ONCE", 2)
    assert torch.allclose(model.score(question), found, atol=1e-6)


def test_a_block_is_its_definition():
    block = make(history_length=7).blocks[0]
    x = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(1))
    passed = torch.tensor([[[0, 9, 9], [3, 1, 9], [7, 3, 2]]])
    u, v, q, k = silu(block.project(block.norms[0](x)))[0].chunk(4, dim=1)
    taken = torch.zeros(3, 6)
    for row in range(3):
        for earlier in range(row + 1):
            for head in (slice(0, 3), slice(3, 6)):
                bias = block.place_bias[row - earlier] + block.time_bias[passed[0, row, earlier]]
                weight = silu(q[row, head] @ k[earlier, head] + bias) / 7
                taken[row, head] += weight * v[earlier, head]
    expected = x[0] + block.join(block.norms[1](taken) * u)
    assert torch.allclose(block(x, passed)[0], expected, atol=1e-5)


def test_with_a_time_bias_of_0_it_is_the_model_without_time():
    timed, without = make(), make("none")
    for block in timed.blocks:
        torch.nn.init.zeros_(block.time_bias)
    weights = {k: v for k, v in timed.state_dict().items() if "time_bias" not in k}
    without.load_state_dict(weights)
    assert torch.equal(timed.score(queries()), without.score(Queries(items=queries().items)))
    assert without.reads == {"items"}


def test_a_new_model_knows_no_time_yet():
    with isolated(0, "init"):
        model = HSTU(
            n_items=N_ITEMS, dim=6, blocks=1, heads=1, dropout=0.0, history_length=4,
            time_bias="request", loss="softmax", n_negatives=4, logq=1.0, calibration=0.75,
        )  # fmt: skip
    assert not any(block.time_bias.any() or block.place_bias.any() for block in model.blocks)


def test_time_is_coded_by_its_logarithm():
    seconds = torch.tensor([0, 1, -1, 2, 60, -3_600, 86_400, 2**40, 2**60])
    expected = [min(int(math.log(max(abs(s), 1)) / 0.301), 127) for s in seconds.tolist()]
    assert buckets(seconds).tolist() == expected
    assert expected[-1] == 127


def test_the_moment_of_the_request_matters_where_it_is_read():
    question = queries()
    later = Queries(items=question.items, times=question.times, now=question.now + 86_400)
    assert not torch.allclose(make().score(later)[:2], make().score(question)[:2], atol=1e-4)
    by_event = make("event")
    assert by_event.reads == {"items", "times"}
    assert torch.equal(by_event.score(later), by_event.score(question))
    earlier = Queries(items=question.items, times=question.times // 2, now=question.now)
    assert not torch.allclose(by_event.score(earlier)[:2], by_event.score(question)[:2], atol=1e-4)


def test_of_what_comes_after_a_position_only_the_moment_of_its_request_reaches_it():
    model = make()
    first_only = torch.zeros_like(REAL)
    first_only[:, 0] = True
    before = model.loss(batch(real=first_only)).item()
    items, times, goals, now = ITEMS.clone(), TIMES.clone(), TARGETS.clone(), NOW.clone()
    items[:, 1:], times[:, 1:], goals[:, 1:], now[:, 1:] = 10, 77, 4, 5_000_000
    changed = batch(real=first_only, items=items, times=times, targets=goals, now=now)
    assert model.loss(changed).item() == pytest.approx(before, abs=1e-6)
    now[:, 0] += 1_000_000
    assert model.loss(changed).item() != pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "bce", "gbce"])
def test_all_parameters_learn_by_every_loss(loss):
    model = make(loss=loss)
    chance = torch.full((N_ITEMS,), -math.log(N_ITEMS))
    drawn = {
        "softmax": None,
        "bce": Negatives(torch.full((2, 4, 1), 4), chance),
    }.get(loss, Negatives(torch.tensor([1, 2, 4, 4]), chance))
    model.loss(batch(drawn)).backward()
    assert all((p.grad != 0).any() for p in model.parameters())
    assert "model.loss" in model.in_words()


def test_heads_share_the_vector_evenly():
    with pytest.raises(ConfigError, match=r"model.dim=6 is no multiple of model.heads=4"):
        make(heads=4)

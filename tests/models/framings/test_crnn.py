"""CRNN: windows against queries, what a moment changes, and the plain GRU that it is without one."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from recsys_cli.data.batches import Negatives, Sequences
from recsys_cli.data.context import ContextFacts
from recsys_cli.data.queries import Queries
from recsys_cli.models.framings.crnn import CRNN, ContextGRU
from recsys_cli.models.layers import ContextVectors, Moments
from recsys_cli.seeds import isolated
from tests.models.framings.windows import ITEMS, N_ITEMS, PLACES, REAL, TARGETS, targets

FACTS = ContextFacts({"weather": 3, "event_type": 2}, (0, 1_000_000))
CLOCK = ["gap", "weekday", "hour", "clock"]
TIMES = torch.tensor([[0, 4_000, 90_000, 0], [10, 200_000, 0, 0]])
NOW = torch.tensor([[4_000, 90_000, 95_000, 0], [200_000, 900_000, 0, 0]])


def make(context=CLOCK, how="concat_mult", **settings) -> CRNN:
    given = {
        "dim": 6, "hidden": 5, "dropout": 0.0, "context_dim": 4, "events": how, "request": how, "transitions": True,
        "history_length": 10, "loss": "softmax", "n_negatives": 4, "logq": 1.0, "calibration": 0.75,
    }  # fmt: skip
    with isolated(0, "init"):
        model = CRNN(
            n_items=N_ITEMS, context_facts=FACTS, context=list(context), **(given | settings)
        )
        nn.init.normal_(model.bias)
        for weight in vectors(model):  # what a moment tells is to be seen in the scores
            nn.init.normal_(weight)
    return model.eval()


def vectors(model: nn.Module) -> list[nn.Parameter]:
    """What is learnt of moments."""
    of = [part for part in model.modules() if isinstance(part, ContextVectors)]
    return [weight for part in of for weight in part.parameters()]


def batch(negatives=None, **changed) -> Sequences:
    columns = {"items": ITEMS, "times": TIMES, "targets": TARGETS, "now": NOW, "real": REAL}
    return Sequences(**(columns | changed), negatives=negatives)


def queries() -> Queries:
    items = torch.tensor([[-1, -1, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]])
    times = torch.where(items >= 0, items * 90_000, -1)
    return Queries(items=items, times=times, now=torch.tensor([500_000, 400_000, 10]))


@pytest.mark.parametrize("transitions", [True, False])
@pytest.mark.parametrize("how", ["concat", "mult", "concat_mult"])
def test_a_position_in_training_is_scored_as_a_query_would_be(how, transitions):
    model = make(how=how, transitions=transitions)
    one_by_one = [
        model.score(
            Queries(
                items=ITEMS[row : row + 1, : t + 1],
                times=TIMES[row : row + 1, : t + 1],
                now=NOW[row, t : t + 1],
            )
        )
        for row, t in PLACES
    ]
    expected = cross_entropy(torch.cat(one_by_one), targets()).item()
    assert model.loss(batch()).item() == pytest.approx(expected, abs=1e-5)


def test_more_padding_changes_nothing_and_without_a_history_items_are_ranked_by_their_bias():
    model, question = make(), queries()
    longer = Queries(
        items=nn.functional.pad(question.items, (5, 0), value=-1),
        times=nn.functional.pad(question.times, (5, 0), value=-1),
        now=question.now,
    )
    assert torch.allclose(model.score(longer), model.score(question), atol=1e-6)
    assert torch.allclose(model.score(question)[2], model.bias)


def test_multiplied_by_a_factor_of_1_it_is_the_plain_gru():
    crossed, plain = make(how="mult", transitions=False), make(context=[])
    weights = {k: v for k, v in crossed.state_dict().items() if ".factor." not in k}
    plain.load_state_dict(weights)
    assert not torch.allclose(crossed.score(queries()), plain.score(queries()), atol=1e-3)
    for weight in vectors(crossed):
        nn.init.zeros_(weight)
    assert torch.equal(crossed.score(queries()), plain.score(Queries(items=queries().items)))
    assert plain.reads == {"items"}


@pytest.mark.parametrize("how", ["concat", "concat_mult"])
def test_with_weights_of_0_for_what_is_beside_it_concatenation_is_without_it(how):
    both, other = make(how=how), make(how="mult" if "mult" in how else how, context=CLOCK)
    if how == "concat":
        other = make(context=[], transitions=False)
        nn.init.zeros_(both.gru.factors.numbers.weight)
        for table in both.gru.factors.tables.values():
            nn.init.zeros_(table.weight)
    weights = both.state_dict()
    for name, dim in (("gru.gru.weight_ih_l0", 6), ("to_item.weight", 5)):
        weights[name][:, dim:] = 0
    both.load_state_dict(weights)
    for name, dim in (("gru.gru.weight_ih_l0", 6), ("to_item.weight", 5)):
        weights[name] = weights[name][:, :dim]
    other.load_state_dict({name: weights[name] for name in other.state_dict()})
    assert torch.allclose(both.score(queries()), other.score(queries()), atol=1e-6)


def test_with_factors_of_1_the_steps_are_those_of_torch_and_their_gradients_too():
    with isolated(0, "init"):
        net = ContextGRU(6, 5, ["hour"], FACTS)
        inputs = torch.randn(7, 3, 6, requires_grad=True)
    nn.init.zeros_(net.factors.tables["hour"].weight)
    now = torch.arange(21).view(7, 3) * 5_000
    found, expected = net(inputs, Moments(now, now)), net.gru(inputs)[0]
    assert torch.allclose(found, expected, atol=1e-6)
    of = [inputs, *net.gru.parameters()]
    ours, theirs = (torch.autograd.grad(out.square().sum(), of) for out in (found, expected))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_a_step_is_its_definition():
    with isolated(0, "init"):
        net = ContextGRU(6, 5, ["hour"], FACTS)
        inputs = torch.randn(2, 1, 6)
    nn.init.normal_(net.factors.tables["hour"].weight)
    now = torch.tensor([[3_600], [9 * 3_600]])
    into, over, into_bias, over_bias = net.gru.all_weights[0]
    state = torch.zeros(1, 5)
    for t, hour in enumerate((1, 9)):
        x = (inputs[t] @ into.T + into_bias).chunk(3, 1)
        factor = 1 + net.factors.tables["hour"].weight[hour]
        h = (state @ over.T * factor + over_bias).chunk(3, 1)
        reset, keep = torch.sigmoid(x[0] + h[0]), torch.sigmoid(x[1] + h[1])
        state = (1 - keep) * torch.tanh(x[2] + reset * h[2]) + keep * state
    assert torch.allclose(net(inputs, Moments(now, now))[-1], state, atol=1e-6)


def test_the_moments_of_request_and_events_matter_each_where_it_is_integrated():
    question = queries()
    later = Queries(items=question.items, times=question.times, now=question.now + 3_600)
    earlier = Queries(items=question.items, times=question.times // 2, now=question.now)
    for how in ("concat", "mult", "concat_mult"):
        model = make(["hour"], how=how, transitions=False)
        for other in (later, earlier):
            changed = model.score(other) - model.score(question)
            assert changed[:2].abs().amax(1).min() > 1e-4
            assert not changed[2].any()
    by_step = make(["hour"], how="mult")
    for part in (by_step.events, by_step.request):
        nn.init.zeros_(part.factor.tables["hour"].weight)
    assert torch.equal(by_step.score(later), by_step.score(question))
    assert not torch.allclose(by_step.score(earlier)[:2], by_step.score(question)[:2], atol=1e-4)


def test_of_what_comes_after_a_position_only_the_moment_of_its_request_reaches_it():
    model = make()
    first_only = torch.zeros_like(REAL)
    first_only[:, 0] = True
    before = model.loss(batch(real=first_only)).item()
    items, times, goals, now = ITEMS.clone(), TIMES.clone(), TARGETS.clone(), NOW.clone()
    items[:, 1:], times[:, 1:], goals[:, 1:], now[:, 1:] = 10, 77, 4, 5_000_000
    changed = batch(real=first_only, items=items, times=times, targets=goals, now=now)
    assert model.loss(changed).item() == pytest.approx(before, abs=1e-6)
    now[:, 0] += 100_000
    assert model.loss(changed).item() != pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize("how", ["concat", "mult", "concat_mult"])
def test_columns_of_the_data_matter_those_of_the_answer_only_when_they_are_past(how):
    model = make(["weather", "event_type"], how=how)
    assert model.request.context.coded == ["weather"]
    assert model.reads == {"items", "context.weather", "context.event_type"}
    items = torch.tensor([[-1, 2, 1], [1, 2, 3]])

    def scores(weather, event_type, asked):
        context = {"weather": torch.tensor(weather), "event_type": torch.tensor(event_type)}
        return model.score(
            Queries(items=items, context=context, asked={"weather": torch.tensor(asked)})
        )

    base = scores([[-1, 0, 1], [0, 1, 2]], [[-1, 0, 1], [1, 1, 0]], [0, 1])
    others = [
        scores([[-1, 2, 1], [0, 2, 2]], [[-1, 0, 1], [1, 1, 0]], [0, 1]),
        scores([[-1, 0, 1], [0, 1, 2]], [[-1, 1, 1], [1, 0, 0]], [0, 1]),
        scores([[-1, 0, 1], [0, 1, 2]], [[-1, 0, 1], [1, 1, 0]], [2, 0]),
    ]
    assert all((other - base).abs().amax(1).min() > 1e-4 for other in others)


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

"""The contextual sequence model: padding, windows and context."""

import math

import pytest
import torch

from recsys_cli.data.batches import Negatives, Sequences
from recsys_cli.data.context import ContextFacts
from recsys_cli.data.queries import Queries
from recsys_cli.models.framings.seq import Seq, shuffled

N_ITEMS = 11
FACTS = ContextFacts({"weather": 3, "event_type": 2}, (0, 1_000_000))


def make(context=("gap", "weekday", "hour"), **settings) -> Seq:
    given = {
        "dim": 6,
        "hidden": 5,
        "dropout": 0.0,
        "last_item": False,
        "shift": False,
        "returns": False,
        "history_length": 10,
        "shuffled": False,
        "softmax": "auto",
        "n_negatives": 4,
    }
    return Seq(
        n_items=N_ITEMS, context_facts=FACTS, context=list(context), **(given | settings)
    ).eval()


@pytest.fixture
def queries() -> Queries:
    items = torch.tensor([[-1, -1, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]])
    times = torch.where(items >= 0, items * 90_000, -1)
    return Queries(items=items, times=times, now=torch.tensor([500_000, 400_000, 10]))


def test_it_reads_moments_only_if_it_has_a_context():
    assert make().reads == {"items", "times", "now"}
    assert make(context=[]).reads == {"items"}
    assert make(context=["weather"]).reads == {"items", "context.weather"}
    assert make(context=["clock"]).reads == {"items", "times", "now"}


def test_more_padding_changes_nothing(queries):
    model = make()
    longer = Queries(
        items=torch.nn.functional.pad(queries.items, (5, 0), value=-1),
        times=torch.nn.functional.pad(queries.times, (5, 0), value=-1),
        now=queries.now,
    )
    assert torch.allclose(model.score(longer), model.score(queries), atol=1e-6)


def test_without_a_history_items_are_ranked_by_their_bias(queries):
    model = make()
    torch.nn.init.normal_(model.bias)
    assert torch.allclose(model.score(queries)[2], model.bias)


def test_with_zero_vectors_the_last_item_adds_nothing_and_otherwise_its_product(queries):
    """Every model starts as the one without: there is no step from the zeros but by learning."""
    told, plain = make(last_item=True), make()
    plain.load_state_dict({k: v for k, v in told.state_dict().items() if k != "followers"})
    before = plain.score(queries)
    assert torch.equal(told.score(queries), before)
    torch.nn.init.normal_(told.followers)
    added = told.score(queries) - before
    assert torch.allclose(added[:2], (told.followers[4] @ told.items.T).expand(2, -1), atol=1e-5)
    assert torch.equal(added[2], torch.zeros(N_ITEMS))  # there is no last item


def test_the_moment_weighs_the_last_items_own_vector(queries):
    told, plain = make(["hour"], returns=True), make(["hour"])
    plain.load_state_dict({k: v for k, v in told.state_dict().items() if "weights" not in k})
    hour = queries.now // 3_600 % 24
    weights = torch.nn.init.normal_(told.weights.tables["hour"].weight)[hour]
    added = told.score(queries) - plain.score(queries)
    assert torch.allclose(added[:2], (weights * told.items[4] @ told.items.T)[:2], atol=1e-5)
    assert torch.equal(added[2], torch.zeros(N_ITEMS))
    assert make(["event_type"], returns=True).weights is None  # nothing is known of the request


def test_the_moment_may_add_a_vector_where_a_history_tells_nothing(queries):
    told, plain = make(["hour"], shift=True), make(["hour"])
    plain.load_state_dict({k: v for k, v in told.state_dict().items() if "shift" not in k})
    hour = queries.now // 3_600 % 24
    torch.nn.init.normal_(told.request_shift.tables["hour"].weight)
    added = told.score(queries) - plain.score(queries)
    own = told.request_shift.tables["hour"].weight[hour] @ told.items.T
    assert torch.allclose(added[:2], own[:2], atol=1e-5)
    assert torch.equal(added[2], torch.zeros(N_ITEMS))
    assert make(["event_type"], shift=True).request_shift is None  # nothing is known of the request


@pytest.mark.parametrize("extra", [{}, {"last_item": True}, {"shift": True}, {"returns": True}])
def test_a_position_in_training_is_scored_as_a_query_would_be(extra):
    """The loss at a position is that of the query made of the events up to it, at the next event's moment."""
    model = make(**extra)
    for name, weight in model.named_parameters():
        if name.startswith(("followers", "request_shift", "weights")):
            torch.nn.init.normal_(weight)
    items = torch.tensor([[1, 5, 2, 0], [7, 3, 0, 0]])
    times = torch.tensor([[0, 4_000, 90_000, 0], [10, 200_000, 0, 0]])
    targets = torch.tensor([[5, 2, 9, 0], [3, 8, 0, 0]])
    now = torch.tensor([[4_000, 90_000, 95_000, 0], [200_000, 900_000, 0, 0]])
    real = torch.tensor([[True, True, True, False], [True, True, False, False]])
    loss = model.loss(Sequences(items=items, times=times, targets=targets, now=now, real=real))
    losses = []
    for row, length in ((0, 3), (1, 2)):
        for t in range(length):
            query = Queries(
                items=items[row : row + 1, : t + 1],
                times=times[row : row + 1, : t + 1],
                now=now[row, t : t + 1],
            )
            losses.append(
                torch.nn.functional.cross_entropy(model.score(query), targets[row, t : t + 1])
            )
    assert loss.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)


def test_with_zero_cross_vectors_it_is_the_model_without_context(queries):
    names = ["gap", "weekday", "hour", "clock"]
    with_context, without = make(names), make(context=[])
    weights = {k: v for k, v in with_context.state_dict().items() if "cross" not in k}
    without.load_state_dict(weights)
    for cross in (with_context.event_cross, with_context.request_cross):
        for weight in cross.parameters():
            torch.nn.init.zeros_(weight)
    assert torch.equal(with_context.score(queries), without.score(Queries(items=queries.items)))


def test_the_moment_of_the_request_matters(queries):
    model = make()
    for table in model.request_cross.tables.values():
        torch.nn.init.normal_(table.weight)
    later = Queries(items=queries.items, times=queries.times, now=queries.now + 3_600)
    assert not torch.allclose(model.score(later)[:2], model.score(queries)[:2], atol=1e-4)


def test_the_target_does_not_leak_into_its_own_query():
    """Changing what comes after a position leaves the loss at that position as it was."""
    model = make()
    base = {
        "items": torch.tensor([[1, 5, 2]]), "times": torch.tensor([[0, 50, 90]]),
        "targets": torch.tensor([[5, 2, 9]]), "now": torch.tensor([[50, 90, 120]]),
    }  # fmt: skip
    first_only = torch.tensor([[True, False, False]])
    loss = model.loss(Sequences(**base, real=first_only))
    changed = {name: column.clone() for name, column in base.items()}
    for column in changed.values():
        column[0, 2] = 7
    changed["items"][0, 1] = 8
    changed["times"][0, 1] = 60
    assert model.loss(Sequences(**changed, real=first_only)).item() == pytest.approx(
        loss.item(), abs=1e-6
    )


def test_columns_of_the_data_matter_those_of_the_answer_only_when_they_are_past():
    model = make(["weather", "event_type"])
    assert model.request_cross.coded == ["weather"]
    for cross in (model.event_cross, model.request_cross):
        for weight in cross.parameters():
            torch.nn.init.normal_(weight)
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


@pytest.mark.parametrize(
    ("n_items", "softmax", "drawn"),
    [
        (10_000, "auto", None),
        (10_001, "auto", 4),
        (11, "sampled", 4),
        (10_001, "full", None),
    ],
)
def test_the_catalogues_size_or_the_setting_says_what_is_compared(n_items, softmax, drawn):
    given = {"dim": 2, "hidden": 2, "dropout": 0.0, "context": [], "history_length": 3}
    given |= {"shuffled": False, "last_item": False, "shift": False, "returns": False}
    model = Seq(n_items=n_items, context_facts=FACTS, softmax=softmax, n_negatives=4, **given)
    assert model.negatives == drawn
    words = "over all" if drawn is None else "the next item and 4 of"
    assert words in model.in_words()
    assert f"{n_items:,} items" in model.in_words() or f"{n_items:,} drawn" in model.in_words()


def test_negatives_of_a_batch_take_the_place_of_the_catalogue():
    """With every item drawn once, it is the full softmax; with one that is sure, the comparison of two."""
    model = make(context=[])
    real = torch.tensor([[True, True, False]])
    columns = {
        "items": torch.tensor([[1, 5, 0]]), "times": None,
        "targets": torch.tensor([[5, 2, 0]]), "now": None, "real": real,
    }  # fmt: skip

    def loss(negatives):
        return model.loss(Sequences(**columns, negatives=negatives)).item()

    every = Negatives(torch.arange(N_ITEMS), torch.full((N_ITEMS,), -math.log(N_ITEMS)))
    assert loss(every) == pytest.approx(loss(None), abs=1e-6)
    one = Negatives(torch.tensor([7]), torch.zeros(N_ITEMS))
    expected = []
    for length, target in ((1, 5), (2, 2)):
        scores = model.score(Queries(items=columns["items"][:, :length]))[0, [target, 7]]
        expected.append(-scores.log_softmax(0)[0].item())
    assert loss(one) == pytest.approx(sum(expected) / 2, abs=1e-6)


def test_a_shuffled_history_is_the_same_in_any_order_and_no_other(queries):
    model = make(context=[], shuffled=True)
    scores = model.score(Queries(items=queries.items))
    turned = Queries(items=torch.tensor([[-1, -1, 4, 3], [3, 1, 4, 2], [-1, -1, -1, -1]]))
    assert torch.equal(model.score(turned), scores)
    assert not torch.equal(scores[0], scores[1])
    in_order = make(context=[])
    in_order.load_state_dict(model.state_dict())
    assert not torch.equal(in_order.score(turned)[0], in_order.score(queries)[0])


def test_shuffled_windows_hold_the_same_items_and_predict_what_comes_next_in_them():
    items = torch.tensor([[1, 5, 2], [7, 0, 0]])
    targets = torch.tensor([[5, 2, 9], [3, 0, 0]])
    real = torch.tensor([[True, True, True], [True, False, False]])
    orders = set()
    for _ in range(100):
        batch = shuffled(Sequences(items=items, times=None, targets=targets, now=None, real=real))
        whole = torch.cat([batch.items[:, :1], batch.targets], 1)
        assert torch.equal(whole[:, 1:-1] * real[:, 1:], batch.items[:, 1:])
        assert [sorted(row) for row in whole.tolist()] == [[1, 2, 5, 9], [0, 0, 3, 7]]
        assert set(whole[1, :2].tolist()) == {3, 7}
        orders.add(tuple(whole[0].tolist()))
    assert len(orders) > 12

"""GRU4Rec: windows against queries and against sessions side by side, and its losses column by column."""

import copy
import math

import pytest
import torch
from torch.nn.functional import cross_entropy, elu
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recsys_cli.data.batches import Draws, Negatives
from recsys_cli.data.queries import Queries
from recsys_cli.data.side_by_side import SideBySide
from recsys_cli.errors import ConfigError
from recsys_cli.models.framings.gru4rec import GRU4Rec
from recsys_cli.models.losses import bpr_max_loss
from recsys_cli.seeds import isolated
from tests.models.framings.windows import (
    ITEMS,
    N_ITEMS,
    REAL,
    TARGETS,
    asked_one_by_one,
    batch,
    padded_by,
    scores,
    targets,
)

SHARES = torch.arange(1.0, N_ITEMS + 1) / 66
DRAWN = [4, 6, 4, 9, 10]  # one of them twice, one of them a target
ALPHA = 0.5


def make(loss="softmax", **settings) -> GRU4Rec:
    given = {
        "dim": 6, "embedding_dropout": 0.0, "hidden_dropout": 0.0, "history_length": 10, "bptt": True, "lanes": None,
        "n_negatives": 5, "alpha": ALPHA, "logq": 1.0, "score_l2": 0.7, "elu": 0.5,
    }  # fmt: skip
    with isolated(0, "init"):
        model = GRU4Rec(n_items=N_ITEMS, loss=loss, **(given | settings))
        torch.nn.init.normal_(model.items)
        torch.nn.init.normal_(model.bias)
    return model


def drawn() -> Negatives:
    chances = SHARES**ALPHA / (SHARES**ALPHA).sum()
    return Negatives(torch.tensor(DRAWN), chances.log(), SHARES.log())


def columns() -> torch.Tensor:
    """What each target is told from: the step's targets, then the draw."""
    return torch.cat([targets(), torch.tensor(DRAWN)])


def test_a_position_in_training_is_scored_as_a_query_would_be():
    for model in (make(), make(bptt=False)):
        assert model.loss(batch()).item() == pytest.approx(asked_one_by_one(model).item(), abs=1e-5)


def test_more_padding_changes_nothing_and_without_a_history_items_are_ranked_by_their_bias():
    model = make().eval()
    queries = Queries(items=torch.tensor([[-1, -1, 3, 4], [1, 2, 3, 4], [-1, -1, -1, -1]]))
    found = model.score(queries)
    assert torch.allclose(model.score(padded_by(6, queries)), found, atol=1e-6)
    assert torch.allclose(found[2], model.bias)


def side_by_side(model: GRU4Rec) -> torch.Tensor:
    """The authors' way: one event of each session a step, the state handed on without its gradient."""
    weights = [p for name, p in model.gru.named_parameters()]
    state, losses = torch.zeros(2, 6), []
    for t in range(3):
        lanes = torch.tensor([0, 1] if t < 2 else [0])  # the second session ends after two events
        state = torch.gru_cell(model.items[ITEMS[lanes, t]], state[lanes].detach(), *weights)
        logits = torch.addmm(model.bias, state, model.items.T)
        losses.append(cross_entropy(logits, TARGETS[lanes, t], reduction="sum"))
    return torch.stack(losses).sum() / 5


def test_without_bptt_gradients_are_those_of_sessions_side_by_side():
    model = make(bptt=False)
    expected = torch.autograd.grad(side_by_side(model), list(model.parameters()))
    found = torch.autograd.grad(model.loss(batch()), list(model.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True))
    lanes = make(bptt=False, lanes=2)
    steps = torch.stack([lanes.loss(batch) * len(batch) for batch in stepped()]).sum() / 5
    ours = torch.autograd.grad(steps, list(lanes.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, expected, strict=True))
    model = make(bptt=True)
    through = torch.autograd.grad(model.loss(batch()), list(model.parameters()))
    assert not all(torch.allclose(a, b, atol=1e-4) for a, b in zip(through, expected, strict=True))


def stepped() -> list[SideBySide]:
    """The windows of `batch` side by side, an event of each a step."""
    steps = []
    for t, n in enumerate((2, 2, 1)):  # the second session ends after two events
        lanes, first = torch.arange(n), torch.full((n,), t == 0)
        steps.append(SideBySide(ITEMS[:n, t], TARGETS[:n, t], lanes, first))
    return steps


def test_padded_packed_and_side_by_side_the_states_are_the_same():
    model = make(bptt=False, lanes=2)
    torch.nn.init.normal_(model.lane_states)  # left by an epoch before
    lengths = REAL.sum(1)
    padded = model.gru(model.items[ITEMS.T])[0]
    packed = pack_padded_sequence(model.items[ITEMS.T], lengths)
    unpacked = pad_packed_sequence(model.gru(packed)[0])[0]
    for t, step in enumerate(stepped()):
        states = model.step(step)
        assert torch.allclose(states, padded[t, : len(step)], atol=1e-6)
        assert torch.allclose(states, unpacked[t, : len(step)], atol=1e-6)
        scores = torch.addmm(model.bias, states, model.items.T)
        asked = model.score(Queries(items=ITEMS[: len(step), : t + 1]))
        assert torch.allclose(scores, asked, atol=1e-6)


def test_a_lane_starts_anew_with_each_session_and_goes_on_from_saved_weights():
    model = make(bptt=False, lanes=2)
    first, second, third = stepped()
    with torch.no_grad():
        fresh = model.step(first)
        model.step(second)
        other = make(bptt=False, lanes=2)
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        assert torch.equal(other.step(third), model.step(third))
        assert torch.equal(model.step(first), fresh)
    assert "lane_states" not in make().state_dict()


def test_with_lanes_nothing_goes_back_in_time():
    with pytest.raises(ConfigError, match=r"model.lanes=2 goes without model.bptt"):
        make(bptt=True, lanes=2)
    assert make(bptt=False, lanes=2).batches == "side_by_side"
    assert make().batches == "sequences"


@pytest.mark.parametrize("logq", [0.0, 0.4, 1.0])
def test_cross_entropy_is_its_definition_column_by_column(logq):
    """Logits less logq log P of a target and log P^alpha of a draw; with logq = 0 plain sampled softmax."""
    model = make("cross_entropy", logq=logq)
    powers = torch.tensor([1.0] * 5 + [ALPHA] * 5)
    logits = scores(model)[:, columns()] - logq * powers * SHARES.log()[columns()]
    own = torch.arange(5)
    itself = (columns() == targets()[:, None]).scatter(1, own[:, None], False)
    expected = cross_entropy(logits.masked_fill(itself, -math.inf), own).item()
    assert model.loss(batch(drawn())).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [0.0, 0.5])
def test_bpr_max_is_over_the_targets_of_the_step_and_the_draw(size):
    model = make("bpr_max", elu=size)
    found = scores(model)[:, columns()]
    found = elu(found, alpha=size) if size else found
    wrong = columns() != targets()[:, None]
    expected = bpr_max_loss(found.diagonal(), found, wrong, 0.7).item()
    assert model.loss(batch(drawn())).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "cross_entropy", "bpr_max"])
def test_all_parameters_learn_by_every_loss(loss):
    model = make(loss, bptt=False)
    assert (model.negatives, model.draws) == (None if loss == "softmax" else 5, Draws(power=ALPHA))
    model.loss(batch(None if loss == "softmax" else drawn())).backward()
    assert all((p.grad != 0).any() for p in model.parameters())
    assert len({make(name).in_words() for name in ("softmax", "cross_entropy", "bpr_max")}) == 3

"""eSASRec: windows against queries, and what its gates let through."""

import pytest
import torch

from recsys_cli.data.queries import Queries
from recsys_cli.models.framings.esasrec import ESASRec
from recsys_cli.seeds import isolated
from tests.models.framings.windows import N_ITEMS, NO_CONTEXT, asked_one_by_one, batch, padded_by


def make() -> ESASRec:
    with isolated(0, "init"):
        model = ESASRec(
            n_items=N_ITEMS, context_facts=NO_CONTEXT, context=[], dim=6, blocks=2, heads=2, dropout=0.0, history_length=10, loss="softmax",
            n_negatives=4, logq=1.0, calibration=0.75,
        )  # fmt: skip
        for table in (model.items, model.places):
            torch.nn.init.normal_(table)
    return model


def test_a_position_in_training_is_scored_as_a_query_would_be():
    model = make()
    assert model.loss(batch()).item() == pytest.approx(asked_one_by_one(model).item(), abs=1e-5)


def test_more_padding_changes_nothing():
    model = make().eval()
    queries = Queries(items=torch.tensor([[-1, -1, 3, 4], [1, 2, 3, 4]]))
    assert torch.allclose(model.score(padded_by(6, queries)), model.score(queries), atol=1e-6)


def test_a_block_is_its_definition():
    block = make().blocks[0]
    with isolated(1, "x"):
        x = torch.randn(2, 3, 6)
    first = x + torch.sigmoid(block.gates[0](x)) * block.branches[0](block.norms[0](x))
    net, y = block.branches[1], block.norms[1](first)
    a, b = net.inner.weight[:24], net.inner.weight[24:]
    one, other = y @ a.T + net.inner.bias[:24], y @ b.T + net.inner.bias[24:]
    inner = one * torch.sigmoid(one) * other
    expected = first + torch.sigmoid(block.gates[1](first)) * net.outer(inner)
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_with_closed_gates_a_block_is_nothing():
    block = make().blocks[0]
    for gate in block.gates:
        torch.nn.init.constant_(gate.bias, -1e4)
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(block(x), x, atol=1e-6)

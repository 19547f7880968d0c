"""What takes the steps is what was asked for, and is told."""

from functools import partial

import pytest
import torch

from recsys_cli.devices import Device
from recsys_cli.errors import ConfigError, DivergedError
from recsys_cli.models.first_try.mf import MF
from recsys_cli.outcome import weights_digest
from recsys_cli.seeds import isolated
from recsys_cli.training import loop, steps
from recsys_cli.training.optimisers import make_optimiser
from tests.training.test_loop import fit, make, trainer

CPU, GPU = Device("cpu", 1), Device("cuda", 1)
ONE = {"batch_size": None, "optimiser": "rowwise_adagrad", "lr": 0.1}


@pytest.mark.parametrize(
    ("name", "device", "settings", "expected"),
    [
        ("mf", CPU, ONE, "kernel"),
        ("mf", CPU, ONE | {"batch_size": 1, "optimiser": "sgd"}, "kernel"),
        ("mf", CPU, ONE | {"engine": "torch"}, "torch"),
        ("mf", CPU, ONE | {"batch_size": 64}, "torch"),
        ("mf", CPU, ONE | {"optimiser": "adam"}, "torch"),
        ("mf", GPU, ONE, "torch"),
        ("deep", CPU, ONE, "torch"),
    ],
)
def test_the_kernel_where_it_can_do_what_is_wanted(checkerboard, name, device, settings, expected):
    how = trainer(**settings)
    assert (expected == "kernel") == (
        "compiled kernel" in how.engine_for(make(name, checkerboard), device)
    )


@pytest.mark.parametrize(
    ("name", "device", "settings", "why"),
    [
        ("mf", CPU, {"batch_size": 64}, r"a step for each event \(trainer\.batch_size=64\)"),
        ("mf", CPU, {"optimiser": "adam"}, "sgd and rowwise_adagrad"),
        ("mf", GPU, {}, "on CPUs, not on cuda"),
        ("deep", CPU, {}, "Deep has none"),
    ],
)
def test_a_kernel_that_cannot_is_refused(checkerboard, name, device, settings, why):
    how = trainer(**ONE | {"engine": "kernel"} | settings)
    with pytest.raises(ConfigError, match=why):
        how.engine_for(make(name, checkerboard), device)


@pytest.mark.parametrize("unusual", [{"precision": "bf16"}, {"compile": True}])
def test_precision_and_compiling_are_torchs(checkerboard, unusual):
    model = make("mf", checkerboard)
    said = trainer(**ONE | unusual).engine_for(model, CPU)
    assert said.startswith("torch, a step each 2,048, ")
    assert said.endswith(("bf16 by autocast", "compiled by torch"))
    with pytest.raises(ConfigError, match=r"precision and trainer\.compile are torch's"):
        trainer(**ONE | {"engine": "kernel"} | unusual).engine_for(model, CPU)


@pytest.mark.parametrize("name", ["mf", "deep", "seq"])
def test_bf16_learns_nearly_what_fp32_learns(checkerboard, name):
    losses = {}
    for precision in ("fp32", "bf16"):
        model = make(name, checkerboard)
        fit(
            model,
            checkerboard,
            trainer(precision=precision, engine="torch"),
            reports=(told := []),
        )
        losses[precision] = told[-1][1]["train_loss"]
        assert {each.dtype for each in model.parameters()} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=2e-2)


@pytest.mark.slow
def test_what_torch_compiles_learns_the_same(checkerboard, monkeypatch):
    # What torch makes of the loss, run as it is: turning that into machine code needs a C++ compiler.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    losses = []
    for compiled in (False, True):
        reports = []
        how = trainer(compile=compiled, engine="torch", batch_size=320)
        fit(make("mf", checkerboard), checkerboard, how, reports=reports)
        losses.append([numbers["train_loss"] for _, numbers in reports])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_without_a_batch_size_torch_takes_its_own(checkerboard):
    how = trainer(**ONE | {"engine": "torch"})
    assert how.engine_for(make("mf", checkerboard), CPU) == "torch, a step each 2,048"
    assert len(how.batches(make("mf", checkerboard), checkerboard, CPU)) == 1


@pytest.mark.parametrize("loss", ["squared", "logistic", "bpr"])
@pytest.mark.parametrize("optimiser", ["rowwise_adagrad", "sgd"])
def test_row_by_row_it_learns_what_automatic_differentiation_learns(
    checkerboard, monkeypatch, optimiser, loss
):
    weights, ways = [], []
    for hand in (True, False):
        with isolated(0, "init"):
            model = MF(n_users=checkerboard.n_users, n_items=checkerboard.n_items, rank=4, biases=True, loss=loss,
                       negatives=2, l2=0.01, init_sd=0.1)  # fmt: skip
        how = trainer(engine="torch", batch_size=8, optimiser=optimiser, lr=0.1)
        rule = make_optimiser(optimiser, model.parameters(), 0.1)
        if not hand:
            monkeypatch.setattr(loop, "BY_ROWS", ())
        ways.append(type(how.way(model, rule, CPU)))
        fit(model, checkerboard, how, reports=(told := []))
        weights.append((torch.cat([each.flatten() for each in model.parameters()]), told))
    assert ways == [steps.ByRows, steps.Autograd]
    (one, told), (other, twin) = weights
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)
    assert told[-1][1]["train_loss"] == pytest.approx(twin[-1][1]["train_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mf", {"optimiser": "adam"}),
        ("mf", {"precision": "bf16"}),
        ("mf", {"compile": True}),
        ("deep", {}),
    ],
)
def test_what_cannot_go_row_by_row_is_differentiated(checkerboard, monkeypatch, name, settings):
    monkeypatch.setattr(torch, "compile", lambda loss: loss)
    model = make(name, checkerboard)
    how = trainer(**{"engine": "torch", "optimiser": "sgd"} | settings)
    rule = make_optimiser(how.optimiser, model.parameters(), 0.1)
    assert isinstance(how.way(model, rule, CPU), steps.Autograd)


def test_a_kernel_repeats_learns_and_is_torch_with_batches_of_one(checkerboard):
    digests, losses = [], []
    for seed in (0, 0, 1):
        model = make("mf", checkerboard)
        fit(model, checkerboard, trainer(**ONE, seed=seed, epochs=10), reports=(told := []))
        digests.append(weights_digest(model))
        losses.append([numbers["train_loss"] for _, numbers in told])
    assert digests[0] == digests[1] != digests[2]
    assert losses[0][-1] < 0.8 * losses[0][0]
    twin = make("mf", checkerboard)
    by_torch = trainer(**ONE | {"batch_size": 1, "engine": "torch"}, epochs=10)
    fit(twin, checkerboard, by_torch, reports=(told := []))
    assert [numbers["train_loss"] for _, numbers in told] == pytest.approx(losses[0], rel=1e-3)


def test_stretches_change_nothing(checkerboard, monkeypatch):
    digests = set()
    for events in (7, 100, 1 << 16):
        monkeypatch.setattr(MF, "events_at_once", events)
        model = make("mf", checkerboard)
        fit(model, checkerboard, trainer(**ONE))
        digests.add(weights_digest(model))
    assert len(digests) == 1


def test_a_stretch_is_shorter_where_an_event_is_more_work(checkerboard):
    wide = MF(n_users=2, n_items=2, rank=4096, biases=False, loss="bpr", negatives=1000, l2=0.0, init_sd=0.1)  # fmt: skip
    assert 1 <= wide.events_at_once < 10
    assert make("mf", checkerboard).events_at_once == 1 << 16


def test_what_is_not_finite_stops_a_kernel_too(checkerboard):
    model = make("mf", checkerboard)
    torch.nn.init.constant_(model.users, float("nan"))
    with pytest.raises(DivergedError, match="not finite at epoch 1, step 1 of 1"):
        fit(model, checkerboard, trainer(**ONE))


def test_the_record_names_the_version():
    assert steps.compiled_kernel().startswith("compiled kernel (numba 0.")

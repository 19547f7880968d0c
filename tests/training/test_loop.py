"""Training: which weights are kept, what is reported, and what repeats."""

import pytest
import torch

from recsys_cli.data.context import ContextFacts
from recsys_cli.devices import Device
from recsys_cli.errors import DivergedError
from recsys_cli.models.first_try.deep import Deep
from recsys_cli.models.first_try.mf import MF
from recsys_cli.models.framings.seq import Seq
from recsys_cli.outcome import weights_digest
from recsys_cli.progress import Silent
from recsys_cli.seeds import isolated
from recsys_cli.training.loop import GradientTrainer

CPU = Device("cpu", 1)


def trainer(**settings) -> GradientTrainer:
    given = {
        "epochs": 3, "batch_size": 64, "engine": "auto", "optimiser": "adam", "lr": 0.01, "validate_every": 1, "patience": 99, "seed": 0,
        "checkpoint_seconds": 60.0, "checkpoint_every_steps": None,
    }  # fmt: skip
    return GradientTrainer(**(given | settings))


def make(name: str, x) -> torch.nn.Module:
    with isolated(0, "init"):
        if name == "mf":
            return MF(n_users=x.n_users, n_items=x.n_items, rank=4, biases=True, loss="bpr", negatives=1, l2=0.0,
                      init_sd=0.1)  # fmt: skip
        if name == "deep":
            return Deep(n_users=x.n_users, n_items=x.n_items, dim=4, widths=[8], activation="relu", loss="bpr",
                        negatives=1, l2=0.0)  # fmt: skip
        return Seq(n_items=x.n_items, context_facts=ContextFacts({}, (0, 1)), shuffled=False, dim=4, hidden=4, dropout=0.5, last_item=False, shift=False, returns=False, context=["hour"], history_length=10,
                   softmax="sampled", n_negatives=15)  # fmt: skip


def fit(model, x, how, values=(), reports=None):
    remaining = list(values)
    return how.fit(
        model, x, device=CPU, primary="ndcg_at_10",
        validate=lambda: {"ndcg_at_10": remaining.pop(0) if remaining else 0.0},
        report=lambda epoch, numbers: reports.append((epoch, dict(numbers))) if reports is not None else None,
        progress=Silent(),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["mf", "deep", "seq"])
def test_the_loss_falls(checkerboard, name):
    reports = []
    fit(make(name, checkerboard), checkerboard, trainer(epochs=30), reports=reports)
    losses = [numbers["train_loss"] for _, numbers in reports]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["mf", "deep", "seq"])
def test_a_seed_repeats_bit_for_bit_and_leaves_the_global_generator_alone(checkerboard, name):
    before = torch.random.get_rng_state()
    digests = []
    for seed in (0, 0, 1):
        model = make(name, checkerboard)
        fit(model, checkerboard, trainer(seed=seed), values=[0.1, 0.2, 0.3])
        digests.append(weights_digest(model))
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_best_epoch_is_kept_and_training_stops_for_lack_of_progress(checkerboard):
    model = make("mf", checkerboard)
    history = fit(model, checkerboard, trainer(epochs=50, patience=2), values=[0.1, 0.5, 0.4, 0.3])
    assert (history.epochs, history.best_epoch) == (4, 2)
    twin = make("mf", checkerboard)
    fit(twin, checkerboard, trainer(epochs=2), values=[0.1, 0.5])
    assert weights_digest(model) == weights_digest(twin)


def test_validation_does_not_disturb_training(checkerboard):
    often, once = make("seq", checkerboard), make("seq", checkerboard)
    fit(often, checkerboard, trainer(epochs=4), values=[0.1, 0.2, 0.3, 0.4])
    fit(once, checkerboard, trainer(epochs=4, validate_every=4), values=[0.4])
    assert weights_digest(often) == weights_digest(once)


def test_epochs_are_reported_and_the_last_is_always_validated(checkerboard):
    reports = []
    history = fit(
        make("mf", checkerboard), checkerboard, trainer(epochs=3, validate_every=2), reports=reports
    )
    assert [epoch for epoch, _ in reports] == [1, 2, 3]
    assert ["valid_ndcg_at_10" in numbers for _, numbers in reports] == [False, True, True]
    assert len(history.epoch_seconds) == 3
    assert len(history.validation_seconds) == 2
    assert history.examples == 320


def test_a_loss_that_is_not_finite_stops_at_that_step(checkerboard):
    model = make("mf", checkerboard)
    torch.nn.init.constant_(model.users, float("nan"))
    with pytest.raises(DivergedError, match=r"epoch 1, step 1 of 5 \(trainer\.lr=0\.01\)"):
        fit(model, checkerboard, trainer())


def test_a_score_that_is_not_finite_names_the_epoch_and_the_step_size(checkerboard):
    def measure():
        raise DivergedError("MF scores item 3 for user 7 as nan, not a finite number")

    told = r"item 3 for user 7 as nan.*\(validation of epoch 2, trainer\.lr=0\.01\)"
    with pytest.raises(DivergedError, match=told) as raised:
        trainer(validate_every=2).fit(
            make("mf", checkerboard), checkerboard, device=CPU, primary="ndcg_at_10",
            validate=measure, report=lambda epoch, numbers: None, progress=Silent(),
        )  # fmt: skip
    assert raised.value.hint == "lower trainer.lr"

"""Whenever a training is cut off, it ends with the same bits as one that was not."""

import dataclasses
import signal
from pathlib import Path

import pytest
import torch

from recsys_cli.devices import Device
from recsys_cli.errors import CheckpointError, DivergedError
from recsys_cli.models.first_try.mf import MF
from recsys_cli.outcome import weights_digest
from recsys_cli.progress import Silent
from recsys_cli.training import steps
from recsys_cli.training.checkpoint import Checkpoints, Saved
from recsys_cli.training.early_stopping import EarlyStopping
from recsys_cli.training.state import TrainingState
from tests.training.test_loop import make, trainer

CPU = Device("cpu", 1)
VALUES = [0.1, 0.5, 0.2, 0.3, 0.4, 0.45]  # the second epoch is the best
EVERY = {"epochs": 6, "batch_size": 100, "patience": 3, "checkpoint_every_steps": 1, "checkpoint_seconds": 0.0}  # fmt: skip


class CutOff(BaseException):
    """The process dies here."""


class Dying(Checkpoints):
    """Its process dies when it has saved so many times."""

    def __init__(self, folder: Path, *, saves: int) -> None:
        super().__init__(folder, {})
        self.left = saves

    def save(self, state: Saved) -> None:
        super().save(state)
        self.left -= 1
        if not self.left:
            raise CutOff


@dataclasses.dataclass
class Ended:
    """What must not depend on being cut off."""

    weights: str
    epochs: int
    best_epoch: int
    timed: tuple[int, int]
    told: dict[int, dict[str, float]]


def run(name, x, how, checkpoints=None, told=None, model=None) -> Ended:
    told = {} if told is None else told
    model = make(name, x) if model is None else model

    def report(epoch, numbers):
        told[epoch] = {key: value for key, value in numbers.items() if key != "epoch_seconds"}

    history = how.fit(
        model, x, device=CPU, primary="ndcg_at_10", validate=lambda: {"ndcg_at_10": VALUES[len(told)]},
        report=report, progress=Silent(), checkpoints=checkpoints,
    )  # fmt: skip
    timed = len(history.epoch_seconds), len(history.validation_seconds)
    return Ended(weights_digest(model), history.epochs, history.best_epoch, timed, told)


def cut_off_and_gone_on_with(name, x, how, folder, *, saves: int) -> Ended:
    told: dict[int, dict[str, float]] = {}
    with pytest.raises(CutOff):
        run(name, x, how, Dying(folder, saves=saves), told)
    return run(name, x, how, Checkpoints(folder, {}), told)


@pytest.mark.parametrize("optimiser", ["rowwise_adagrad", "adam", "sgd"])
def test_every_optimiser_goes_on(checkerboard, tmp_path, optimiser):
    how = trainer(**EVERY, optimiser=optimiser)
    assert cut_off_and_gone_on_with("mf", checkerboard, how, tmp_path, saves=6) == run(
        "mf", checkerboard, how
    )


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["mf", "deep", "seq"])
def test_cut_off_after_any_save_it_ends_with_the_same_bits(checkerboard, tmp_path, name, stride):
    how = trainer(**EVERY)
    whole = run(name, checkerboard, how)
    assert (whole.epochs, whole.best_epoch) == (5, 2)
    steps = len(how.batches(make(name, checkerboard), checkerboard, CPU))
    for saves in range(1, 5 * (steps + 1) + 1, stride):
        folder = tmp_path / f"{saves}"
        ended = cut_off_and_gone_on_with(name, checkerboard, how, folder, saves=saves)
        assert ended == whole, f"cut off after save {saves}"
    assert steps > 2


@pytest.mark.parametrize("optimiser", ["rowwise_adagrad", "sgd"])
def test_a_kernel_goes_on_with_the_same_bits(checkerboard, tmp_path, monkeypatch, optimiser):
    monkeypatch.setattr(MF, "events_at_once", 100)
    how = trainer(**EVERY | {"batch_size": None, "engine": "kernel", "optimiser": optimiser})
    whole = run("mf", checkerboard, how)
    assert (whole.epochs, whole.best_epoch) == (5, 2)
    for saves in range(1, 26):  # four stretches and an end in each of five epochs
        ended = cut_off_and_gone_on_with(
            "mf", checkerboard, how, tmp_path / f"{saves}", saves=saves
        )
        assert ended == whole, f"cut off after save {saves}"
    assert Checkpoints(tmp_path / "25", {}).newest(Silent()).values["epoch"] == 6


def test_cut_off_again_and_again_it_ends_with_the_same_bits(checkerboard, tmp_path):
    how, told = trainer(**EVERY), {}
    for _ in range(5):
        with pytest.raises(CutOff):
            run("seq", checkerboard, how, Dying(tmp_path, saves=3), told)
    assert run("seq", checkerboard, how, Checkpoints(tmp_path, {}), told) == run(
        "seq", checkerboard, how
    )


def test_saving_changes_nothing_and_draws_nothing(checkerboard, tmp_path):
    before = torch.random.get_rng_state()
    saved = run("seq", checkerboard, trainer(**EVERY), Checkpoints(tmp_path, {}))
    assert saved == run("seq", checkerboard, trainer(**EVERY))
    assert torch.equal(before, torch.random.get_rng_state())


def start_again(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)


FORGOTTEN = {
    "model": lambda state: start_again(state.model),
    "optimiser": lambda state: state.optimiser.state.clear(),
    "epoch": lambda state: vars(state).update(epoch=1),
    "step": lambda state: vars(state).update(step=0),
    "loss sum": lambda state: state.loss_sum.zero_(),
    "torch's generator": lambda state: vars(state).update(resume_generators=lambda: None),
    "best epoch": lambda state: vars(state.stopping).update(best_epoch=0),
    "best value": lambda state: vars(state.stopping).update(
        best_value=EarlyStopping(3).best_value
    ),
    "best weights": lambda state: vars(state.stopping).update(best_weights={}),
    "epochs without gain": lambda state: vars(state.stopping).update(_without_gain=0),
    "seconds of epochs": lambda state: state.history.epoch_seconds.clear(),
    "seconds of validations": lambda state: state.history.validation_seconds.clear(),
}  # fmt: skip


@pytest.mark.parametrize("piece", FORGOTTEN)
def test_each_piece_of_the_state_is_needed(checkerboard, tmp_path, monkeypatch, piece):
    """In the middle of the fourth epoch the best one is known, and no later one will pass it."""
    how = trainer(**EVERY)
    steps = len(how.batches(make("seq", checkerboard), checkerboard, CPU))
    resume = TrainingState.resume

    def forgetful(self, saved, **sizes):
        resume(self, saved, **sizes)
        FORGOTTEN[piece](self)

    saves = 3 * (steps + 1) + 2
    arguments = ("seq", checkerboard, how)
    assert cut_off_and_gone_on_with(*arguments, tmp_path / "a", saves=saves) == run(*arguments)
    monkeypatch.setattr(TrainingState, "resume", forgetful)
    try:
        forgot = cut_off_and_gone_on_with(*arguments, tmp_path / "b", saves=saves)
    except IndexError:  # it validates more often than there are epochs
        return
    assert forgot != run(*arguments)


VALUE_KEYS = ["epoch", "step", "seconds", "stopping", "history"]
TENSORS = ["loss_sum", "model.", "best.", "generator."]


@pytest.mark.parametrize("missing", [*VALUE_KEYS, *TENSORS])
def test_what_is_not_complete_is_refused(checkerboard, tmp_path, monkeypatch, missing):
    pack = TrainingState.pack

    def incomplete(self):
        whole = pack(self)
        return Saved(
            {name: held for name, held in whole.tensors.items() if not name.startswith(missing)},
            {name: held for name, held in whole.values.items() if name != missing},
        )

    monkeypatch.setattr(TrainingState, "pack", incomplete)
    with pytest.raises(CheckpointError):
        cut_off_and_gone_on_with("mf", checkerboard, trainer(**EVERY), tmp_path, saves=9)


@pytest.mark.parametrize(
    ("prefix", "change"),
    [
        ("model.users", lambda held: held[:-1]),
        ("model.users", lambda held: held.double()),
        ("best.users", lambda held: held[:, :1]),
        ("optimiser.0.exp_avg", lambda held: held[:-1]),
        ("optimiser.0.step", lambda held: held.reshape(1)),
        ("loss_sum", lambda held: held.reshape(1)),
        ("generator.cpu", lambda held: held[:-1]),
    ],
)
def test_tensors_that_do_not_fit_are_refused(checkerboard, tmp_path, monkeypatch, prefix, change):
    pack = TrainingState.pack

    def odd(self):
        whole = pack(self)
        held = {n: change(t) if n.startswith(prefix) else t for n, t in whole.tensors.items()}
        return Saved(held, whole.values)

    monkeypatch.setattr(TrainingState, "pack", odd)
    with pytest.raises(CheckpointError, match="not of this model"):
        cut_off_and_gone_on_with("mf", checkerboard, trainer(**EVERY), tmp_path, saves=9)


VALUES_THAT_ARE_NONE = {
    "epoch": [0, -1, 10**9, 1.5, float("nan"), "1", None],
    "step": [-1, 2.5, float("nan"), float("inf"), "x", None, 10**9],
    "seconds": ["x", None],
    "stopping": [{}, {"best_epoch": 2, "best_value": float("nan"), "without_gain": 0}, {"best_epoch": 0, "best_value": None, "without_gain": 0}],
    "history": [{}, {"epochs": 1, "more": 2}, [1]],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, values in VALUES_THAT_ARE_NONE.items() for value in values],
)
def test_values_that_cannot_be_are_refused(checkerboard, tmp_path, monkeypatch, key, value):
    """In a checkpoint whose seals all hold."""
    pack = TrainingState.pack

    def odd(self):
        whole = pack(self)
        return Saved(whole.tensors, {**whole.values, key: value})

    monkeypatch.setattr(TrainingState, "pack", odd)
    with pytest.raises(CheckpointError, match="not of this model"):
        cut_off_and_gone_on_with("mf", checkerboard, trainer(**EVERY), tmp_path, saves=9)


RARELY = EVERY | {"checkpoint_every_steps": None, "checkpoint_seconds": 86_400.0}


@pytest.mark.parametrize("step", [1, 4, 5, 13])
def test_a_signal_lets_the_step_end_and_saves(checkerboard, tmp_path, monkeypatch, step):
    how, told, left, step_of = trainer(**RARELY), {}, [step], steps.train_step

    def interrupted(*arguments):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return step_of(*arguments)

    monkeypatch.setattr(steps, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("seq", checkerboard, how, Checkpoints(tmp_path, {}), told)
    assert left[0] == 0, "no step after the signal"
    assert len(list(tmp_path.glob("*.json"))) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert run("seq", checkerboard, how, Checkpoints(tmp_path, {}), told) == run(
        "seq", checkerboard, how
    )


def test_a_signal_does_not_wait_for_validation(checkerboard, tmp_path, monkeypatch):
    how, told, passed = trainer(**RARELY), {}, []
    update = EarlyStopping.update

    def validate():
        signal.raise_signal(signal.SIGINT)
        passed.append("the end of it")

    with pytest.raises(KeyboardInterrupt):
        how.fit(
            make("mf", checkerboard), checkerboard, device=CPU, primary="ndcg_at_10", validate=validate,
            report=lambda *numbers: None, progress=Silent(), checkpoints=Checkpoints(tmp_path, {}),
        )  # fmt: skip
    assert passed == []
    monkeypatch.setattr(EarlyStopping, "update", update)
    assert run("mf", checkerboard, how, Checkpoints(tmp_path, {}), told) == run(
        "mf", checkerboard, how
    )


def test_a_signal_stops_a_training_that_is_not_saved_too(checkerboard, monkeypatch):
    monkeypatch.setattr(steps, "train_step", lambda *given: signal.raise_signal(signal.SIGINT) or torch.zeros(()))  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        run("mf", checkerboard, trainer(**RARELY))


def test_by_default_nothing_is_saved_within_a_minute(checkerboard, tmp_path):
    run("mf", checkerboard, trainer(epochs=3), Checkpoints(tmp_path / "none", {}))
    assert not (tmp_path / "none").exists()


def test_zero_seconds_save_at_the_end_of_each_epoch(checkerboard, tmp_path):
    how = trainer(epochs=3, checkpoint_seconds=0.0)
    for saves in (1, 2, 3):
        with pytest.raises(CutOff):
            run("mf", checkerboard, how, Dying(tmp_path / f"{saves}", saves=saves), told := {})
        assert list(told) == list(range(1, saves + 1))
    run("mf", checkerboard, how, Dying(tmp_path / "4", saves=4))


def test_a_loss_that_is_not_finite_is_not_saved(checkerboard, tmp_path, monkeypatch):
    losses = iter([torch.tensor(1.0), torch.tensor(2.0), torch.tensor(float("nan"))])
    monkeypatch.setattr(steps, "train_step", lambda *given: next(losses))
    with pytest.raises(DivergedError, match="step 3"):
        run("mf", checkerboard, trainer(**EVERY), Checkpoints(tmp_path, {}))
    newest = Checkpoints(tmp_path, {}).newest(Silent())
    assert newest is not None
    assert newest.values["step"] == 2

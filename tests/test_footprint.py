"""What a run will need in memory, told before it is taken."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from recsys_cli import catalogue, config, experiment, footprint, preparation
from recsys_cli.data.context import ContextFacts
from recsys_cli.errors import ResourceError
from recsys_cli.footprint import (
    FLOAT,
    KERNEL_LIBRARIES,
    LIBRARIES,
    OPTIMISER_LIBRARIES,
    Footprint,
    check_room,
    estimate,
)
from recsys_cli.progress import Silent
from recsys_cli.resources import Memory

MODELS = catalogue.names("model")
TELLING = ("crnn", "deep", "ease", "esasrec", "gru4rec", "hstu", "ials", "item_knn", "knn_baseline", "last_item", "markov", "mf", "nmf", "pure_svd", "rp3beta", "sasrec", "seq", "slim")  # fmt: skip
SMALL = ["data=demo", "data.events=2000", "tracking=none", "device=cpu", "device.threads=1"]


def made(*said: str, n_users: int = 40, n_items: int = 20):
    """How a model of these settings is built, and its trainer."""
    tree = config.load(said).tree
    trainer = config.build(tree["trainer"], key="trainer", seed=0)
    sizes = {"n_users": n_users, "n_items": n_items, "context_facts": ContextFacts({}, (0, 1))}
    make = partial(config.build, tree["model"], key="model", **sizes)
    return make, trainer


def of(checkerboard, *said: str, **sizes: int) -> Footprint:
    make, trainer = made(*said, **sizes)
    found = estimate(make, train=checkerboard, trainer=trainer)
    assert found is not None
    return found


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_of_every_model_are_known_before_it_is_made(checkerboard, name):
    make, trainer = made(f"model={name}")
    found = estimate(make, train=checkerboard, trainer=trainer)
    assert found is not None
    assert found.weights == sum(tensor.nbytes for tensor in make().state_dict().values())


@pytest.mark.parametrize(
    ("optimiser", "remembered"),
    [("sgd", 0), ("adam", 2 * 1000 * 8), ("rowwise_adagrad", 1000)],
)
def test_what_gradient_descent_holds(checkerboard, optimiser, remembered):
    biases = ["model.biases=false", "model.rank=8", f"trainer.optimiser={optimiser}"]
    found = of(checkerboard, "model=mf", *biases, n_users=600, n_items=400)
    trained = FLOAT * 1000 * 8
    assert found.gradients == trained
    assert found.weights == found.best == trained + FLOAT * 1001  # biases that are not trained
    assert found.optimiser == FLOAT * remembered
    assert found.saving == found.weights + found.best + found.optimiser
    held = found.weights + found.best + found.optimiser + found.gradients + found.data
    highest = max(found.learning, found.saving, found.measuring)
    compiler = 0 if optimiser == "adam" else KERNEL_LIBRARIES
    of_torch = 0 if optimiser == "rowwise_adagrad" else OPTIMISER_LIBRARIES
    assert found.peak == held + highest + LIBRARIES + of_torch + compiler


def test_a_closed_form_holds_no_copies_and_tells_its_own_matrices(checkerboard):
    found = of(checkerboard, "model=ease", n_items=1000)
    assert (found.best, found.optimiser, found.gradients) == (0, 0, 0)
    assert found.learning == 3 * 8 * 1000**2
    assert found.saving == FLOAT * 1000**2
    assert found.libraries == LIBRARIES


@pytest.mark.parametrize(
    ("said", "compiled"),
    [
        (["model=mf"], True),
        (["model=mf", "trainer.engine=torch"], False),
        (["model=ials"], True),
        (["model=ials", "model.solver=cholesky"], False),
        (["model=deep"], False),
    ],
)
def test_the_compiler_is_counted_where_a_kernel_learns(checkerboard, said, compiled):
    libraries = of(checkerboard, *said).libraries - LIBRARIES
    optimiser = OPTIMISER_LIBRARIES if "model=deep" in said else 0
    assert libraries == optimiser + (KERNEL_LIBRARIES if compiled else 0)


def test_a_model_of_any_size_is_measured_without_memory_and_without_chance(checkerboard):
    before = torch.get_rng_state()
    found = of(checkerboard, "model=mf", "model.rank=4096", n_users=10**9, n_items=10**9)
    assert found.weights > 2 * FLOAT * 4096 * 10**9
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", TELLING)
def test_what_a_model_tells_grows_with_what_it_learns_from(checkerboard, name):
    small, _ = made(f"model={name}")
    large, _ = made(f"model={name}", n_users=4000, n_items=2000)
    needs = [
        make().working_bytes(checkerboard, size) for make, size in ((small, 64), (large, 4096))
    ]
    assert 0 < needs[0] <= needs[1]


class NeedsValues(nn.Module):
    """A model of somebody's own that looks at its numbers while it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(3))
        self.first = float(self.weights[0])


def test_a_model_that_cannot_be_made_without_values_is_not_estimated(checkerboard):
    _, trainer = made("model=mf")
    assert estimate(NeedsValues, train=checkerboard, trainer=trainer) is None


GIGABYTES = Footprint(8_200_000_000, 8_200_000_000, 0, 8_100_000_000, 0, 16_400_000_000, 1, 2, 3)


def test_a_run_that_cannot_fit_is_one_line(monkeypatch):
    monkeypatch.setattr(footprint, "memory", lambda: Memory(18_000_000_000, "this container"))
    with pytest.raises(ResourceError) as raised:
        check_room(GIGABYTES, model="mf")
    assert raised.value.line == (
        "model=mf needs about 41 GB of memory (saving 16 GB, weights 8.2 GB), 18 GB are free in this "
        "container; make it smaller (recsys models mf lists its settings), take less data, or give it "
        "more memory"
    )


@pytest.mark.parametrize("there", [None, Memory(GIGABYTES.peak, "this machine")])
def test_one_that_fits_or_of_which_nothing_is_known_is_let_through(monkeypatch, there):
    monkeypatch.setattr(footprint, "memory", lambda: there)
    check_room(GIGABYTES, model="mf")


def test_it_is_refused_before_it_is_built_and_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that has as much as the smallest of these needs, and less than the largest."""
    settings = {rank: config.load([*SMALL, f"root={tmp_path / 'runs'}", f"model.rank={rank}"]) for rank in (4, 4096)}  # fmt: skip
    monkeypatch.setattr(footprint, "memory", lambda: Memory(175_000_000, "x"))
    with pytest.raises(ResourceError, match="model=mf needs about"):
        experiment.run(settings[4096], run_dir=None, progress=Silent())
    assert not list(tmp_path.iterdir())
    ready = preparation.prepare(settings[4], progress=Silent())
    assert ready.model.items.shape[1] == 4

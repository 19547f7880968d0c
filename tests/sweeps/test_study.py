"""What is remembered of a search, and what it tries next."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.sweeps import space as spaces
from recsys_cli.sweeps import study as studies
from recsys_cli.sweeps.store import FILE, NAME, FileStore

GRID = ["model.rank=8,32", "model.l2=0.0,0.1"]
MIXED = [
    "model.rank=int(interval(1,64))",
    "trainer.lr=tag(log, interval(1e-4, 1e-1))",
    "model.loss=bpr,squared",
]


def opened(
    folder: Path,
    overrides: list[str],
    sampler: studies.SamplerName,
    seed: int = 0,
    settings_hash="abc",
    pruner="none",
):
    folder.mkdir(exist_ok=True)
    space = spaces.read(overrides)
    return studies.opened(
        FileStore(folder / FILE, NAME),
        space,
        sampler=sampler,
        seed=seed,
        settings_hash=settings_hash,
        pruner=pruner,
        epochs=9,
    )


def value_of(point: spaces.Point) -> float:
    return -abs(float(point["model.rank"]) - 20) - float(point.get("trainer.lr", 0))


def search(
    folder: Path,
    overrides: list[str],
    sampler: studies.SamplerName,
    total: int,
    *,
    cut: tuple[int, ...] = (),
):
    """Run a study to its end; its process dies while the trials in `cut` run."""
    dies = list(cut)
    while True:
        with opened(folder, overrides, sampler) as study:
            while trial := study.begin(total):
                if dies and trial.number == dies[0]:
                    del dies[0]
                    break
                study.finish(
                    trial, None if trial.number == 1 else value_of(trial.point), seconds=1.0
                )
            else:
                return study.trials()


def test_grid_is_tried_in_order_and_ends(tmp_path):
    trials = search(tmp_path, GRID, "grid", 4)

    space = spaces.read(GRID)
    assert [trial.point for trial in trials] == list(space.grid())
    assert [trial.number for trial in trials] == list(range(4))


@pytest.mark.parametrize(
    ("overrides", "sampler", "total"),
    [
        (GRID, "grid", 4),
        (GRID, "tpe", 3),
        pytest.param(MIXED, "tpe", 16, marks=pytest.mark.slow),
        (MIXED, "random", 5),
        pytest.param(MIXED, "gp", 16, marks=pytest.mark.slow),
    ],
)
def test_a_study_that_was_cut_off_tries_the_same_as_one_that_was_not(
    tmp_path, overrides, sampler, total
):
    unbroken = search(tmp_path / "unbroken", overrides, sampler, total)
    broken = search(tmp_path / "broken", overrides, sampler, total, cut=(0, 1, 1, total - 1))

    assert broken == unbroken
    assert len(broken) == total
    assert {trial.state for trial in broken} == {"finished", "diverged"}


def search_pruned(folder: Path, pruner: str, total: int, cut: tuple[tuple[int, int], ...] = ()):
    """Run a study whose trials report nine epochs; its process dies after the epochs in `cut`."""
    deaths = list(cut)
    while True:
        with opened(folder, MIXED, "random", pruner=pruner) as study:
            while trial := study.begin(total):
                ended = epochs_of(study, trial, deaths)
                if ended is None:
                    break
                study.finish(trial, value_of(trial.point), pruned=ended == "pruned", seconds=1.0)
            else:
                return study.trials()


def epochs_of(
    study: studies.Study, trial: studies.Trial, deaths: list[tuple[int, int]]
) -> str | None:
    """`pruned` or `whole`; None where the process dies."""
    for epoch in range(1, 10):
        hopeless = study.hopeless(trial, epoch, value_of(trial.point) * (1 + 1 / epoch))
        if deaths and deaths[0] == (trial.number, epoch):
            del deaths[0]
            return None
        if hopeless:
            return "pruned"
    return "whole"


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_study_that_was_cut_off_gives_up_the_same_trials(tmp_path, pruner):
    unbroken = search_pruned(tmp_path / "unbroken", pruner, 9)
    pruned = [(t.number, max(t.reports)) for t in unbroken if t.state == "pruned"]
    # It dies in the middle of trials, and between the verdict on an epoch and the end of the trial, twice.
    cut = ((0, 4), (1, 1), *pruned, (8, 1))
    broken = search_pruned(tmp_path / "broken", pruner, 9, tuple(sorted((*cut, pruned[0]))))

    assert broken == unbroken
    assert 1 <= len(pruned) < 8


def test_a_pruned_trial_has_the_value_of_its_last_epoch_and_is_never_the_best(tmp_path):
    with opened(tmp_path, GRID, "grid", pruner="median") as study:
        study.finish(study.begin(4), 0.5)
        trial = study.begin(4)
        study.hopeless(trial, 1, 0.9)
        study.hopeless(trial, 2, 0.8)
        study.finish(trial, None, pruned=True)

        assert [(t.state, t.value) for t in study.trials()] == [("finished", 0.5), ("pruned", 0.8)]
        assert study.trials()[1].reports == {1: 0.9, 2: 0.8}
        assert study.best().number == 0


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_no_point_is_tried_twice(tmp_path, sampler):
    trials = search(tmp_path, GRID, sampler, 4)

    points = {tuple(trial.point.items()) for trial in trials}
    assert len(points) == len(trials) == 4


def test_a_space_that_is_used_up_ends_the_search(tmp_path):
    assert len(search(tmp_path, ["model.rank=int(interval(1,3))"], "random", 10)) == 3


def test_a_longer_search_begins_like_the_shorter_one(tmp_path):
    short = search(tmp_path / "a", MIXED, "tpe", 4)
    long = search(tmp_path / "b", MIXED, "tpe", 7)

    assert long[:4] == short
    assert search(tmp_path / "a", MIXED, "tpe", 7) == long


def test_the_seed_decides_what_is_drawn(tmp_path):
    points = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        with opened(tmp_path / folder, MIXED, "tpe", seed) as study:
            points.append(study.begin(1).point)

    assert points[0] == points[1] != points[2]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_it_learns_where_the_good_values_are(tmp_path, sampler):
    trials = search(tmp_path, ["model.rank=int(interval(1,1000))"], sampler, 30)

    off = [abs(trial.point["model.rank"] - 20) for trial in trials]
    assert sum(off[20:]) < sum(off[:10]) / 2


def test_best_is_the_highest_and_of_equals_the_earliest(tmp_path):
    with opened(tmp_path, GRID, "grid") as study:
        for value in (0.1, None, 0.3, 0.3):
            study.finish(study.begin(6), value)
        assert study.best().number == 2


def test_nothing_finished_has_no_best(tmp_path):
    with opened(tmp_path, GRID, "grid") as study:
        study.finish(study.begin(6), None)
        study.begin(6)
        assert study.best() is None
        assert [trial.state for trial in study.trials()] == ["diverged", "running"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"overrides": ["model.rank=8,16"]}, "another space: model.rank=8,32"),
        ({"sampler": "random"}, "another sampler: grid, now random"),
        ({"settings_hash": "xyz"}, "another settings: abc, now xyz"),
        ({"pruner": "median"}, "another pruner: none, now median"),
    ],
)
def test_another_search_under_the_same_name_is_refused(tmp_path, change, words):
    begun = {"overrides": GRID, "sampler": "grid", "settings_hash": "abc"}
    with opened(tmp_path, **begun):
        pass

    with pytest.raises(ConfigError) as caught, opened(tmp_path, **(begun | change)):
        pass
    assert words in caught.value.line


@pytest.mark.parametrize(
    "content", [b"", b"no database at all, but long enough to be read as one " * 99]
)
def test_a_file_that_is_no_study_is_refused(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(ConfigError) as caught, opened(tmp_path, GRID, "grid"):
        pass
    assert FILE in caught.value.line


def test_what_a_kill_left_while_the_file_was_made_is_no_hindrance(tmp_path):
    (tmp_path / f"{FILE}.draft").write_bytes(b"half a database")
    (tmp_path / f"{FILE}.draft-journal").write_bytes(b"half a journal")

    assert len(search(tmp_path, GRID, "grid", 4)) == 4
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_folder_may_have_any_name(tmp_path):
    assert len(search(tmp_path / "a b?{x}#%20ü", GRID, "grid", 4)) == 4


@pytest.mark.parametrize(("better", "best"), [("higher", 0.9), ("lower", 0.1)])
def test_the_best_is_that_of_the_direction(tmp_path, better, best):
    space = spaces.read(GRID)
    for _ in range(2):  # made, and opened again
        with studies.opened(
            FileStore(tmp_path / FILE, NAME),
            space,
            sampler="tpe",
            seed=0,
            settings_hash="abc",
            better=better,
        ) as study:
            for value in (0.5, 0.1, 0.9):
                if trial := study.begin(3):
                    study.finish(trial, value, seconds=1.0)
            found = study.best()
            assert found is not None
            assert found.value == best
            assert study.goodness(0.9) == (0.9 if better == "higher" else -0.9)

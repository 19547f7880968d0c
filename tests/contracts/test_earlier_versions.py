"""What an earlier version left behind is opened by this one: its finished runs, and those that were cut off.

`tests/fixtures` has a folder for each version that was released. Before a release, that of the new one is made by
`python -c 'from tests.contracts.test_earlier_versions import make; make()'` and is never changed again.
"""

import shutil
from pathlib import Path

import pytest

from recsys_cli import __version__, config, experiment, runs
from recsys_cli.comparisons.lists import evaluate_file
from recsys_cli.config import Config
from recsys_cli.errors import ConfigError
from recsys_cli.progress import Silent
from recsys_cli.tracking.run_folder import open_run

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
VERSIONS = sorted(path.name for path in FIXTURES.iterdir())
SAID = [
    "data=csv", "data.path=events.csv", "data.time_unit=s", "split=leave_last_out", "model=mf", "model.rank=2",
    "trainer.epochs=4", "trainer.batch_size=32", "trainer.checkpoint_seconds=0", "tracking=none", "device=cpu",
    "device.threads=1",
]  # fmt: skip


def settings() -> Config:
    return config.load(SAID)


def stop_after(epoch: int) -> None:
    if epoch == 3:
        raise KeyboardInterrupt


def make() -> None:
    """The files of this version, from 40 users with 6 events each, in the current folder's `tests/fixtures`."""
    import os

    folder = FIXTURES / __version__
    folder.mkdir(parents=True)
    os.chdir(folder)
    rows = [f"{u},{(5 * u + 3 * i) % 24},{86_400 * (i + 1)}" for u in range(40) for i in range(6)]
    Path("events.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    experiment.run(settings(), run_dir=Path("finished"), progress=Silent())
    try:
        experiment.run(
            settings(),
            run_dir=Path("stopped"),
            progress=Silent(),
            report=lambda epoch, _: stop_after(epoch),
        )
    except KeyboardInterrupt:
        return


@pytest.fixture(params=VERSIONS)
def left_behind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of what a version left, as the current folder."""
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(FIXTURES / request.param, tmp_path / "left")
    monkeypatch.chdir(folder)
    return folder


def test_there_is_one_of_this_version() -> None:
    assert __version__ in VERSIONS
    size = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    assert size < 100_000 * len(VERSIONS)


def test_a_finished_run_is_opened_and_measures_what_it_measured(left_behind: Path) -> None:
    folder = open_run("finished", left_behind)
    ready = runs.reopen(runs.read_settings(folder), folder, progress=Silent())
    found = {
        part: result.metrics for part, result in runs.remeasure(ready, progress=Silent()).items()
    }
    assert found.keys() == folder.metrics.keys()
    for part, values in folder.metrics.items():
        assert found[part] == pytest.approx(values, abs=1e-6)
    assert len(folder.per_user("test").users) == 40


def test_the_lists_of_a_finished_run_are_read(left_behind: Path) -> None:
    folder = open_run("finished", left_behind)
    lists = left_behind / "finished" / "recommendations.parquet"
    report = evaluate_file(lists, folder, (), progress=Silent())
    assert report.metrics["ndcg_at_10"] == pytest.approx(
        folder.metrics["test"]["ndcg_at_10"], abs=1e-6
    )


def test_a_run_that_was_cut_off_goes_on_where_that_is_allowed(left_behind: Path) -> None:
    """The versions of the libraries are others by now, and it says so; told that this is well, it ends."""
    outcome = experiment.run(
        settings(), run_dir=Path("stopped"), progress=Silent(), resume=True, allow_mismatch=True
    )
    finished = open_run("finished", left_behind)
    assert outcome.metrics["test"] == pytest.approx(finished.metrics["test"], abs=1e-3)


def test_a_run_that_was_cut_off_is_not_taken_for_another(left_behind: Path) -> None:
    other = config.load([text.replace("rank=2", "rank=3") for text in SAID])
    with pytest.raises(ConfigError, match=r"model\.rank is 2 there and 3 here"):
        experiment.run(other, run_dir=Path("stopped"), progress=Silent(), resume=True)

"""What a run is said to write, against what one writes."""

from recsys_cli import config, experiment, preparation
from recsys_cli.planning import disk
from recsys_cli.progress import Silent

SMALL = ["data=demo", "data.events=4000", "tracking=none", "device=cpu", "device.threads=1"]


def test_the_files_of_a_run_are_about_as_large_as_was_said(tmp_path):
    settings = config.load([*SMALL, "model=mf", "trainer.epochs=1"])
    draft = preparation.sketch(settings, progress=Silent())
    told = disk.files(draft, draft.footprint(), tracked=False) - disk.RECORD_BYTES
    experiment.run(settings, run_dir=tmp_path / "run", progress=Silent())
    large = [file for file in (tmp_path / "run").iterdir() if file.suffix in (".safetensors", ".parquet")]  # fmt: skip
    wrote = sum(file.stat().st_size for file in large)
    assert wrote / 1.5 < told < wrote * 1.5


def test_checkpoints_are_those_kept_and_the_one_that_is_written():
    settings = config.load([*SMALL, "model=mf"])
    needed = preparation.sketch(settings, progress=Silent()).footprint()
    assert needed is not None
    assert disk.checkpoints(needed) == 3 * needed.saving

"""Whatever stands in a file that the program reads: it is read as what it says, or refused by an error of ours.

Each property writes arbitrary bytes, and sound content with a part of it changed, over one file.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli import config, experiment, runs
from recsys_cli.data.item_lists import read_item_lists
from recsys_cli.data.sources import Member
from recsys_cli.errors import CheckpointError, ConfigError, DataError, RecsysError
from recsys_cli.models.baselines.popularity import Popularity
from recsys_cli.outcome import tensors_digest, weights_digest
from recsys_cli.progress import Silent
from recsys_cli.tracking.run_folder import open_run
from recsys_cli.training.checkpoint import Checkpoints, Saved
from tests.conftest import examples

N_ITEMS = 12


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, that is only read and copied."""
    root = tmp_path_factory.mktemp("finished")
    rows = [f"{u},{(u * 5 + i) % N_ITEMS},{86_400 * i}" for u in range(20) for i in range(5)]
    (root / "events.csv").write_text("\n".join(["user,item,time", *rows]))
    settings = config.load(
        ["data=csv", f"data.path={root / 'events.csv'}", "data.time_unit=s", "split=leave_last_out",
         "model=popularity", "tracking=none", "device=cpu", "device.threads=1"]
    )  # fmt: skip
    experiment.run(settings, run_dir=root / "run", progress=Silent())
    return root / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


JUNK = st.binary(max_size=200) | st.text("{}[]:,\"'01ea- \n&*!", max_size=60).map(str.encode)


def changed(draw: st.DataObject, sound: bytes) -> bytes:
    """Anything at all, or the sound content cut short, with some bytes overwritten, or with some put in between."""
    kind = draw.draw(st.sampled_from(["anything", "cut", "over", "between"]))
    if kind == "anything":
        return draw.draw(JUNK)
    at = draw.draw(st.integers(0, len(sound) - 1))
    if kind == "cut":
        return sound[:at]
    piece = draw.draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"null", b"[]", b"-1"]))
    return sound[:at] + piece + sound[at + (len(piece) if kind == "over" else 0) :]


def damaged(data: st.DataObject, path: Path, sound: bytes, read: Callable[[], Any]) -> Any:
    """What is read from the file with other content; None where it is refused in one line."""
    path.write_bytes(changed(data, sound))
    try:
        return read()
    except RecsysError as error:
        told = error
    assert "\n" not in told.line
    assert told.exit_code in (2, 5)
    return None


@given(data=st.data())
def test_the_record_of_a_run(data: Any, run: Path, finished: Path) -> None:
    sound = (finished / "metrics.json").read_bytes()
    opened = damaged(data, run / "metrics.json", sound, lambda: open_run(str(run), run))
    if opened is not None:
        assert set(opened.metrics) == {"valid", "test"}


@examples(25)
@given(data=st.data())
def test_the_settings_of_a_run(data: Any, run: Path, finished: Path) -> None:
    """Read as settings they are those of the run or refused; nothing that they name is run."""
    folder = open_run(str(finished), finished)
    sound = (finished / "config.yaml").read_bytes()
    copied = open_run(str(run), run)
    read = damaged(data, run / "config.yaml", sound, lambda: runs.read_settings(copied))
    if read is not None:
        assert read.hash == folder.recorded["config_hash"]


@given(data=st.data())
def test_the_rules_that_a_run_was_measured_by(data: Any, run: Path, finished: Path) -> None:
    sound = (finished / "config.yaml").read_bytes()
    rules = damaged(data, run / "config.yaml", sound, lambda: open_run(str(run), run).evaluation)
    assert rules is None or isinstance(rules, dict)


@given(data=st.data())
def test_the_weights_of_a_run(data: Any, run: Path, finished: Path) -> None:
    """No other number is ever taken for the recorded one."""
    recorded = open_run(str(finished), finished).recorded["weights_sha256"]
    sound = (finished / "model.safetensors").read_bytes()
    model = Popularity(n_items=N_ITEMS)

    def load() -> Popularity:
        runs.load_weights(model, run / "model.safetensors", recorded)
        return model

    loaded = damaged(data, run / "model.safetensors", sound, load)
    if loaded is not None:
        assert weights_digest(loaded) == recorded


@examples(25)
@given(data=st.data())
def test_the_values_of_the_users_of_a_run(data: Any, run: Path, finished: Path) -> None:
    sound = (finished / "per_user.parquet").read_bytes()
    folder = open_run(str(run), run)
    found = damaged(data, run / "per_user.parquet", sound, lambda: folder.per_user("test"))
    if found is not None:
        means = {key: np.nanmean(values) for key, values in found.values.items()}
        assert means == pytest.approx({key: folder.metrics["test"][key] for key in means})


STATE = Saved({"weights": torch.arange(6.0)}, {"epoch": 3, "seen": [1, 2.5, "x", None]})


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@given(data=st.data())
def test_a_checkpoint(suffix: str, data: Any, tmp_path: Path) -> None:
    """What comes back is what was saved, to the bit; with any change it is refused."""
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder, {"model.rank": 8})
    checkpoints.save(STATE)
    (path,) = folder.glob(f"*.{suffix}")
    sound = path.read_bytes()
    path.write_bytes(changed(data, sound))
    try:
        read = checkpoints.newest(Silent())
    except (CheckpointError, ConfigError):
        return
    assert read is not None
    assert tensors_digest(read.tensors) == tensors_digest(STATE.tensors)
    assert read.values == STATE.values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**130), 2**130) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    values=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    numbers=st.lists(st.floats(width=32), max_size=5),
)
def test_a_checkpoint_brings_back_any_state(values: Any, numbers: Any, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder, {})
    saved = Saved({"numbers": torch.tensor(numbers)}, values)
    checkpoints.save(saved)
    read = checkpoints.newest(Silent())
    assert read is not None
    assert read.values == values
    assert tensors_digest(read.tensors) == tensors_digest(saved.tensors)


@given(content=st.binary(max_size=100) | st.text("0123456789 \n-x", max_size=60).map(str.encode))
def test_a_file_of_item_lists(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "lists.txt").write_bytes(content)
    try:
        events = read_item_lists(Member(tmp_path / "lists.txt"))
    except DataError:
        return
    assert len(events)


PIECES = st.sampled_from(
    ["model", "data", "trainer", ".rank", ".lr", "=", "+", "~", "++", "@", "/", "..", "mf", "1e9", "null", "${", "}",
     "oc.env:", "HOME", "[", "]", "{", "}", ",", "'", '"', "_target_", "os.system", "hydra.", "run.dir", " ", "\n", "é"]
)  # fmt: skip


@examples(25)
@given(
    said=st.lists(
        st.lists(PIECES, min_size=1, max_size=6).map("".join) | st.text(max_size=12),
        min_size=1,
        max_size=2,
    )
)
def test_what_is_typed_as_settings(said: list[str]) -> None:
    try:
        settings = config.load(said)
    except ConfigError:
        return
    assert settings.tree["model"]["_target_"].startswith("recsys_cli.models.")

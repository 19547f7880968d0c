"""Pickles under the name of every file that is opened: refused in one line, and never run."""

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from recsys_cli.tracking.run_folder import HISTORY, LISTS, METRICS, PER_USER, SETTINGS, WEIGHTS
from tests.security.conftest import SMALL

# What runs when it is unpickled: it makes a file called canary, in eight ways.
TOUCH = "__import__('pathlib').Path('canary').touch()"
CALLS = {
    "mknod": "cos\nmknod\n(Vcanary\ntR.",
    "system": "cos\nsystem\n(Vtouch canary\ntR.",
    "posix": "cposix\nsystem\n(Vtouch canary\ntR.",
    "eval": f"cbuiltins\neval\n(V{TOUCH}\ntR.",
    "exec": f"cbuiltins\nexec\n(V{TOUCH}\ntR.",
    "run": "csubprocess\ncall\n((lVtouch\naVcanary\natR.",
    "getattr": "cbuiltins\ngetattr\n(cbuiltins\n__import__\n(Vos\ntRVsystem\ntR(Vtouch canary\ntR.",
    "method": "coperator\nmethodcaller\n(Vtouch\ntR(cpathlib\nPath\n(Vcanary\ntRtR.",
}


def raw(name: str) -> bytes:
    return CALLS[name].encode()


def as_torch(name: str) -> bytes:
    """As `torch.save` packs it: a zip with `data.pkl`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", raw(name))
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def as_numpy(name: str) -> bytes:
    """As `np.save` writes an array of objects: a header, then a pickle."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})  # fmt: skip
    return header.getvalue() + raw(name)


DISGUISES = {
    "itself": raw,
    "torch.save": as_torch,
    "np.save": as_numpy,
    "gzip": lambda name: gzip.compress(raw(name)),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, one that was cut off, and imported data."""
    from typer.testing import CliRunner

    from recsys_cli.cli.program import app

    folder = tmp_path_factory.mktemp("trained")
    rows = "".join(
        f"{u},{i},{1_000_000_000 + u * 100 + i}\n" for u in range(9) for i in range(u, u + 9)
    )
    (folder / "events.csv").write_text("user,item,time\n" + rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (
            ["train", "--model=ease", *SMALL, "tracking=none", "--run-dir=run"],
            ["evaluate", "run", "--lists", "lists.csv"],
            ["data", "import", "events.csv", "--name=mine"],
        ):
            assert CliRunner().invoke(app, command).exit_code == 0
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "copy"


IMPORTED = [
    "train",
    "--model=popularity",
    "--data=imported",
    "data.path=data/mine",
    "tracking=none",
]
# File -> the command that opens it.
OPENED = {
    f"run/{WEIGHTS}": ["recommend", "run", "--history=1,2"],
    f"run/{SETTINGS}": ["recommend", "run", "--history=1,2"],
    f"run/{METRICS}": ["evaluate", "run"],
    f"run/{PER_USER}": ["compare-runs", "run", "run"],
    "lists.csv": ["evaluate", "--recommendations=lists.csv", "--against=run"],
    "lists.parquet": ["evaluate", "--recommendations=lists.parquet", "--against=run"],
    "data/mine/users.npy": IMPORTED,
    "data/mine/manifest.json": IMPORTED,
    "events.csv": ["data", "import", "events.csv", "--name=again"],
    "ml-100k.zip": ["train", "--model=popularity", "data.source=ml-100k.zip", "tracking=none"],
    "ml-100k/u.data": ["train", "--model=popularity", "data.source=ml-100k", "tracking=none"],
    "own/model/mine.yaml": ["train", "--model=mine", "--config-dir=own", "tracking=none"],
    "own/published/mine.yaml": ["reproduce", "mine", "--config-dir=own"],
    "runs/sweeps/s/study.db": ["sweep", "--model=ease", "model.l2=1,2", *SMALL, "tracking=none", "--study=s"],
    "runs/mlflow.db": ["ui"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("file", OPENED)
def test_a_pickle_under_any_name_is_refused_and_not_run(
    place: Path, recsys: Callable, file: str
) -> None:
    path = place / file
    path.parent.mkdir(parents=True, exist_ok=True)
    for gadget, disguise in zip(CALLS, cycle(DISGUISES.values()), strict=False):
        path.unlink(missing_ok=True)
        path.write_bytes(disguise(gadget))
        ended = recsys(*OPENED[file])
        assert ended.code in (2, 5, 6), ended.err
        assert ended.err.splitlines()[-1].startswith("recsys: error: ")
        assert not list(place.rglob("canary"))


def test_the_gadgets_would_write_the_canary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above would show nothing."""
    import pickle  # noqa: TID251

    monkeypatch.chdir(tmp_path)
    assert len(CALLS) == 8
    for gadget in sorted(CALLS):
        pickle.loads(raw(gadget))  # noqa: S301  # ours, and harmless
        assert (tmp_path / "canary").exists(), gadget
        (tmp_path / "canary").unlink()


def test_a_history_that_is_a_pickle_is_refused(place: Path, recsys: Callable) -> None:
    for gadget in ("system", "eval"):
        (place / "run" / HISTORY).write_bytes(raw(gadget))
        (place / "run" / METRICS).unlink(missing_ok=True)
        command = ["train", "--model=ease", *SMALL, "tracking=none", "--run-dir=run", "--resume=auto"]  # fmt: skip
        assert recsys(*command).code in (2, 5)
        assert not list(place.rglob("canary"))


class Extension(pa.ExtensionType):
    """A type that another program may have registered, and that rebuilds itself from a pickle."""

    def __init__(self) -> None:
        super().__init__(pa.string(), "evil.pickled")

    def __arrow_ext_serialize__(self) -> bytes:
        return raw("eval")

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> "Extension":
        return cls()


@pytest.mark.parametrize("name", [LISTS, PER_USER])
def test_pickles_in_the_metadata_of_columns_are_not_run(
    place: Path, recsys: Callable, name: str
) -> None:
    """pandas, pyarrow and their extension types keep free bytes there."""
    table = parquet.read_table(place / "run" / name)
    text = pa.array(["u"] * len(table))
    table = table.set_column(0, "user", pa.ExtensionArray.from_storage(Extension(), text))
    marks = {
        b"pandas": raw("eval"),
        b"PANDAS_ATTRS": raw("system"),
        b"ARROW:extension:metadata": raw("exec"),
    }
    parquet.write_table(table.replace_schema_metadata(marks), place / "lists.parquet")
    shutil.copy(place / "lists.parquet", place / "run" / PER_USER)
    for command in OPENED["lists.parquet"], OPENED[f"run/{PER_USER}"]:
        ended = recsys(*command)
        assert ended.code in (2, 5)
        assert not list(place.rglob("canary"))

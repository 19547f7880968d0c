"""Import: whole and checked, or nothing; and what was imported is what comes back."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_cli.data.columnar import columns
from recsys_cli.data.delimited import load_csv
from recsys_cli.data.imported import Import, import_csv, load_imported
from recsys_cli.data.interactions import Interactions
from recsys_cli.errors import ConfigError, DataError, RecsysError, ResourceError
from recsys_cli.progress import Progress, Silent

TEXT = b"user,item,time,value\nann,7,1000000000,3.5\nbob,8,1000000001,1\nann,8,1000000002,5\n"
SETTINGS: dict[str, Any] = {
    "delimiter": ",",
    "user_column": "user",
    "item_column": "item",
    "time_column": "time",
    "time_unit": "auto",
    "value_column": "value",
    "value_low": None,
    "value_high": None,
    "id_type": "auto",
    "duplicates": "keep",
}


@pytest.fixture(autouse=True)
def _cache(cache: Path) -> None:
    pass


def imported(
    folder: Path,
    text: bytes = TEXT,
    name: str = "mine",
    progress: Progress | None = None,
    **changed: Any,
) -> Import:
    file = folder / "events.csv"
    file.write_bytes(text)
    return import_csv(
        name=name,
        to=folder / "sets",
        settings=SETTINGS | changed | {"path": str(file)},
        progress=progress or Silent(),
    )


def load(folder: Path, check: Any = "hashes") -> Interactions:
    return load_imported(path=str(folder), check=check)


@pytest.mark.parametrize("check", ["hashes", "sizes"])
@pytest.mark.parametrize(
    "changed", [{}, {"time_column": None}, {"value_column": None}, {"id_type": "text"}]
)
def test_what_comes_back_is_what_the_file_says(
    changed: dict[str, Any], check: str, tmp_path: Path
) -> None:
    done = imported(tmp_path, **changed)
    path = str(tmp_path / "events.csv")
    read = load_csv(**SETTINGS | changed, path=path, progress=Silent())
    assert load(done.folder, check).digest() == read.digest() == done.manifest["digest"]


def test_the_manifest_tells_what_was_read_how_and_every_file(tmp_path: Path) -> None:
    done = imported(tmp_path, duplicates="last")
    assert done.folder == tmp_path / "sets" / "mine"
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest == done.manifest
    assert manifest["source"] == {
        "file": "events.csv",
        "bytes": len(TEXT),
        "sha256": hashlib.sha256(TEXT).hexdigest(),
    }
    assert manifest["read_as"]["user"] == "user"
    assert manifest["read_as"]["duplicates"] == "last"
    assert [manifest[key] for key in ("name", "events", "users", "items")] == ["mine", 3, 2, 2]
    assert manifest["files"].keys() == columns(done.events).keys()
    for name, listed in manifest["files"].items():
        content = (done.folder / f"{name}.npy").read_bytes()
        assert listed == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert len(list(done.folder.iterdir())) == len(manifest["files"]) + 1


def test_nothing_of_it_goes_to_the_cache(tmp_path: Path, cache: Path) -> None:
    imported(tmp_path)
    assert not cache.exists()


def test_what_was_decided_while_reading_is_told_and_kept(tmp_path: Path, heard) -> None:
    done = imported(tmp_path, TEXT.replace(b"100000000", b"100000000000"), progress=heard)
    assert len(heard.notes) == 1
    assert "data.time_unit=ms" in heard.notes[0]
    assert done.manifest["notes"] == heard.notes


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "ü", "a b", "x" * 101, "a\n"])
def test_names_that_no_data_set_has(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no name of a data set"):
        imported(tmp_path, name=name)
    assert left(tmp_path) == ["events.csv"]


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "dangling link"])
def test_what_is_there_already_stays(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "sets" / "mine"
    target.parent.mkdir()
    if kind == "file":
        target.write_text("theirs")
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
        if kind == "folder":
            (target / "theirs").write_text("")
    before = left(tmp_path)
    with pytest.raises(ConfigError, match="mine is there already"):
        imported(tmp_path)
    assert left(tmp_path) == ["events.csv", *before]


def left(folder: Path) -> list[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in found if name.split("/")[0] != "cache")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        TEXT + b"ann",
        TEXT.replace(b"bob", b""),
        TEXT.replace(b"3.5", b"nan"),
        TEXT[:47],  # one event
        TEXT.replace(b"ann", b"bob"),
        TEXT.replace(b"8", b"7"),
    ],
)
def test_a_refused_file_leaves_nothing(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        imported(tmp_path, text)
    assert left(tmp_path) == ["events.csv"]


def test_refused_duplicates_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="user ann has item 7 more than once"):
        imported(tmp_path, TEXT + b"ann,7,1000000009,1\n", duplicates="error")
    assert left(tmp_path) == ["events.csv"]


# --- any bytes ------------------------------------------------------------------------------------------------------

LINES = st.lists(
    st.tuples(*[st.text('ab07é",. \r\n-', max_size=4)] * 2, st.sampled_from(["1", "1e9", "", "x"])),
    max_size=4,
)
CONTENT = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=80).map(lambda tail: TEXT + tail),
    LINES.map(
        lambda rows: "\n".join(["user,item,time", *(",".join(row) for row in rows)]).encode()
    ),
    st.tuples(st.integers(0, len(TEXT) - 1), st.binary(min_size=1, max_size=1)).map(
        lambda change: TEXT[: change[0]] + change[1] + TEXT[change[0] + 1 :]
    ),
)


@settings(max_examples=200, deadline=None)
@given(text=CONTENT, has_value=st.booleans())
def test_for_any_bytes_import_succeeds_or_leaves_nothing(
    text: bytes, has_value: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        done = imported(folder, text, value_column="value" if has_value else None)
        assert load(done.folder).digest() == done.events.digest()
    except DataError:
        assert left(folder) == ["events.csv"]
    shutil.rmtree(folder)


# --- damage ---------------------------------------------------------------------------------------------------------


def damaged(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["users", "items", "values", "times", "rows", "user_ids", "item_ids"]
)
def test_a_flipped_bit_is_seen_and_named(name: str, tmp_path: Path) -> None:
    folder = imported(tmp_path).folder
    damaged(folder / f"{name}.npy", -1)
    with pytest.raises(DataError, match=f"{name}.npy has another SHA-256") as caught:
        load(folder)
    assert caught.value.line.endswith("; import the file again")


def test_only_the_sizes_are_compared_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = imported(tmp_path).folder
    damaged(folder / "values.npy", -1)
    load(folder, "sizes")
    with (folder / "values.npy").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=r"values.npy has .* bytes, not"):
        load(folder, "sizes")


def rewritten(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def rehashed(folder: Path, name: str, array: Any) -> None:
    """A column of another content with a manifest that says so: damage that no hash tells."""
    np.save(folder / f"{name}.npy", array)
    content = (folder / f"{name}.npy").read_bytes()
    listed = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    rewritten(folder, lambda manifest: manifest["files"].update({name: listed}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "items.npy").unlink(), "items.npy: cannot be read"),
        (lambda f: (f / "manifest.json").unlink(), "holds no manifest.json"),
        (shutil.rmtree, "holds no manifest.json"),
        (lambda f: (f / "manifest.json").write_text(""), "no manifest of an import"),
        (lambda f: (f / "manifest.json").write_text("[" * 100_000), "no manifest of an import"),
        (lambda f: (f / "manifest.json").write_text("[]"), "no manifest of an import"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff{}"), "no manifest of an import"),
        (lambda f: rewritten(f, lambda m: m.update(format=2)), "is of format 2, not 1"),
        (lambda f: rewritten(f, lambda m: m.update(files=[])), "no manifest of an import"),
        (lambda f: rewritten(f, lambda m: m.update(files={"users": 1})), "no manifest"),
        (lambda f: rewritten(f, lambda m: m["files"]["users"].pop("sha256")), "no manifest"),
        (lambda f: rewritten(f, lambda m: m["files"]["users"].update(bytes="1")), "no manifest"),
        (lambda f: rewritten(f, lambda m: m["files"].pop("rows")), "rows.npy is not listed"),
        (lambda f: rewritten(f, lambda m: m["files"].clear()), "is not listed"),
        (
            lambda f: rewritten(f, lambda m: m["files"].update({"../x": m["files"]["users"]})),
            "no manifest",
        ),
        (lambda f: rehashed(f, "users", np.array([0, 0, 2], dtype=np.int32)), "without an id"),
        (lambda f: rehashed(f, "users", np.array([0, 1, 0], dtype=np.int32)), "not in the order"),
        (lambda f: rehashed(f, "items", np.array([0, 1], dtype=np.int32)), "holds int32 of shape"),
        (lambda f: rehashed(f, "item_ids", np.array([8, 7])), "not in ascending order"),
    ],
)
def test_a_folder_that_is_not_as_written_is_refused(
    damage: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    folder = imported(tmp_path).folder
    damage(folder)
    with pytest.raises(DataError, match=words) as caught:
        load(folder)
    assert caught.value.line.startswith(str(folder))


@settings(max_examples=200, deadline=None)
@given(content=st.one_of(st.binary(max_size=100), st.text(max_size=50).map(str.encode)))
def test_a_manifest_may_hold_anything(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "manifests"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(DataError):
        load(folder)


def test_every_file_and_folder_is_on_disk_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    files = list(imported(tmp_path).folder.iterdir())
    assert len(synced) == len(files) + 2  # the folder, and the one that holds its name


# --- errors and crashes while writing ---------------------------------------------------------------------------------

STEPS = (
    (np, "save"),
    (os, "fsync"),
    (Path, "mkdir"),
    (Path, "rename"),
    (Path, "write_text"),
)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), OSError(5, "I/O error")])
def test_an_error_at_any_step_of_writing_leaves_nothing(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = 0
    while True:
        with monkeypatch.context() as patch:
            waiting = [points]
            for owner, name in STEPS:
                patch.setattr(owner, name, failing(getattr(owner, name), waiting, error))
            told = None
            try:
                imported(tmp_path)
            except RecsysError as raised:
                told = raised
        if told is None:
            break
        assert isinstance(told, ResourceError)
        assert "sets/mine: cannot be written" in told.line
        assert left(tmp_path) == ["events.csv"]
        points += 1
    assert points > 15
    load(tmp_path / "sets" / "mine")


def failing(function: Any, waiting: list[int], error: OSError) -> Any:
    def call(*arguments: Any, **named: Any) -> Any:
        waiting[0] -= 1
        if waiting[0] == -1:
            raise error
        return function(*arguments, **named)

    return call


CRASHES = """
import os, sys
from pathlib import Path
import numpy as np
from recsys_cli.errors import RecsysError
from tests.data.test_imported import STEPS, imported, left, load

def dying(function, waiting):
    def call(*arguments, **named):
        waiting[0] -= 1
        if waiting[0] == -1:
            os._exit(9)
        return function(*arguments, **named)
    return call

point, status = 0, 1
while status:
    folder = Path(sys.argv[1]) / str(point)
    folder.mkdir()
    child = os.fork()
    if not child:
        waiting = [point]
        for owner, name in STEPS:
            setattr(owner, name, dying(getattr(owner, name), waiting))
        imported(folder)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    target = folder / "sets" / "mine"
    if target.exists():
        load(target)
    else:
        imported(folder)
    assert set(left(folder)) >= {"sets/mine/users.npy"}
    assert not list(folder.rglob("*.part")), left(folder)
    point += 1
print(point)
"""


def test_a_crash_at_any_step_of_writing_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", CRASHES, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=root, check=True)
    assert int(done.stdout) > 15

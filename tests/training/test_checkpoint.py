"""A checkpoint is whole, or it is not there, or it is refused: never silently wrong."""

import errno
import hashlib
import json
import os
import random
import shutil
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from recsys_cli import integrity
from recsys_cli.errors import CheckpointError, ConfigError, ResourceError
from recsys_cli.progress import Silent
from recsys_cli.training import checkpoint
from recsys_cli.training.checkpoint import Checkpoints, Saved, differences

MADE_WITH = {"model.rank": 8, "trainer.lr": 0.1, "threads": "1"}


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def state(number: int) -> Saved:
    tensors = {"model.a": torch.arange(12.0).view(4, 3) + number, "step": torch.tensor(number)}
    return Saved(tensors, {"epoch": number, "history": [0.1 * number, 1e-300]})


def number_of(saved: Saved | None) -> int | None:
    """Which state it is, every bit of it compared; None = none."""
    if saved is None:
        return None
    number = saved.values["epoch"]
    original = state(number)
    assert saved.values == original.values
    assert saved.tensors.keys() == original.tensors.keys()
    for name, tensor in saved.tensors.items():
        assert torch.equal(tensor, original.tensors[name])
        assert tensor.dtype == original.tensors[name].dtype
    return int(number)


def kept(folder: Path, *numbers: int) -> Path:
    for number in numbers:
        Checkpoints(folder, MADE_WITH).save(state(number))
    return folder


def newest(folder: Path, notes: Silent | None = None) -> int | None:
    return number_of(Checkpoints(folder, MADE_WITH).newest(notes or Silent()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_comes_back_and_the_one_before_it_is_kept(tmp_path):
    assert newest(tmp_path / "absent") is None
    kept(tmp_path, 1)
    assert newest(tmp_path) == 1
    kept(tmp_path, 2, 3, 4)
    assert newest(tmp_path) == 4
    assert names(tmp_path) == [
        "00000003.json", "00000003.safetensors", "00000004.json", "00000004.safetensors"
    ]  # fmt: skip
    Checkpoints(tmp_path, MADE_WITH).remove()
    assert not tmp_path.exists()


def test_what_a_killed_process_left_is_swept(tmp_path):
    kept(tmp_path, 1)
    for name in ("00000002.safetensors", "00000002.json.part", "00000003.safetensors.part"):
        (tmp_path / name).write_bytes(b"half")
    assert newest(tmp_path) == 1
    assert names(tmp_path) == ["00000001.json", "00000001.safetensors"]


def test_a_corrupt_one_is_passed_over_and_said(tmp_path):
    kept(tmp_path, 1, 2)
    (tmp_path / "00000002.safetensors").write_bytes(b"")
    notes = Notes()
    assert newest(tmp_path, notes) == 1
    assert "00000002.safetensors: the checkpoint is corrupt: 0 bytes" in notes.lines[0]
    assert "going on from the checkpoint before it" in notes.lines[1]
    kept(tmp_path, 3)
    assert newest(tmp_path) == 3
    (tmp_path / "00000002.json").write_bytes(b"")
    assert newest(tmp_path) == 1, "the good one was not pushed out by the corrupt one"


def corruptions(data: bytes, chance: random.Random, *, flips: int, cuts: int) -> list[bytes]:
    changed = []
    for _ in range(flips):
        bit = chance.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    changed += [data[: chance.randrange(len(data))] for _ in range(cuts)]
    return [*changed, data + b"\0", data[1:], data[::-1]]


@pytest.mark.parametrize("name", ["00000002.safetensors", "00000002.json"])
def test_no_corruption_is_silently_wrong(tmp_path, name):
    """Alone it is refused; after a good one, the good one is used. A flip that JSON does not see may change nothing."""
    intact = kept(tmp_path / "intact", 1, 2)
    data = (intact / name).read_bytes()
    refused = 0
    for place, changed in enumerate(corruptions(data, random.Random(0), flips=250, cuts=100)):
        folder = tmp_path / f"{place}"
        shutil.copytree(intact, folder)
        (folder / name).write_bytes(changed)
        used = newest(folder)
        assert used in (1, 2)
        refused += used == 1
        if used == 1:
            shutil.copytree(intact, folder, dirs_exist_ok=True)
            (folder / name).write_bytes(changed)
            for path in folder.glob("00000001.*"):
                path.unlink()
            with pytest.raises(CheckpointError):
                newest(folder)
        shutil.rmtree(folder)
    if name.endswith(".safetensors"):
        assert refused == 353
    assert refused > 330


def resealed(folder: Path, **changes: object) -> None:
    """Edit a manifest as someone who knows the form would."""
    path = folder / "00000001.json"
    body = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(integrity.sealed(body)))


def in_place_of(path: Path, put: str) -> None:
    path.unlink()
    if put == "folder":
        path.mkdir()
    elif put == "link":
        path.symlink_to("/etc/hostname")
    elif put == "pipe":
        os.mkfifo(path)
    elif put:
        path.write_bytes(put.encode())


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("put", ["", "folder", "link", "pipe", "[]", "{}", "null", "{" * 100_000])
def test_something_else_in_its_place_is_refused(tmp_path, suffix, put):
    kept(tmp_path, 1)
    in_place_of(tmp_path / f"00000001.{suffix}", put)
    if (suffix, put) == ("json", ""):
        assert newest(tmp_path) is None, "without its manifest it was never finished"
    else:
        with pytest.raises(CheckpointError):
            newest(tmp_path)


def said(path: Path, reason: str) -> str:
    return f"{path}: the checkpoint is corrupt: {reason}; train again"


EDITS = [
    ({"schema": checkpoint.SCHEMA + 1}, "json", "schema 3, this version reads 2"),
    ({"schema": checkpoint.SCHEMA - 1}, "json", "schema 1, this version reads 2"),
    ({"schema": str(checkpoint.SCHEMA)}, "json", "schema '2', this version reads 2"),
    ({"schema": None}, "json", "schema None, this version reads 2"),
    ({"file": "../../other.safetensors"}, "safetensors", "its manifest is of '../../other.safetensors'"),
    ({"file": None}, "json", "no file"),
    ({"bytes": 1}, "safetensors", "{size} bytes, expected at most 1"),
    ({"bytes": 10**12}, "safetensors", "{size} bytes, its manifest says 1,000,000,000,000"),
    ({"bytes": -1}, "safetensors", "{size} bytes, expected at most -1"),
    ({"bytes": "many"}, "json", "no bytes"),
    ({"sha256": "0" * 64}, "safetensors", "its SHA-256 is not the one in its manifest"),
    ({"sha256": 7}, "json", "no sha256"),
    ({"state": []}, "json", "no state"),
    ({"state": None}, "json", "no state"),
    ({"made_with": None}, "json", "no made_with"),
    ({"made_where": "here"}, "json", "no made_where"),
    ({"mismatches": {}}, "json", "no mismatches"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "suffix", "reason"), EDITS)
def test_an_edited_manifest_is_refused(tmp_path, changes, suffix, reason):
    kept(tmp_path, 1)
    resealed(tmp_path, **changes)
    with pytest.raises(CheckpointError) as raised:
        newest(tmp_path)
    size = (tmp_path / "00000001.safetensors").stat().st_size
    assert raised.value.line == said(tmp_path / f"00000001.{suffix}", reason.format(size=size))


def test_an_edit_without_the_seal_is_refused(tmp_path):
    kept(tmp_path, 1)
    path = tmp_path / "00000001.json"
    path.write_text(path.read_text().replace('"epoch": 1', '"epoch": 7'))
    with pytest.raises(CheckpointError) as raised:
        newest(tmp_path)
    assert raised.value.line == said(path, "its SHA-256 is not the one that it holds")


def with_header(text: bytes, size: int | None = None, then: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text + then


NOT_TENSORS = {
    "a pickle": b"\x80\x04cos\nsystem\n.",
    "a zip": b"PK\x03\x04" + bytes(60),
    "nothing": b"",
    "a header of 2^62 bytes": with_header(b"{}", size=1 << 62),
    "a header longer than the file": with_header(b"{}", size=3),
    "a header that is no JSON": with_header(b"\xff" * 32),
    "a tensor of 4 TB": with_header(
        b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
    ),
    "a shape larger than its bytes": with_header(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', then=bytes(4)
    ),
    "bytes of no tensor": with_header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', then=bytes(8)
    ),
    "tensors that overlap": with_header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        then=bytes(4),
    ),
    "an unknown type": with_header(
        b'{"a":{"dtype":"OBJ","shape":[1],"data_offsets":[0,4]}}', then=bytes(4)
    ),
}


@pytest.mark.parametrize("what", NOT_TENSORS)
def test_tensors_that_are_none_are_refused(tmp_path, what):
    """Under the name of tensors, with the right size and hash."""
    kept(tmp_path, 1)
    data = NOT_TENSORS[what]
    (tmp_path / "00000001.safetensors").write_bytes(data)
    resealed(tmp_path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(SafetensorError) as why:
        safetensors.torch.load(data)
    with pytest.raises(CheckpointError) as raised:
        newest(tmp_path)
    # Of two tensors it names the one that it happens to meet first.
    reason = str(why.value).splitlines()[0].partition("`")[0]
    told = raised.value.line
    assert told.startswith(
        f"{tmp_path / '00000001.safetensors'}: the checkpoint is corrupt: {reason}"
    )
    assert told.endswith("; train again")


def test_other_settings_are_refused_by_name(tmp_path):
    kept(tmp_path, 1)
    other = Checkpoints(tmp_path, MADE_WITH | {"model.rank": 16, "threads": "2"})
    with pytest.raises(
        ConfigError, match=r"model\.rank is 8 there and 16 here; threads is 1 there"
    ):
        other.newest(Silent())


HERE, THERE = {"threads": "1", "torch": "2"}, {"threads": "4", "torch": "2"}


def elsewhere(folder: Path, where: dict[str, str], *, allow: bool) -> Checkpoints:
    return Checkpoints(folder, MADE_WITH, where, allow_mismatch=allow)


def test_other_conditions_are_refused_by_name_unless_they_are_allowed(tmp_path):
    elsewhere(tmp_path, HERE, allow=False).save(state(1))
    assert number_of(elsewhere(tmp_path, HERE, allow=False).newest(Silent())) == 1
    with pytest.raises(ConfigError, match="threads is 1 there and 4 here") as raised:
        elsewhere(tmp_path, THERE, allow=False).newest(Silent())
    assert "--allow-mismatch" in raised.value.line
    notes, kept_there = Notes(), elsewhere(tmp_path, THERE, allow=True)
    assert number_of(kept_there.newest(notes)) == 1
    assert notes.lines == ["not exact any more: threads is 1 there and 4 here"]
    assert kept_there.mismatches == ["threads is 1 there and 4 here"]


def test_what_changed_is_kept_with_the_checkpoints_after_it(tmp_path):
    elsewhere(tmp_path, HERE, allow=False).save(state(1))
    second = elsewhere(tmp_path, THERE, allow=True)
    second.newest(Silent())
    second.save(state(2))
    third = elsewhere(tmp_path, THERE, allow=False)
    assert number_of(third.newest(Silent())) == 2
    assert third.mismatches == ["threads is 1 there and 4 here"]


def test_other_settings_are_never_allowed(tmp_path):
    kept(tmp_path, 1)
    other = Checkpoints(tmp_path, MADE_WITH | {"model.rank": 16}, allow_mismatch=True)
    with pytest.raises(ConfigError, match=r"model\.rank is 8 there and 16 here"):
        other.newest(Silent())


def test_differences_are_counted_when_there_are_many():
    here, there = {f"k{n}": n for n in range(9)}, {f"k{n}": -n for n in range(9)}
    assert differences(here, there).endswith("; and 3 more")
    assert differences({"a": None}, {}) == "a is None there and absent here"
    assert differences(here, dict(here)) == ""


class Counted:
    """Does what the real one does, and something else at the n-th call."""

    def __init__(self, real, at: int, act, *, after: bool = False) -> None:
        self.real, self.left, self.act, self.after = real, at, act, after

    def __call__(self, *arguments, **named):
        self.left -= 1
        if self.left == 0 and not self.after:
            self.act(*arguments)
        result = self.real(*arguments, **named)
        if self.left == 0 and self.after:
            self.act(*arguments)
        return result

    def __get__(self, instance, owner=None):
        return self if instance is None else lambda *a, **n: self(instance, *a, **n)


class HalfWritten:
    """A file of which the first half arrives."""

    def __init__(self, file, act) -> None:
        self.file, self.act = file, act

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.act()


def fail_at(monkeypatch, what: str, at: int, act, *, after: bool = False) -> None:
    """Let the n-th fsync, rename or write of a save do something else."""
    if what == "fsync":
        monkeypatch.setattr(os, "fsync", Counted(os.fsync, at, act, after=after))
    elif what == "replace":
        monkeypatch.setattr(Path, "replace", Counted(Path.replace, at, act, after=after))
    else:
        opened, left = Path.open, [at]

        def half(path, *arguments, **named):
            file = opened(path, *arguments, **named)
            left[0] -= arguments == ("wb",)
            return HalfWritten(file, act) if left[0] == 0 and arguments == ("wb",) else file

        monkeypatch.setattr(Path, "open", half)


POINTS = [("write", 1), ("write", 2), *(("fsync", n) for n in range(1, 5)), ("replace", 1), ("replace", 2)]  # fmt: skip


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("what", "at"), POINTS)
def test_a_disk_that_fails_leaves_the_old_one(tmp_path, what, at, code):
    kept(tmp_path, 1, 2)

    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, what, at, fail)
        with pytest.raises(ResourceError, match=r"a checkpoint of \d+ bytes") as raised:
            kept(tmp_path, 3)
    assert str(tmp_path) in raised.value.line
    assert not list(tmp_path.glob("*.part"))
    # Only the very last step, when the manifest is in its place, leaves the new one; it is whole then.
    assert newest(tmp_path) == (3 if (what, at) == ("fsync", 4) else 2)
    kept(tmp_path, 4)
    assert newest(tmp_path) == 4


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("what", "at"), POINTS)
def test_a_crash_leaves_the_old_one_or_the_new_one(tmp_path, what, at, after):
    kept(tmp_path, 1, 2)
    if not (child := os.fork()):
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, what, at, lambda *arguments: os._exit(9), after=after)
            kept(tmp_path, 3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9, "it died where it should"
    manifest_is_there = (what, at) == ("fsync", 4) or (what, at, after) == ("replace", 2, True)
    assert newest(tmp_path) == (3 if manifest_is_there else 2)
    assert not list(tmp_path.glob("*.part"))
    kept(tmp_path, 4)
    assert newest(tmp_path) == 4
    assert len(names(tmp_path)) == 4


def test_each_refusal_says_what_to_do(tmp_path):
    kept(tmp_path, 1)
    path = tmp_path / "00000001.json"
    with pytest.raises(ConfigError) as other:
        Checkpoints(tmp_path, {"model.rank": 9}).newest(Silent())
    assert other.value.line == (
        f"{path} was made with other settings: model.rank is 8 there and 9 here; "
        "threads is 1 there and absent here; trainer.lr is 0.1 there and absent here; "
        "go on with the same, or train anew in another --run-dir"
    )
    with pytest.raises(ConfigError) as elsewhere:
        Checkpoints(tmp_path, MADE_WITH, {"torch": "9.9"}).newest(Silent())
    assert elsewhere.value.line == (
        f"{path} was made under other conditions: torch is absent there and 9.9 here; "
        "go on under the same, or with --allow-mismatch, which marks the run as not exact"
    )
    path.write_bytes(b"[]")
    with pytest.raises(CheckpointError) as corrupt:
        newest(tmp_path)
    assert corrupt.value.line == (
        f"{path}: the checkpoint is corrupt: it is not a manifest; train again"
    )


def test_a_fact_that_is_none_is_another_than_one_that_is_not_there():
    assert differences({}, {"a": None}) == "a is absent there and None here"
    assert differences({"a": "absent"}, {}) == "a is absent there and absent here"
    assert differences({"a": 1, "b": 2}, {"b": 2, "a": 1}) == ""


def test_removing_what_is_gone_is_no_error(tmp_path):
    checkpoints = Checkpoints(kept(tmp_path / "checkpoints", 1), MADE_WITH)
    checkpoints.remove()
    checkpoints.remove()
    assert not (tmp_path / "checkpoints").exists()

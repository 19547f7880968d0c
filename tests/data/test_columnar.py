"""Columns on disk: what comes back is what was written, and nothing odd is taken for events."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_cli.data.columnar import check_codes, columns, is_name, read, save
from recsys_cli.data.interactions import Interactions, Vocabulary, from_columns


def events(**changed: Any) -> Interactions:
    given_columns: dict[str, Any] = {
        "users": np.array([3, 1, 3, 2]),
        "items": np.array(["a", "ü", "b", "a"]),
        "times": np.array([5, 4, 3, 2]),
        "values": np.array([1, 2, 3, 4.5]),
    }
    return from_columns(**given_columns | changed)


def written(folder: Path, interactions: Interactions) -> dict[str, int]:
    named = columns(interactions).items()
    return {name: save(folder / f"{name}.npy", array).bytes for name, array in named}


@pytest.mark.parametrize(
    "interactions",
    [events(), events(times=None), events(context={"day": np.array([0, 1, 2, 0])})],
    ids=["full", "no times", "context"],
)
def test_what_comes_back_is_what_was_written(interactions: Interactions, tmp_path: Path) -> None:
    found = read(tmp_path, written(tmp_path, interactions))
    assert found.digest() == interactions.digest()
    assert found.context.keys() == interactions.context.keys()
    assert isinstance(found.users.base, np.memmap)
    check_codes(found)


def test_the_length_that_is_told_is_that_of_the_file(tmp_path: Path) -> None:
    sizes = written(tmp_path, events())
    assert sizes == {path.stem: path.stat().st_size for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("users", np.zeros(4, dtype=np.int64), "users.npy holds int64"),
        ("users", np.zeros((4, 1), dtype=np.int32), r"of shape \(4, 1\)"),
        ("times", np.zeros(3, dtype=np.int64), r"times.npy holds int64 of shape \(3,\)"),
        ("values", np.zeros(4, dtype=np.float64), "values.npy holds float64"),
        ("item_ids", np.zeros(3, dtype=np.float64), "item_ids.npy holds float64"),
        ("user_ids", np.zeros((3, 1), dtype=np.int64), "user_ids.npy holds"),
        ("context.day", np.zeros(4, dtype=np.int64), "context.day.npy holds int64"),
        ("surplus", np.zeros(4, dtype=np.int32), "surplus.npy holds"),
    ],
)
def test_columns_of_another_kind_are_refused(
    name: str, array: Any, words: str, tmp_path: Path
) -> None:
    sizes = written(tmp_path, events())
    sizes[name] = save(tmp_path / f"{name}.npy", array).bytes
    with pytest.raises(ValueError, match=words):
        read(tmp_path, sizes)


@pytest.mark.parametrize("name", ["users", "items", "values", "rows", "user_ids", "item_ids"])
def test_every_column_but_the_times_must_be_there(name: str, tmp_path: Path) -> None:
    sizes = written(tmp_path, events())
    del sizes[name]
    with pytest.raises((ValueError, KeyError), match=name):
        read(tmp_path, sizes)


def test_another_length_than_listed_is_told(tmp_path: Path) -> None:
    sizes = written(tmp_path, events())
    sizes["items"] += 1
    with pytest.raises(ValueError, match=f"items.npy has {sizes['items'] - 1} bytes, not"):
        read(tmp_path, sizes)


@pytest.mark.parametrize("name", ["../users", "/etc/passwd", "a/b", "", "context.", "ü", "a b"])
def test_a_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="no name of a column"):
        read(tmp_path, written(tmp_path, events()) | {name: 1})


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    sizes = written(tmp_path, events())
    path = tmp_path / "user_ids.npy"
    np.save(path, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="is no column of numbers"):
        read(tmp_path, sizes | {"user_ids": path.stat().st_size})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    path = tmp_path_factory.mktemp("headers")
    return path, written(path, events())


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 127), byte=st.integers(0, 255))
def test_any_byte_of_a_header_may_be_wrong(
    at: int, byte: int, folder: tuple[Path, dict[str, int]]
) -> None:
    path, sizes = folder[0] / "users.npy", folder[1]
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes([byte]) + content[at + 1 :])
    try:
        with contextlib.suppress(ValueError):
            read(folder[0], sizes)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda e: replace(e, users=e.users + 1), "users.npy has codes without an id"),
        (lambda e: replace(e, items=e.items - 1), "items.npy has codes without an id"),
        (lambda e: replace(e, users=e.users[::-1]), "not in the order of users"),
        (
            lambda e: replace(e, item_ids=Vocabulary(e.item_ids.ids[::-1])),
            "ids of the items are not in ascending order",
        ),
        (
            lambda e: replace(e, user_ids=Vocabulary(np.array([1, 1, 3]))),
            "ids of the users are not in ascending order",
        ),
        (lambda e: e.take(np.arange(0)), "has codes without an id"),
    ],
)
def test_columns_that_do_not_belong_together_are_told(
    damage: Callable[[Interactions], Interactions], words: str
) -> None:
    check_codes(events())
    with pytest.raises(ValueError, match=words):
        check_codes(damage(events()))


def test_the_hash_that_is_told_is_that_of_the_file(tmp_path: Path) -> None:
    for name, array in columns(events()).items():
        path = tmp_path / f"{name}.npy"
        assert save(path, array).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_full_disk_is_not_passed_over(tmp_path: Path) -> None:
    full = tmp_path / "users.npy"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        save(full, events().users)


def test_a_column_is_on_disk_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    written(tmp_path, events())
    assert len(synced) == len(columns(events()))

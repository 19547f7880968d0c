"""What was changed after it was written is seen."""

import os

import pytest

from recsys_cli import integrity

RECORD = {"a": 1, "b": {"c": [0.1, None, "ä"], "d": True}}


def test_a_seal_holds_whatever_the_order():
    sealed = integrity.sealed(RECORD)
    assert integrity.is_sealed(sealed)
    assert integrity.is_sealed(dict(reversed(sealed.items())))
    assert integrity.sealed(sealed) == sealed


@pytest.mark.parametrize(
    "change", [{"a": 2}, {"a": 1.5}, {"e": None}, {"b": {}}, {"seal": "0" * 64}, {"seal": None}]
)
def test_a_change_breaks_it(change):
    assert not integrity.is_sealed(integrity.sealed(RECORD) | change)


def test_without_a_seal_there_is_none():
    assert not integrity.is_sealed(RECORD)
    assert not integrity.is_sealed({})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    return path, integrity.noted(path)


def test_a_file_as_it_was_is_not_damaged(file):
    path, then = file
    assert then["bytes"] == 100
    assert integrity.damage(path, then) == ""


def replaced(path, make):
    path.unlink()
    make(path)


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


DAMAGE = {
    "a flipped bit": (lambda p: p.write_bytes(bytes([1, *range(1, 100)])), "it was changed: SHA-256"),
    "cut off": (lambda p: p.write_bytes(b"1"), "it has 1 bytes and was written with 100"),
    "more": (lambda p: p.write_bytes(bytes(101)), "it has 101 bytes"),
    "missing": (lambda p: p.unlink(), "it is missing"),
    "a folder": (lambda p: replaced(p, lambda q: q.mkdir()), "it is no plain file"),
    "a link to the same": (linked, "it is no plain file"),
    "a link to nothing": (lambda p: replaced(p, lambda q: q.symlink_to("no")), "it is no plain file"),
    "a pipe": (lambda p: replaced(p, os.mkfifo), "it is no plain file"),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_told(file, how):
    change, message = DAMAGE[how]
    change(file[0])
    assert integrity.damage(*file).startswith(message)


def test_both_hashes_of_a_changed_file_are_told(file):
    path, then = file
    path.write_bytes(bytes(100))
    now = integrity.noted(path)["sha256"]
    assert integrity.damage(path, then) == (
        f"it was changed: SHA-256 {now[:12]}, and {then['sha256'][:12]} was written"
    )


@pytest.mark.parametrize(
    "then", [{}, {"bytes": None, "sha256": None}, {"bytes": "100", "sha256": 5}]
)
def test_a_record_that_says_nothing_of_a_file_says_that_it_is_damaged(file, then):
    assert integrity.damage(file[0], then) == (
        f"it has 100 bytes and was written with {then.get('bytes')}"
    )


def test_what_cannot_be_read_is_damaged(file, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(integrity, "noted", fail)
    assert integrity.damage(*file) == "it cannot be read: Input/output error"

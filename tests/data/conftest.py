"""Fixtures of the tests that read files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys_cli.progress import Bar, Silent


class Heard(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bars: list[tuple[str, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def bar(self, what: str, total: int, unit: str) -> Iterator[Bar]:
        self.bars.append((what, total))
        with super().bar(what, total, unit) as bar:
            yield bar


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no folder of data sets."""
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RECSYS_DATA", raising=False)
    return tmp_path / "cache"

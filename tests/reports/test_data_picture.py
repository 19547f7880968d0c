"""The picture of a data set: drawn for any clock and size, and replaced as a whole."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from recsys_cli.data.describe import describe
from recsys_cli.data.interactions import Interactions, from_columns
from recsys_cli.data.split import Split
from recsys_cli.data.time_splits import global_time
from recsys_cli.errors import ConfigError, DataError
from recsys_cli.reports import data_picture
from recsys_cli.reports.data_picture import DOTS_PER_INCH, MOST_BARS, check_path, draw

DAY = 86_400


def events(span_seconds: int = 200 * DAY, n: int = 500, clock: bool = True) -> Interactions:
    random = np.random.default_rng(0)
    times = 1_000_000_000 + random.integers(0, span_seconds + 1, n)
    return from_columns(
        users=random.integers(0, n // 5, n),
        items=(random.random(n) ** 3 * 60).astype(int),
        times=times if clock else None,
    )


def drawn(path: Path, data: Interactions, split: Split | None = None) -> Path:
    draw(data, describe(data), split, "mine", path)
    return path


def colours(path: Path) -> set[str]:
    pixels = (imread(path)[:, :, :3] * 255).round().astype(int) @ [1 << 16, 1 << 8, 1]
    found, counts = np.unique(pixels, return_counts=True)
    return {f"#{colour:06x}" for colour in found[counts > 300]}  # areas, not the rim of a letter


def test_a_png_with_three_panels_or_two_without_a_clock(tmp_path: Path) -> None:
    for clock, n_panels in ((True, 3), (False, 2)):
        image = imread(drawn(tmp_path / "a.png", events(clock=clock)))
        assert image.shape[1] == round(4.6 * n_panels * DOTS_PER_INCH)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_the_parts_of_the_split_have_their_colours(tmp_path: Path) -> None:
    data = events()
    split = global_time(interactions=data, test_days=40, valid_days=40)
    parts = {data_picture.VALID, data_picture.LEFT_OUT}
    assert colours(drawn(tmp_path / "a.png", data)) & parts == set()
    assert colours(drawn(tmp_path / "a.png", data, split)) & parts == {data_picture.VALID}
    fewer = Split(
        split.name, "", split.train.take(split.train.times < split.train.times.mean()), split.valid, split.test
    )  # fmt: skip
    assert colours(drawn(tmp_path / "a.png", data, fewer)) & parts == parts


@pytest.mark.parametrize("span", [0, 1, 7_200, 3 * DAY, 60 * DAY, 1_000 * DAY, 30 * 365 * DAY])
def test_any_length_of_time_is_drawn(span: int, tmp_path: Path) -> None:
    assert drawn(tmp_path / "a.png", events(span, n=10)).stat().st_size > 10_000


def test_bars_hold_every_event_and_are_not_many() -> None:
    for span in (1, 100 * 3_600, 100 * DAY, 1_000 * DAY, 9_000 * DAY):
        data = events(span)
        assert data.times is not None
        edges, _ = data_picture.bars(data.times)
        assert np.histogram(data.times, edges)[0].sum() == len(data)
        assert len(edges) <= MOST_BARS + 2
        assert edges[-1] == data.times.max() + 1


def test_one_item_and_one_event_each(tmp_path: Path) -> None:
    drawn(tmp_path / "a.png", from_columns(users=np.arange(5), items=np.zeros(5, dtype=int)))


@pytest.mark.parametrize("name", ["a.jpg", "a", ".png", "absent/a.png"])
def test_impossible_places_are_told_before_any_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--picture"):
        check_path(tmp_path / name)
    check_path(tmp_path / "a.PNG")


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drawn(tmp_path / "a.png", events())
    old = path.read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match=r"a\.png: cannot be written: Input/output error"):
        drawn(path, events(n=50))
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]

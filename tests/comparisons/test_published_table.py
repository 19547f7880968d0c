"""Tables as files: what they must hold, and that the built-in ones hold it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recsys_cli import catalogue, config
from recsys_cli.comparisons.published_table import read
from recsys_cli.errors import ConfigError

TABLE = {
    "data": "demo",
    "overrides": [],
    "metrics": ["rmse", "mae"],
    "digits": 2,
    "rows": [{"model": "baseline", "published": [0.0, None], "tolerance": 0.1}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "published").mkdir()
    return tmp_path


def write(folder: Path, **changed) -> None:
    (folder / "published" / "mine.yaml").write_text(yaml.safe_dump(TABLE | changed))


def test_a_table_is_read(folder):
    write(folder)
    table = read("mine", [folder])
    assert table.rows[0].published == [0.0, None]
    assert (table.repeats, table.counts, table.folder) == ([], {}, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"digits": 0}, "digits: input should be greater than or equal to 1"),
        ({"metric": ["rmse"]}, "metric: extra inputs are not permitted"),
        ({"metrics": ["rmse"]}, "baseline has 2 numbers for 1 metrics"),
        (
            {"rows": [{"model": "svd", "published": [9, 9], "tolerance": [0.1]}]},
            "svd has 1 tolerances for 2 metrics",
        ),
        ({"rows": []}, "rows: list should have at least 1 item"),
    ],
)
def test_a_table_that_is_not_as_it_should_be(folder, changed, said):
    write(folder, **changed)
    with pytest.raises(ConfigError, match=said):
        read("mine", [folder])


def test_a_table_that_is_no_yaml(folder):
    (folder / "published" / "mine.yaml").write_text("rows: [")
    with pytest.raises(ConfigError, match="cannot be read: line 1"):
        read("mine", [folder])


def test_tables_are_no_group_of_settings():
    assert catalogue.PUBLISHED not in catalogue.groups()


TABLES = catalogue.names(catalogue.PUBLISHED)


@pytest.mark.parametrize("name", TABLES)
def test_a_built_in_table_can_be_composed_as_a_whole(name):
    table, entry = read(name), catalogue.find(catalogue.PUBLISHED, name)
    assert entry.title
    assert entry.notes[0] == table.data
    assert len(entry.notes) == 2
    shared = [f"data={table.data}", *table.overrides]
    for row in table.rows:
        for repeat in table.repeats or [[]]:
            settings = config.load([f"model={row.model}", *shared, *row.overrides, *repeat])
            protocol = config.build(settings.tree["evaluation"], key="evaluation")
            known = protocol.metrics if "rmse" in table.metrics else protocol.keys
            assert set(table.metrics) <= set(known)

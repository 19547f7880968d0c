"""Records of published tables: written, read, refused; and those of the repository hold what their tables say."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from recsys_cli.comparisons import published_record
from recsys_cli.comparisons.published_record import KeptRow, KeptRun
from recsys_cli.comparisons.published_table import read as read_table
from recsys_cli.config import load
from recsys_cli.errors import ConfigError

RUN = KeptRun(0, "a", "b", "c", 3, 2, 1.5, {"rmse": 0.9}, {"torch": "2"})
ROW = KeptRow("recsys reproduce mine --only=svd", [RUN])
RECORDS = sorted((Path(__file__).resolve().parents[2] / "scripts" / "recorded").glob("*.json"))


def test_a_row_takes_the_place_of_its_older_one_and_the_others_stay(tmp_path):
    path = tmp_path / "mine.json"
    published_record.keep(path, "mine", {"svd": ROW, "nmf": ROW})
    newer = replace(ROW, runs=[replace(RUN, epochs=9)])
    published_record.keep(path, "mine", {"svd": newer})
    record = published_record.read(path)
    assert record.rows == {"nmf": ROW, "svd": newer}
    assert json.loads(path.read_text()) == asdict(record)


def test_the_record_of_another_table_is_not_written_over(tmp_path):
    path = tmp_path / "mine.json"
    published_record.keep(path, "mine", {"svd": ROW})
    with pytest.raises(ConfigError, match="it holds the table mine"):
        published_record.keep(path, "other", {"svd": ROW})
    with pytest.raises(ConfigError, match="no folder"):
        published_record.expect_place(tmp_path / "nowhere" / "mine.json", "mine")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "invalid json"),
        ('{"table": "a", "rows": {"svd": {"command": "x"}}}', "rows.svd.runs: field required"),
    ],
)
def test_a_file_that_is_no_record(tmp_path, text, said):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        published_record.read(tmp_path / "mine.json")


def test_where_the_data_lies_does_not_change_the_settings_and_the_seed_does():
    one, two = (load(["model=mf", "data=ml-1m", f"data.source={name}"]) for name in ("/a", "/b"))
    seeded = load(["model=mf", "data=ml-1m", "seed=3"])
    assert published_record.settings_hash(one) == published_record.settings_hash(two)
    assert published_record.settings_hash(one) != published_record.settings_hash(seeded)
    assert published_record.difference(one, two) == ""
    assert published_record.difference(one, seeded) == ""
    ranked = load(["model=mf", "data=ml-1m", "model.rank=3"])
    assert published_record.difference(ranked, one).startswith("model.rank=3, not ")


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_here_is_of_the_settings_that_its_table_has_today(path):
    record = published_record.read(path)
    table = read_table(record.table)
    rows = {row.model: row for row in table.rows}
    assert record.table == path.stem
    for model, kept in record.rows.items():
        own = [f"model={model}", f"data={table.data}", *table.overrides, *rows[model].overrides]
        for repeat, run in zip(table.repeats or [[]], kept.runs, strict=True):
            seed = [] if table.repeats else [f"seed={run.seed}"]
            today = load([*own, *repeat, *seed])
            assert run.settings_hash == published_record.settings_hash(today)
            assert run.metrics.keys() == set(table.metrics)

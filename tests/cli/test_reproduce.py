"""What `recsys reproduce` prints, and how it ends."""

import json

import pytest

TABLE = """\
# A table of mine | demo | my paper
data: demo
overrides: [data.events=2000, split=leave_last_out, 'evaluation.cutoffs=[10]']
counts: {users: 40}
metrics: [hit_at_10]
digits: 4
rows:
  - {model: popularity, published: [0.0], tolerance: 1, note: popular is popular}
  - {model: ease, published: [2.0], tolerance: 0.5}
"""


@pytest.fixture
def call(recsys, tmp_path, monkeypatch):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "mine.yaml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)

    def call(*args):
        return recsys("reproduce", f"--config-dir={tmp_path}", *args)

    return call


def test_tables_are_listed(call):
    ended = call()
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert ended.code == 0
    assert lines[0] == ["table", "what", "data", "source"]
    assert ["mine", "A table of mine", "demo", "my paper"] in lines
    assert {"recbole-ml1m", "mcrec-ml100k", "surprise-ml100k", "beauty-gts"} <= {
        line[0] for line in lines
    }


def test_a_number_that_is_missed_shows_and_ends_with_1(call):
    ended = call("mine", "tracking=none", "device.threads=1")
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert lines[0] == [
        "model",
        "metric",
        "published",
        "ours",
        "difference",
        "tolerance",
        "verdict",
    ]
    by_model = {line[0]: line for line in lines[1:4]}
    assert by_model["split"][1:] == ["users", "40", "40", "+0", "exact", "pass"]
    assert by_model["popularity"][5:] == ["1", "pass"]
    assert by_model["ease"][2] == "2.0000"
    assert by_model["ease"][4].startswith("-1.")
    assert by_model["ease"][5:] == ["0.5", "FAIL"]
    assert ["popularity", "popular is popular"] in lines
    assert lines[-1][0] == "verdict"
    assert ended.code == 1


def test_all_numbers_reached_ends_with_0_and_json_is_one_object(call):
    ended = call("mine", "--only=popularity", "--json", "tracking=none", "device.threads=1")
    told = json.loads(ended.out)
    assert ended.code == 0
    assert told["passed"] is True
    assert [check["model"] for check in told["checks"]] == ["split", "popularity"]
    assert 0 < told["checks"][1]["ours"] <= 1


def test_a_finished_run_is_compared_without_training(call, tmp_path):
    call("mine", "--only=popularity", "tracking=none", "device.threads=1")
    (run,) = (path.parent for path in tmp_path.glob("runs/*/metrics.json"))
    ended = call("mine", f"--from={run}", "--record=mine.json", "--json")
    assert ended.code == 0
    told, kept = json.loads(ended.out), json.loads((tmp_path / "mine.json").read_text())
    assert [check["model"] for check in told["checks"]] == ["split", "popularity"]
    assert kept["rows"] == told["rows"]
    refused = call("mine", f"--from={run}", "--only=ease")
    assert (refused.code, "--only" in refused.err) == (2, True)
    assert call("--record=mine.json").code == 2


def test_a_table_that_is_not_there(spawn, tmp_path):
    ended = spawn("reproduce", "recbole-ml1", cwd=tmp_path)
    assert ended.code == 2
    assert "did you mean 'recbole-ml1m'?" in ended.err

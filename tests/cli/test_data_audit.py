"""`recsys data audit`, from the typed line to what is printed."""

import json

import pytest

from recsys_cli.data.audit import KINDS

SMALL = ["--data=demo", "data.events=3000", "data.days=100"]


def test_a_table_and_what_was_found(recsys):
    ended = recsys("data", "audit", *SMALL, "--split=leave_last_out")
    assert ended.code == 0
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert lines[0] == ["finding", "part", "count", "of", "share", "verdict"]
    rows = {(line[0], line[1]): line for line in lines[1 : 1 + 2 * len(KINDS)]}
    assert rows["later_events", "test"][5] == "leak"
    assert rows["duplicates", "test"][2:] == ["0", "60", "0.0 %", "clean"]
    told = dict(line for line in lines[1 + 2 * len(KINDS) :])
    assert told["later_events"].startswith("training events at or after the first target")
    assert "duplicates" not in told
    assert told["split"] == "leave_last_out(users with 3 or more events)"
    assert len(told["hash"]) == 64
    assert told["declared"].startswith("other users' later events")
    assert told["caution"].startswith("only 60 test users")
    assert "clock" not in told


def test_a_split_in_time_is_clean(recsys):
    ended = recsys("data", "audit", *SMALL, "--split=global_time", "--json")
    told = json.loads(ended.out)
    assert told["declared"] == "this rule lets nothing of the future into training"
    assert [finding for finding in told["findings"] if finding["leak"]] == []
    assert {finding["name"] for finding in told["findings"]} == set(KINDS)
    first = told["findings"][0]
    assert first["share"] == first["count"] / first["of"]
    assert (first["what"], first["meaning"]) == KINDS[first["name"]]
    assert told["counts"]["test_users"] > 0


def test_the_filter_is_applied_and_its_leak_told(recsys):
    ended = recsys("data", "audit", *SMALL, "filter=steps", "filter.steps=[{k_core: 6}]", "--json")
    told = json.loads(ended.out)
    assert "k_core 6" in told["declared"]
    assert "filter, k_core 6: " in ended.err


@pytest.mark.parametrize("slip", ["--split=globl_time", "splt.test_days=3"])
def test_slips_are_refused(spawn, slip):
    ended = spawn("data", "audit", *SMALL, slip)
    assert ended.code == 2
    assert ended.err.startswith("recsys: error: ")
    assert ended.err.count("\n") == 1


def test_data_without_times_says_so(recsys, tmp_path):
    (tmp_path / "a.csv").write_text(
        "user,item\n" + "".join(f"{u},{i}\n" for u in range(5) for i in range(5))
    )
    ended = recsys(
        "data", "audit", "--data=csv", f"data.path={tmp_path / 'a.csv'}", "data.time_column=null",
        "--split=leave_last_out",
    )  # fmt: skip
    assert "this data has no times" in ended.out

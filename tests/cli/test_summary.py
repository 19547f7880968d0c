from dataclasses import replace
from pathlib import Path

import pytest

from recsys_cli.cli import output, summary
from recsys_cli.outcome import Outcome

OUTCOME = Outcome(
    run_id="run-1",
    run_dir=Path("runs/one"),
    config_hash="c" * 64,
    split_hash="0123456789abcdef" * 4,
    weights_sha256="w" * 64,
    device={"device": "cpu"},
    promise={"class": "bit-for-bit", "why": "on a Z80, 1 thread"},
    files={"config.yaml": {"bytes": 7, "sha256": "f" * 64}},
    metrics={
        "valid": {"ndcg_at_10": 0.25},
        "test": {"ndcg_at_10": 0.125, "coverage_at_10": 0.5, "ndcg_at_5": 0.0625, "gini": 0.75},
    },
    timings={"load_seconds": 0.25, "fit_seconds": 12.5, "examples_per_second": 1e6},
    counts={
        "users": 943,
        "items": 1682,
        "train_events": 98114,
        "train_users": 943,
        "train_items": 1675,
        "valid_events": 943,
        "valid_users": 943,
        "valid_cold_users": 0,
        "valid_cold_item_events": 4,
        "test_events": 940,
        "test_users": 941,
        "test_cold_users": 2,
        "test_cold_item_events": 3,
        "epochs": 9,
        "best_epoch": 7,
    },
    choices={"model": "mf", "data": "ml-100k"},
    split="leave_last_out(users with 3 or more events)",
    leaks="later events of others",
    why_split="a time cut leaves 69 users",
    logged_at="sqlite:///runs/mlflow.db",
    how_to_open="recsys ui --root runs",
)


def shown(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    summary.show(outcome)
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_metrics_have_a_column_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(OUTCOME, capsys)
    assert lines["metric"] == ["valid", "test"]
    assert lines["ndcg_at_10"] == ["0.250000", "0.125000"]
    assert lines["coverage_at_10"] == ["", "0.500000"]
    assert lines["gini"] == ["", "0.750000"]


def test_on_a_terminal_cut_offs_stand_side_by_side(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    summary.metrics(OUTCOME.metrics)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "metric valid @10 valid @5 test @10 test @5" in lines
    assert "ndcg 0.2500 0.1250 0.0625" in lines
    assert "coverage 0.5000" in lines
    assert "gini 0.7500" in lines


def test_it_says_what_the_numbers_rest_on(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(OUTCOME, capsys)
    assert lines["run"] == ["mf on ml-100k, cpu"]
    assert lines["epochs"] == ["9, the best was 7"]
    assert "98,114 events for training, of 943 users with 1,675 items" in lines["data"][0]
    assert lines["validation"] == [
        "943 users (0 not in training), 943 events (4 with items not in training)"
    ]
    assert lines["test"] == [
        "941 users (2 not in training), 940 events (3 with items not in training)"
    ]
    assert lines["split"] == ["leave_last_out(users with 3 or more events), hash 0123456789ab"]
    assert lines["why"] == ["a time cut leaves 69 users"]
    assert lines["leaks"] == ["later events of others"]
    assert lines["seconds"] == ["load 0.2, fit 12.5"]
    assert lines["repeats"] == ["bit-for-bit, on a Z80, 1 thread"]


def test_it_says_where_the_run_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(OUTCOME, capsys)
    assert lines["files"] == ["runs/one"]
    assert lines["logged at"] == ["sqlite:///runs/mlflow.db"]
    assert lines["open with"] == ["recsys ui --root runs"]


def test_what_is_not_so_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    counts = OUTCOME.counts | {"epochs": 0, "best_epoch": 0}  # solved in one go
    outcome = replace(OUTCOME, leaks="", why_split="", logged_at="", how_to_open="", counts=counts)
    lines = shown(outcome, capsys)
    assert lines["leaks"] == ["nothing of the future"]
    assert not {"epochs", "why", "logged at", "open with"} & set(lines)

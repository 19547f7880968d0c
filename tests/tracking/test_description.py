"""Texts that MLflow keeps: short, and without secrets."""

import json
import sqlite3

import pytest

from recsys_cli.tracking.description import dataset_of, params_of, reason, short, tags_of


def test_a_text_that_fits_is_not_cut():
    assert short("x" * 10, 10) == "x" * 10
    assert short("x" * 100, 50) == "x" * 25 + "... (cut, 100 characters)"


def test_settings_are_texts_as_they_are_typed():
    told = params_of(
        {"a": None, "b": True, "k": [5, 10], "lr": 0.01, "name": "x", "long": "y" * 9000}
    )
    assert {**told, "long": ""} == {
        "a": "null",
        "b": "true",
        "k": "[5, 10]",
        "lr": "0.01",
        "name": "x",
        "long": "",
    }
    assert len(told["long"]) == 6000


def test_tags_carry_the_key_and_the_process():
    told = tags_of({"description": "d", "command": "recsys train", "x": "y" * 9000}, "local-1")
    assert (told["mlflow.note.content"], told["mlflow.source.name"]) == ("d", "recsys train")
    assert told["recsys.key"] == "local-1"
    assert "pid" in json.loads(told["recsys.process"])
    assert len(told["x"]) == 8000


def test_no_text_keeps_a_password():
    url = "http://user:CANARY@host/x?token=CANARY"
    dataset = {"name": "d", "digest": "0" * 64, "source": url, "profile": "{}"}
    told = [params_of({"u": url, "l": [url]}), tags_of({"t": url}, "k"), dataset_of(dataset)]
    assert "CANARY" not in json.dumps(told)
    assert "CANARY" not in reason(ValueError(url))


def chained(outer, *inner):
    """An error and what caused it, as it is caught."""
    for error in inner:
        outer.__cause__, outer = error, error
    return outer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError(), "ValueError"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError("timed out"), "timed out"),
        (
            ValueError("pool: Max retries exceeded (Caused by ResponseError('too many 500 error responses'))"),
            "too many 500 error responses",
        ),
        (ValueError("x" * 400), "x" * 275 + "... (cut, 400 characters)"),
    ],
)  # fmt: skip
def test_the_reason_is_one_line(error, said):
    assert reason(error) == said


def test_the_reason_is_that_at_the_bottom():
    outer = RuntimeError("API request failed: pool(host='h'): Max retries exceeded")
    chained(outer, ValueError("urllib3"), ConnectionRefusedError(111, "Connection refused"))
    assert reason(outer) == "Connection refused"
    outer = RuntimeError("(sqlite3.OperationalError) no such table\n[SQL: insert]")
    inner = ValueError("(sqlite3.OperationalError) no such table")
    vars(inner)["orig"] = sqlite3.OperationalError("no such table: metrics")
    chained(outer, inner)
    assert reason(outer) == "no such table: metrics"

"""What a run is told to be, as MLflow keeps it: short texts without secrets."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from recsys_cli.redact import redact
from recsys_cli.tracking.process import process_tags

# The longest values that MLflow keeps.
PARAM_CHARACTERS = 6000
TAG_CHARACTERS = 8000
# MLflow keeps 36 characters of a data set's digest; its tables have room for about these.
DIGEST_CHARACTERS = 12
KEY, PARENT = "recsys.key", "mlflow.parentRunId"
MEANT = {"description": "mlflow.note.content", "command": "mlflow.source.name"}


def params_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Settings as they are written in YAML and on the command line: null, true, 0.01, [1, 2], text."""
    return {key: short(_text(value), PARAM_CHARACTERS) for key, value in params.items()}


def tags_of(tags: Mapping[str, str], key: str) -> dict[str, str]:
    """All tags of a new run, MLflow's own among them.

    Args:
        tags: As the tracker was told them.
        key: What the run goes by until MLflow has given it an id; it can be found by it.
    """
    own = {"mlflow.source.name": "recsys", "mlflow.source.type": "LOCAL", **process_tags()}
    with suppress(KeyError, OSError):  # a user without a name, as in some containers
        own["mlflow.user"] = getpass.getuser()
    own |= {MEANT.get(name, name): redact(value) for name, value in tags.items()}
    return {name: short(value, TAG_CHARACTERS) for name, value in own.items()} | {KEY: key}


def dataset_of(dataset: Mapping[str, str]) -> dict[str, str]:
    """The data of a run, with the fields of MLflow's `Dataset`."""
    source = redact(dataset["source"])
    is_url = source.startswith(("http://", "https://"))
    return {
        "name": dataset["name"],
        "digest": dataset["digest"][:DIGEST_CHARACTERS],
        "source_type": "http" if is_url else "local",
        "source": json.dumps({"url" if is_url else "uri": source}),
        "profile": dataset["profile"],
    }


def reason(error: BaseException) -> str:
    """What went wrong, in one line without secrets: the database's or the socket's own words."""
    own, cause = error, error
    while True:
        own = getattr(cause, "orig", None) or (cause if isinstance(cause, OSError) else own)
        inner = cause.__cause__ or cause.__context__
        if inner is None:
            break
        cause = inner
    text = str((isinstance(own, OSError) and own.strerror) or own)
    line = next(iter(redact(text).splitlines()), "") or type(own).__name__
    inside = re.search(r"\(Caused by \w+\(['\"]?(.+?)['\"]?\)\)$", line)
    return short(inside[1] if inside else line, 300)


def short(text: str, limit: int) -> str:
    """The text, or its beginning with a visible mark of how much was left out."""
    if len(text) <= limit:
        return text
    mark = f"... (cut, {len(text)} characters)"
    return text[: limit - len(mark)] + mark


def _text(value: object) -> str:
    return redact(value if isinstance(value, str) else json.dumps(value, default=str))

"""What every data set, filter and split keeps: its file states exactly what its function takes, and says what it is."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from recsys_cli import catalogue, config

GROUPS = ("data", "filter", "split")
FILES = [entry.path for group in GROUPS for entry in catalogue.entries(group)]
GIVEN = {  # what a user has to say
    "csv": ["data.path=events.csv"],
    "imported": ["data.path=events"],
    "global_date": ["split.valid_from=2015-02-15", "split.test_from=2015-03-01"],
}


def settings(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: value for key, value in loaded.items() if key != "defaults"}


def each(test: Any) -> Any:
    return pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.name}={p.stem}" for p in FILES])(
        test
    )


@each
def test_the_settings_are_the_arguments(path):
    stated = settings(path)
    target = config.locate(stated["_target_"], key=path.parent.name)
    needed = {
        p.name: p for p in inspect.signature(target).parameters.values() if p.default is p.empty
    }
    assert all(p.kind is p.KEYWORD_ONLY for p in needed.values())
    assert needed.keys() - (config.RUNTIME - stated.keys()) == set(stated) - {"_target_"}


@each
def test_every_setting_says_what_it_means_and_what_it_may_be(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"# [^|]+( \| [^|]+)*", lines[0])
    stated = {line.split(":")[0]: line for line in lines if re.match(r"[a-z]\w*:", line)}
    for key in settings(path).keys() - {"_target_"}:
        assert re.search(r"  # \S.* (\[.+\]|\(.+\]|\[.+\)|\(.+\)|\{.+\})$", stated[key]), key


@each
def test_it_can_be_chosen(path):
    group, name = path.parent.name, path.stem
    assert config.load([f"{group}={name}", *GIVEN.get(name, [])]).choices[group] == name

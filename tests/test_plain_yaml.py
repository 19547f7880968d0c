"""YAML from elsewhere: measured before it is built."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_cli import plain_yaml
from recsys_cli.errors import ConfigError

GOOD = {
    "a: 1\nb: [x, 1.5, null, true]\n": {"a": 1, "b": ["x", 1.5, None, True]},
    "\ufeffa: 1": {"a": 1},
    "a: &x {b: 1}\nc: *x": {"a": {"b": 1}, "c": {"b": 1}},
    "a: &x {b: 1}\nc: {<<: *x, d: 2}": {"a": {"b": 1}, "c": {"b": 1, "d": 2}},
    "1: a\n'1': b": {1: "a", "1": "b"},
    "a: ! b": {"a": "b"},
    "": None,
}
BAD = {
    "a: 1\nb:\n  c: 1\n  c: 2": "line 4: c is given twice",
    "[{a: 1, a: 1}]": "line 1: a is given twice",
    "a: 2024-13-45": "month must be in",
    "a: 0x_": "invalid literal",
    "? [1]\n: 2": "line 1, column 3: found unhashable key",
    "a: *b": "stands for nothing",
    "a: [1\n": "line 2, column 1",
    "a: !!int 3": "line 1: has the tag tag:yaml.org,2002:int",
    "a: !<!x> b": "has the tag",
    "&a [[*a]]": "for itself",
    '"\\ud800"': "half a character",
    "%TAG ! tag:evil,2000:\n---\n!x a": "has the tag tag:evil,2000:x",
}


@pytest.fixture
def write(tmp_path):
    def put(content):
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (tmp_path / "x.yaml").write_bytes(data)
        return tmp_path / "x.yaml"

    return put


@pytest.mark.parametrize("text", GOOD)
def test_plain_values_are_read(write, text):
    assert plain_yaml.load(write(text)) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_a_fault_is_named_with_file_and_place(write, text):
    with pytest.raises(ConfigError) as caught:
        plain_yaml.load(write(text))
    assert BAD[text] in caught.value.line
    assert caught.value.line.startswith(str(write(text)))


def nest(depth: int) -> str:
    return "[" * depth + "]" * depth


LIMITS = {
    "depth": (nest(plain_yaml.MAX_DEPTH), nest(plain_yaml.MAX_DEPTH + 1)),
    "aliases": tuple(f"[&a 1{', *a' * n}]" for n in (plain_yaml.MAX_ALIASES, plain_yaml.MAX_ALIASES + 1)),
    "bytes": tuple("#" * n for n in (plain_yaml.MAX_BYTES, plain_yaml.MAX_BYTES + 1)),
    "values": tuple(
        # 10 lists of the same 9,998 values and their list, and around them the rest
        f"[&a [{'1,' * 9_998}]{', *a' * 9}{', 1' * rest}]" for rest in (9, 10)
    ),
}  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_is_the_last_that_is_taken(write, limit):
    least_too_much = LIMITS[limit][1]
    plain_yaml.load(write(LIMITS[limit][0]))
    with pytest.raises(ConfigError):
        plain_yaml.load(write(least_too_much))


@pytest.mark.parametrize("content", [b"\xff\xfea", b"a: \x80", b"a: \0", b"a:\n\t- 1"])
def test_bytes_that_are_no_yaml_are_one_line(write, content):
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        plain_yaml.load(write(content))
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "absent", "NUL"])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / ("a\0b" if kind == "NUL" else "x.yaml")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(ConfigError):
        plain_yaml.load(path)


@given(st.text(alphabet="ab:&*[]{}-,'\"\\ \n!|>?%#<1.", max_size=40) | st.binary(max_size=40))
def test_any_bytes_are_values_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("yaml") / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        plain_yaml.load(path)
    except ConfigError as error:
        line = error.line
        assert line.startswith(str(path))  # most of these are refused, some are not

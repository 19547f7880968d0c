"""YAML from elsewhere: measured before it is built."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from yaml import Mark, MarkedYAMLError

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
    "a: 1\nb:\n  c: 1\n  c: 2": "line 4: c is given twice; give it once",
    "[{a: 1, a: 1}]": "line 1: a is given twice; give it once",
    "a: 2024-13-45": "cannot be read: month must be in 1..12; mend the YAML",
    "a: 0x_": "cannot be read: invalid literal for int() with base 16: ''; mend the YAML",
    "? [1]\n: 2": "cannot be read: line 1, column 3: found unhashable key; mend the YAML",
    "a: *b": "line 1: *b stands for nothing, or for itself; write plain values",
    "a: [1\n": "cannot be read: line 2, column 1: expected ',' or ']', but got '<stream end>'; mend the YAML",
    "a: !!int 3": "line 1: has the tag tag:yaml.org,2002:int; write plain values",
    "a: !<!x> b": "line 1: has the tag !x; write plain values",
    "&a [[*a]]": "line 1: *a stands for nothing, or for itself; write plain values",
    '"\\ud800"': "line 1: has half a character (a lone surrogate); write plain values",
    '"\\udfff"': "line 1: has half a character (a lone surrogate); write plain values",
    "%TAG ! tag:evil,2000:\n---\n!x a": "line 3: has the tag tag:evil,2000:x; write plain values",
    "a: \0": 'cannot be read: unacceptable character #x0000: special characters are not allowed in "<unicode string>", position 3; mend the YAML',
}  # fmt: skip


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
    assert caught.value.line == f"{write(text)}: {BAD[text]}"


def nest(depth: int) -> str:
    return "[" * depth + "]" * depth


TOO_MUCH = {
    "depth": "line 1: is nested deeper than 40 levels; write plain values",
    "aliases": "line 1: has more than 100 aliases (*name); write plain values",
    "bytes": "is larger than 1,000,000 bytes; settings are small files",
    "values": "line 1: stands for more than 100,000 values; write plain values",
}
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
    most, too_much = LIMITS[limit]
    plain_yaml.load(write(most))
    with pytest.raises(ConfigError) as caught:
        plain_yaml.load(write(too_much))
    assert caught.value.line == f"{write(too_much)}: {TOO_MUCH[limit]}"


@pytest.mark.parametrize(("content", "at"), [(b"\xff\xfea", 0), (b"a: \x80", 3)])
def test_bytes_that_are_no_text_are_one_line(write, content, at):
    with pytest.raises(ConfigError) as caught:
        plain_yaml.load(write(content))
    told = f"cannot be read: byte {at} is not UTF-8; it must be a YAML file in UTF-8"
    assert caught.value.line == f"{write(content)}: {told}"


NO_FILE = {
    "folder": "is no regular file",
    "pipe": "is no regular file",
    "loop": f"cannot be read: {os.strerror(errno.ELOOP)}",
    "absent": f"cannot be read: {os.strerror(errno.ENOENT)}",
    "NUL": "cannot be read: embedded null byte",
}


@pytest.mark.parametrize("kind", NO_FILE)
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / ("a\0b" if kind == "NUL" else "x.yaml")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(ConfigError) as caught:
        plain_yaml.load(path)
    assert caught.value.line == f"{path}: {NO_FILE[kind]}; it must be a YAML file in UTF-8"


class Row(BaseModel):
    name: str
    sizes: list[int]


def test_values_take_a_form_or_the_first_that_does_not_is_named(write):
    assert plain_yaml.load_as(write("name: a\nsizes: [1, 2]"), Row) == Row(name="a", sizes=[1, 2])
    told = {
        "name: a\nsizes: [1, x, y]": "sizes.1: input should be a valid integer, unable to parse string as an integer",
        "sizes: [1]": "name: field required",
        "name: a\nsizes: [1": "cannot be read: line 2, column 10: expected ',' or ']', but got '<stream end>'; mend the YAML",
    }  # fmt: skip
    for text, line in told.items():
        with pytest.raises(ConfigError) as caught:
            plain_yaml.load_as(write(text), Row)
        assert caught.value.line == f"{write(text)}: {line}"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (ValueError(), "ValueError"),
        (MarkedYAMLError(problem="odd\nkey", problem_mark=Mark("x", 0, 2, 4, None, 0)), "line 3, column 5: odd key"),
        (MarkedYAMLError(context="in a map", problem_mark=Mark("x", 0, 2, 4, None, 0)), 'in a map in "x", line 3, column 5'),
        (MarkedYAMLError(problem="odd key"), "odd key"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line_with_its_place_where_it_has_one(error, told):
    assert plain_yaml.reason(error) == told


@given(st.text(alphabet="ab:&*[]{}-,'\"\\ \n!|>?%#<1.", max_size=40) | st.binary(max_size=40))
def test_any_bytes_are_values_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("yaml") / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        plain_yaml.load(path)
    except ConfigError as error:
        line = error.line
        assert line.startswith(str(path))  # most of these are refused, some are not

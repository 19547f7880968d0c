"""Ranges in words."""

from datetime import date
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from recsys_cli.config.expected import in_words


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (bool, "true or false"),
        (str, "text"),
        (str | None, "text or null"),
        (Annotated[int, Ge(1), Le(4096)], "a whole number in [1, 4096]"),
        (Annotated[float, Gt(0), Lt(1)], "a number in (0, 1)"),
        (Annotated[float, Ge(0)], "a number in [0, inf)"),
        (Annotated[int, Ge(1)] | None, "a whole number in [1, inf) or null"),
        (Literal["a", "b"], "one of a, b"),
        (list[Annotated[int, Ge(1)]], "a list, each a whole number in [1, inf)"),
        (Annotated[str, MinLen(1), MaxLen(500)], "text of length 1 to 500"),
        (Annotated[list[str], MinLen(1)], "a list, each text of length 1 or more"),
        (tuple[float, ...], "a list, each a number"),
        (dict[str, int], "dict"),
        (list, "list"),
        (date, "date"),
        (..., "Ellipsis"),
        (Any, "Any"),
    ],
)
def test_what_a_setting_takes(annotation, words):
    assert in_words(annotation) == words

"""What a setting may be, said in words: `a whole number in [1, 4096]`."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

SIMPLE = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
}


def in_words(annotation: Any) -> str:
    """The values that a parameter of this type takes.

    Args:
        annotation: A parameter's annotation, with ranges as `annotated_types`.
    """
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{in_words(inside[0])}{_limits(inside[1:])}"
    if origin is Literal:
        return f"one of {', '.join(str(value) for value in inside)}"
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(part) for part in inside)
    if origin in (list, tuple) and inside:
        return f"a list, each {in_words(inside[0])}"
    return SIMPLE.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limits(marks: tuple[Any, ...]) -> str:
    """` in [1, 4096]`, or ` of length 1 to 500`."""
    low, high, shortest, longest = "(-inf", "inf)", 0, ""
    for mark in marks:
        match mark:
            case Ge(ge=value):
                low = f"[{value}"
            case Gt(gt=value):
                low = f"({value}"
            case Le(le=value):
                high = f"{value}]"
            case Lt(lt=value):
                high = f"{value})"
            case MinLen(min_length=value):
                shortest = value
            case MaxLen(max_length=value):
                longest = f" to {value}"
    ranged = f" in {low}, {high}" if (low, high) != ("(-inf", "inf)") else ""
    measured = f" of length {shortest}{longest or ' or more'}" if shortest or longest else ""
    return ranged + measured

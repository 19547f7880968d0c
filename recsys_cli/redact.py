"""What may be shown, logged or written down: text without the secrets and control characters that it came with.

A secret stands in a URL (user, password, a token in the query), behind a name that says so (`password=...`,
`Authorization: Bearer ...`), or in an environment variable of such a name. Whatever leaves the program as text
(standard error, logs, settings, tags, the journal) goes through `redact` first.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
SHORTEST_VALUE = 6  # a shorter value of an environment variable is also an everyday word

_WORD = (
    r"(?:pass(?:word|wd|phrase|code)?|(?<=_)pwd|secret|token|key|credential|auth(?:orization)?)s?"
    r"(?![a-z])"
)
_NAME = re.compile(_WORD, re.IGNORECASE)
_USER = re.compile(r"(?<=[\w+.-]:/)(/?)[^/\s]*@")  # one slash is what a path makes of two
_NAMED = re.compile(
    rf"""
    (?P<name>
        (?<![\w.%-])[\w.%-]*{_WORD}[\w.%-]*
        (?:["']?\s*=\s* | ["']\s*:\s*)          # token=..., "token": ...
      | (?:^|(?<=\n))[ \t]*[\w-]*{_WORD}:[ \t]+  # a line of YAML
      | (?<![\w-])(?:[\w]+-)*{_WORD}:[ \t]*(?:(?:bearer|basic|token)[ \t]+)
      | (?<![\w-])(?:[\w]+-)+{_WORD}:[ \t]*      # X-Api-Key: ...
      | (?<![\w-])--[\w-]*{_WORD}[\w-]*\s+       # --token ...
      | (?<!\S)login\s+\S+\s+password\s+        # .netrc
    )
    (?!(?<=[\s'"]key=)value\b)                        # "key=value" is how an override is written
    (?:"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | (?:(?:bearer|basic|token)\s+)?[^\s"'&#,;}}\])]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redact(text: str) -> str:
    """The text without user names, passwords and tokens.

    Args:
        text: Anything that is about to be shown, logged or written down.
    """
    for value in _secret_values():
        text = text.replace(value, HIDDEN)
    text = _USER.sub(rf"\1{HIDDEN}@", text)
    return _NAMED.sub(rf"\g<name>{HIDDEN}", text)


def redact_all(value: Any) -> Any:
    """The same of every text in nested mappings and lists, and of what stands under a secret's name."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN
            if isinstance(inner, str) and inner and is_secret(str(key))
            else redact_all(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_all(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value


def is_secret(name: str) -> bool:
    """Whether something of this name (a setting, a variable, a header) is a secret by its name."""
    return _NAME.search(name) is not None


def printable(text: str) -> str:
    r"""The text with what moves a cursor, hides or reorders letters written out, such as `\x1b`.

    Args:
        text: Names, ids or messages that may come from anywhere; line ends and tabs stay.
    """
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    return (
        character.encode("ascii", "backslashreplace").decode()
        if character > "\x7f"
        else (f"\\x{ord(character):02x}")
    )


def _secret_values() -> list[str]:
    """The values of environment variables that are named like secrets, the longest first."""
    found = {value for name, value in os.environ.items() if is_secret(name)}
    return sorted((value for value in found if len(value) >= SHORTEST_VALUE), key=len, reverse=True)

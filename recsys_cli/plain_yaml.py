"""YAML files that a user brings, read as plain data: small, shallow, without tags, aliases that explode or repeated keys.

YAML can name Python objects, and a few hundred bytes of aliases can stand for billions of values. So every file is
measured by its events, which are cheap, before anything is built from it.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recsys_cli.errors import ConfigError

if TYPE_CHECKING:
    import yaml
    from pydantic import BaseModel

Form = TypeVar("Form", bound="BaseModel")

MAX_BYTES = 1_000_000
MAX_ALIASES = 100
MAX_VALUES = 100_000  # with every alias counted as what it stands for
MAX_DEPTH = 40
EXPECTED = "it must be a YAML file in UTF-8"


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        ConfigError: It is no regular file, cannot be read, is too large or not UTF-8.
    """
    try:
        # Asked first, because opening a pipe waits for somebody to write into it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path}: is no regular file", EXPECTED)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read: {reason}", EXPECTED) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES:,} bytes", "settings are small files")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: cannot be read: byte {error.start} is not UTF-8", EXPECTED
        ) from error


def check(path: Path, text: str) -> None:
    """See that a text is plain YAML of a bearable size.

    Args:
        path: Where it came from, for messages.
        text: What `read_text` gave.

    Raises:
        ConfigError: It is broken, too large when its aliases are followed, too deep, or has tags.
    """
    import yaml

    try:
        _Measure(path).over(yaml.parse(text, yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: cannot be read: {reason(error)}", "mend the YAML") from error


def load_as(path: Path, form: type[Form]) -> Form:
    """A file whose values have the form of a pydantic model.

    Raises:
        ConfigError: As `load`, or naming the first value that is not as it should be.
    """
    from pydantic import ValidationError

    try:
        return form.model_validate(load(path))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {at}: {first['msg'].lower()}") from None


def load(path: Path) -> Any:
    """The values of a file.

    Raises:
        ConfigError: As `read_text` and `check`, or a key stands twice.
    """
    import yaml

    text = read_text(path)
    check(path, text)
    try:
        _refuse_repeats(path, yaml.compose(text, yaml.SafeLoader))
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # an impossible day such as 2024-13-01
        raise ConfigError(f"{path}: cannot be read: {reason(error)}", "mend the YAML") from error


def reason(error: Exception) -> str:
    """What is wrong with a file and at which line and column, in one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or not problem:
        return " ".join(str(error).split()) or type(error).__name__
    return f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(problem.split())}"


class _Measure:
    """Counts what a document would become."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = self._aliases = 0
        self._sizes: dict[str, int] = {}  # of what each anchor stands for
        self._open: list[tuple[str | None, int]] = []  # anchor and count at its start

    def over(self, events: Any) -> None:
        """Go through the events until they end or are too much."""
        import yaml

        for event in events:
            if isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
                self._value(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close(*self._open.pop())
            if self._values > MAX_VALUES:
                raise self._refused(event, f"stands for more than {MAX_VALUES:,} values")

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._refused(event, f"has more than {MAX_ALIASES} aliases (*name)")
        if event.anchor not in self._sizes:
            raise self._refused(event, f"*{event.anchor} stands for nothing, or for itself")
        self._values += self._sizes[event.anchor]

    def _value(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        import yaml

        if event.tag is not None and event.tag != "!":
            raise self._refused(event, f"has the tag {event.tag}")
        before = self._values
        self._values += 1
        if isinstance(event, yaml.ScalarEvent):
            if any("\ud800" <= character <= "\udfff" for character in event.value):
                raise self._refused(event, "has half a character (a lone surrogate)")
            self._close(event.anchor, before)
            return
        self._open.append((event.anchor, before))
        if len(self._open) > MAX_DEPTH:
            raise self._refused(event, f"is nested deeper than {MAX_DEPTH} levels")

    def _close(self, anchor: str | None, before: int) -> None:
        if anchor is not None:
            self._sizes[anchor] = self._values - before

    def _refused(self, event: yaml.Event, problem: str) -> ConfigError:
        assert event.start_mark is not None  # it was read from a file
        line = event.start_mark.line + 1
        return ConfigError(f"{self._path}: line {line}: {problem}", "write plain values")


def _refuse_repeats(path: Path, node: yaml.Node | None) -> None:
    """Refuse a mapping that has a key twice: the later one would win in silence."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = (key.tag, str(key.value))
            if name in seen:
                raise ConfigError(
                    f"{path}: line {key.start_mark.line + 1}: {key.value} is given twice",
                    "give it once",
                )
            seen.add(name)
            _refuse_repeats(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeats(path, value)

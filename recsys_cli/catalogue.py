"""What there is to choose from: the names, descriptions and keys that the configuration folders hold.

Reads the YAML files as text, without Hydra and without a YAML library: listings, help and completion must answer
at once. It relies on the form that every file of ours has: a first line that says what it is
(`# title | slides | paper`), and `key: value  # meaning [range]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys_cli import plain_yaml
from recsys_cli.errors import ConfigError, nearest

ROOT = "experiment"
ENVIRONMENT = "RECSYS_CONFIG_DIR"
PUBLISHED = "published"  # a folder of tables to reproduce, not a group of settings
SPACES = "sweep"  # and one of ready search spaces
COMPARISON = "comparison"  # and one of comparisons to run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_KEY = re.compile(
    r"""(?P<key>[A-Za-z]\w*):
        (?:\s+(?P<value>"(?:\\.|[^"])*"|'[^']*'|[^\s"'#](?:[^#]|(?<!\s)\#)*?))?
        (?:\s+\#\s*(?P<comment>.*))?\s*""",
    re.VERBOSE,
)
_RANGE = re.compile(r"(?P<meaning>.*?)\s*(?P<range>\{[^{}]*\}|[\[(][^\[\]()]*,[^\[\]()]*[\])])?")
_TARGET = re.compile(r"_target_:\s+(?P<name>[\w.]+)\s*")
_CHOICE = re.compile(
    r"\s*-\s+(?:override\s+)?/?(?P<group>[a-z_]+)(?:@_global_\.\w+)?:\s+(?P<name>[\w-]+)(?:\s+#\s*(?P<reason>.*))?\s*"
)


@dataclass(frozen=True)
class Entry:
    """One file of a group: something that can be chosen by its name.

    Attributes:
        group: `model`, `data`, `split` and so on.
        name: What is typed to choose it.
        path: Its YAML file.
        title: What it is, a line.
        notes: What follows the title in its first line: for a model the talk's slides and the paper.
    """

    group: str
    name: str
    path: Path
    title: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """One setting as its file states it.

    Attributes:
        name: The key inside its group.
        default: The value in the file, as text.
        meaning: What it is, with its unit.
        allowed: Its range `[1, 4096]` or choices `{a, b}`; empty where anything of its type goes.
    """

    name: str
    default: str
    meaning: str
    allowed: str


@dataclass(frozen=True)
class Pick:
    """A file's choice in another group, with the reason that it gives."""

    group: str
    name: str
    reason: str


def builtin_directory() -> Path:
    """The folder of the built-in files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / f"{ROOT}.yaml").is_file():
            return folder
    raise ConfigError(f"no {ROOT}.yaml in {package / 'configs'}", "install recsys-cli again")


def user_directories(given: Sequence[Path] = ()) -> list[Path]:
    """The user's own folders, first come first: those given, then those of RECSYS_CONFIG_DIR.

    Raises:
        ConfigError: One of them is not a folder.
    """
    named = os.environ.get(ENVIRONMENT, "").split(os.pathsep)
    origins = dict.fromkeys(given, "--config-dir")
    origins |= {Path(name): ENVIRONMENT for name in named if name and Path(name) not in origins}
    for folder, origin in origins.items():
        if not folder.is_dir():
            raise ConfigError(
                f"{origin}: {str(folder)!r} is not a folder", "name one that holds model/NAME.yaml"
            )
    return list(origins)


def groups(config_dirs: Sequence[Path] = ()) -> list[str]:
    """The names of all groups, in alphabetical order."""
    return sorted(
        {
            path.name
            for folder in _folders(config_dirs)
            for path in folder.iterdir()
            if path.is_dir()
            and _NAME.fullmatch(path.name)
            and path.name not in (PUBLISHED, SPACES, COMPARISON)
        }
    )


def names(group: str, config_dirs: Sequence[Path] = ()) -> list[str]:
    """What there is to choose from in a group, in alphabetical order."""
    return sorted(_files(group, config_dirs))


def entries(group: str, config_dirs: Sequence[Path] = ()) -> list[Entry]:
    """The same with their descriptions."""
    files = _files(group, config_dirs)
    return [_entry(group, name, files[name]) for name in sorted(files)]


def find(group: str, name: str, config_dirs: Sequence[Path] = ()) -> Entry:
    """One of them.

    Raises:
        ConfigError: There is none of this name.
    """
    files = _files(group, config_dirs)
    if name not in files:
        raise ConfigError(f"no {group} called {name!r}", nearest(name, list(files)))
    return _entry(group, name, files[name])


def keys(path: Path) -> list[Key]:
    """The settings that a file states, in its order, without `defaults` and what begins with an underscore."""
    found = []
    for line in _lines(path):
        match = _KEY.fullmatch(line)
        if match and match["key"] != "defaults":
            meaning = _RANGE.fullmatch((match["comment"] or "").strip())
            found.append(
                Key(
                    name=match["key"],
                    default=(match["value"] or "").strip(),
                    meaning=meaning["meaning"] if meaning else "",
                    allowed=(meaning["range"] or "") if meaning else "",
                )
            )
    return found


def picks(path: Path) -> list[Pick]:
    """What a file chooses in other groups by its defaults list."""
    matches = [_CHOICE.fullmatch(line) for line in _lines(path)]
    return [
        Pick(m["group"], m["name"], m["reason"] or "") for m in matches if m and m["name"] != "null"
    ]


def chosen(given: Mapping[str, str], config_dirs: Sequence[Path] = ()) -> dict[str, str]:
    """The name in every group when these are given: data set and model may pick others' groups in turn."""
    made = {pick.group: pick.name for pick in picks(builtin_directory() / f"{ROOT}.yaml")} | dict(
        given
    )
    for group in ("data", "model"):
        file = _files(group, config_dirs).get(made.get(group, ""))
        if file is not None:
            made |= {pick.group: pick.name for pick in picks(file) if pick.group not in given}
    return made


def override_keys(given: Mapping[str, str], config_dirs: Sequence[Path] = ()) -> dict[str, Key]:
    """Every key that can be overridden under these choices, `model.rank` and its like."""
    found = {key.name: key for key in keys(builtin_directory() / f"{ROOT}.yaml")}
    for group, name in chosen(given, config_dirs).items():
        file = _files(group, config_dirs).get(name)
        found |= {f"{group}.{key.name}": key for key in (keys(file) if file else [])}
    return found


def targets(group: str) -> frozenset[str]:
    """What the built-in files of a group name as their `_target_`: all of ours that it may be."""
    lines = (line for path in _built_in(group) for line in _lines(path))
    return frozenset(match["name"] for line in lines if (match := _TARGET.fullmatch(line)))


def _built_in(group: str) -> list[Path]:
    return sorted((builtin_directory() / group).glob("*.yaml"))


def _folders(config_dirs: Sequence[Path]) -> list[Path]:
    return [*user_directories(config_dirs), builtin_directory()]


def _files(group: str, config_dirs: Sequence[Path]) -> dict[str, Path]:
    """Name -> file; the user's folders win over the built-in one."""
    files: dict[str, Path] = {}
    for folder in _folders(config_dirs):
        for path in sorted((folder / group).glob("*.yaml")):
            if _NAME.fullmatch(path.stem):
                files.setdefault(path.stem, path)
    return files


def _entry(group: str, name: str, path: Path) -> Entry:
    lines = (line for line in _lines(path) if not line.startswith("# @package"))
    first = next(lines, "")
    parts = (
        [part.strip() for part in first.lstrip("#").split("|")] if first.startswith("#") else [""]
    )
    return Entry(group, name, path, title=parts[0], notes=tuple(parts[1:]))


def _lines(path: Path) -> list[str]:
    return plain_yaml.read_text(path).splitlines()

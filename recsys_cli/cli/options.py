"""The options that several commands share, and what they mean as overrides.

A group option is sugar: `--model=seq` is the override `model=seq`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from recsys_cli import catalogue
from recsys_cli.cli import completion
from recsys_cli.errors import ConfigError
from recsys_cli.resources import expect_room_to_start

GROUPS = {
    "model": "What is trained.",
    "data": "What it learns from.",
    "split": "Which events are for training, validation and test; a data set may name its own.",
    "device": "Where it computes.",
    "trainer": "How it is trained; a model may name its own.",
    "evaluation": "How its rankings are judged.",
    "tracking": "Where the run is recorded.",
    "preset": "Settings for a purpose, over all others.",
}


def _group(name: str) -> Any:
    return typer.Option(
        f"--{name}",
        metavar="NAME",
        help=GROUPS[name],
        autocompletion=completion.of_group(name),
        show_default=False,
    )


Model = Annotated[str | None, _group("model")]
Data = Annotated[str | None, _group("data")]
Split = Annotated[str | None, _group("split")]
Device = Annotated[str | None, _group("device")]
Trainer = Annotated[str | None, _group("trainer")]
Evaluation = Annotated[str | None, _group("evaluation")]
Tracking = Annotated[str | None, _group("tracking")]
Preset = Annotated[str | None, _group("preset")]

Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="The number from which all randomness is derived.", show_default=False
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for the run's files; made if need be.",
        file_okay=False,
        show_default=False,
    ),
]
ConfigDir = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="A folder of your own that holds model/NAME.yaml and its like; may be repeated. "
        f"Also the environment variable {catalogue.ENVIRONMENT}.",
        exists=True,
        file_okay=False,
        is_eager=True,
        show_default=False,
    ),
]
AllowPackage = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PACKAGE",
        help="A Python package of your own, installed or in the current folder, whose classes a "
        "_target_ may name; may be repeated.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Bars = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Progress bars, or a line an epoch; without either: bars on a terminal.",
        show_default=False,
    ),
]
Root = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the runs, as `recsys train` named it.")
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Folder of a run, or its name or id in --root.", show_default=False
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OVERRIDE",
        help="Any setting: model.rank=32, trainer.lr=0.01, +tag=x.",
        autocompletion=completion.of_override,
        show_default=False,
    ),
]


def collect(
    overrides: Sequence[str] | None, *, seed: int | None = None, **groups: str | None
) -> list[str]:
    """Group options, seed and trailing overrides as one list of overrides.

    Args:
        overrides: As typed after the options.
        seed: The value of --seed.
        **groups: Group name -> chosen name; None = not said.
    """
    said = {**groups, "seed": None if seed is None else str(seed)}
    return [
        *(f"{key}={value}" for key, value in said.items() if value is not None),
        *(overrides or []),
    ]


def allow(packages: Sequence[str] | None) -> None:
    """Let settings name classes of these packages, which may also lie in the current folder."""
    if packages:
        from recsys_cli import config

        config.allow(packages)
        sys.path.append(str(Path.cwd()))  # at the end: it shadows nothing


def page(path: Path) -> Path:
    """Where a page is asked for, before any work is done.

    Raises:
        ConfigError: Its folder is not there.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"--page {path}: {path.parent} is no folder", "make it first")
    return path


LIGHT = (
    "models",
    "metrics",
    "completion",
    "list",
    "settings",
    "doctor",
)  # they load no torch, or may do without
HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class Command(TyperCommand):
    """A command whose help lists the names of each group, and which takes no option twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what would otherwise be dropped in silence, then parse."""
        if not ctx.resilient_parsing:
            self._refuse_repeats(args)
            self._refuse_dashed_overrides(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, where there is room for what it loads."""
        if self.name not in LIGHT:
            expect_room_to_start()
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Add to each group option what there is to choose from, the user's folders included."""
        for option in self.params:
            if option.name in GROUPS and option.opts[0].startswith("--"):
                names = catalogue.names(option.name, ctx.params.get("config_dir") or ())
                vars(option)["help"] = (
                    f"{GROUPS[option.name]} One of: {', '.join(names) or 'none yet'}."
                )
        super().format_help(ctx, formatter)

    def _refuse_repeats(self, args: list[str]) -> None:
        typed = [arg.split("=")[0] for arg in args]
        for option in self.params:
            for name in option.opts:
                if typed.count(name) > 1 and not getattr(option, "multiple", True):
                    raise ConfigError(f"{name} is given {typed.count(name)} times", "give it once")

    def _refuse_dashed_overrides(self, args: list[str]) -> None:
        for arg in args:
            key, equals, _ = arg.partition("=")
            if key.startswith("--") and "." in key and equals:
                raise ConfigError(f"no option {key}", f"a setting has no dashes: {arg.lstrip('-')}")

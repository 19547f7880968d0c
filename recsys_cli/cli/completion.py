"""Completion of names and settings in the shell, and `recsys completion`, which prints the script for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any

import typer

from recsys_cli import catalogue
from recsys_cli.cli import output
from recsys_cli.errors import RecsysError

VARIABLE = "_RECSYS_COMPLETE"
Suggestions = list[tuple[str, str]]

# bash cuts words at '=', so it would ask for what follows `--model=` or `model=` as if it were a new word. Here
# the words are cut at blanks, and what bash keeps before the '=' is taken off the answers again.
BASH = """\
_recsys() {
    local line="${COMP_LINE:0:COMP_POINT}" words current count kept item
    read -ra words <<<"$line"
    count=${#words[@]}
    [[ $line == *' ' ]] || ((count--))
    current="${words[count]}"
    kept="${current%"${current##*=}"}"
    COMPREPLY=()
    while IFS= read -r item; do
        item="${item#"$kept"}"
        [[ $COMP_WORDBREAKS == *=* ]] || item="$kept$item"
        [[ $item ]] && COMPREPLY+=("$item")
    done < <(COMP_WORDS="$line" COMP_CWORD="$count" _RECSYS_COMPLETE=complete_bash "$1" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _recsys recsys
"""


class Shell(Enum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[
        Shell, typer.Argument(help="The shell to print a script for.", show_default=False)
    ],
) -> None:
    """Print a script that completes names and settings in a shell.

    bash: put `source <(recsys completion bash)` into ~/.bashrc; zsh: the same into ~/.zshrc, after compinit;
    fish: `recsys completion fish > ~/.config/fish/completions/recsys.fish`.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # no __all__

    if shell is Shell.BASH:
        output.write(BASH)
    else:
        output.write(
            get_completion_script(prog_name="recsys", complete_var=VARIABLE, shell=shell.value)
        )


def of_group(group: str) -> Callable[[typer.Context, str], Suggestions]:
    """Completes the names of a group, also after a comma."""

    def complete(ctx: typer.Context, incomplete: str) -> Suggestions:
        before, comma, _ = incomplete.rpartition(",")
        return _names(group, ctx.params, before + comma)

    return complete


def of_override(ctx: typer.Context, incomplete: str) -> Suggestions:
    """Completes `key=`, then the names of a group or the values that a setting can take."""
    key, equals, _ = incomplete.partition("=")
    try:
        directories = ctx.params.get("config_dir") or ()
        if not equals:
            groups = [(f"{group}=", "") for group in catalogue.groups(directories)]
            settings = catalogue.override_keys(_given(ctx.params), directories)
            return groups + [(f"{name}=", setting.meaning) for name, setting in settings.items()]
        if key in catalogue.groups(directories):
            return _names(key, ctx.params, f"{key}=")
        setting = catalogue.override_keys(_given(ctx.params), directories).get(key)
    except RecsysError:
        return []
    if setting is None or not setting.allowed.startswith("{"):
        return []
    values = [value.strip() for value in setting.allowed.strip("{}").split(",")]
    return [(f"{key}={value}", "") for value in values if " " not in value]  # `a path` is no value


def _names(group: str, said: Mapping[str, Any], prefix: str) -> Suggestions:
    try:
        entries = catalogue.entries(group, said.get("config_dir") or ())
    except RecsysError:
        return []  # a shell is no place for messages
    return [(prefix + entry.name, entry.title) for entry in entries]


def _given(said: Mapping[str, Any]) -> dict[str, str]:
    """What is chosen so far on the line that is being typed."""
    overrides = [text.partition("=") for text in said.get("overrides") or ()]
    options = {key: value for key, value in said.items() if isinstance(value, str)}
    return options | {key: value for key, _, value in overrides}

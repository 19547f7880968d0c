"""The program `recsys`: its commands, and the one place where every error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from recsys_cli import __version__
from recsys_cli.cli import (
    compare,
    compare_devices,
    compare_runs,
    completion,
    data,
    doctor,
    evaluate,
    metrics,
    models,
    output,
    plan,
    probe,
    recommend,
    reproduce,
    stderr,
    sweep,
    sync,
    train,
    ui,
    verify,
)
from recsys_cli.cli.endings import EXIT_CODES, told
from recsys_cli.cli.options import HELP_NAMES, Command
from recsys_cli.cli.stopping import INTERRUPTED, LINE, TERMINATED, Terminated

COMMANDS = (
    train.train,
    plan.plan,
    compare.compare,
    compare_devices.compare_devices,
    compare_runs.compare_runs,
    evaluate.evaluate,
    recommend.recommend,
    verify.verify,
    sweep.sweep,
    reproduce.reproduce,
    sync.sync,
    models.models,
    metrics.metrics,
    ui.ui,
    doctor.doctor,
    completion.completion,
)


class Program(TyperGroup):
    """Ends every run of the program with the right exit code and, after an error, one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except Terminated as stop:
            raise typer.Exit(TERMINATED) from stop

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> NoReturn:
        """Run a command and leave the process."""
        try:
            code = super().main(*args, standalone_mode=False, **kwargs)
        except typer.TyperException as error:  # an unknown option or command, a missing argument
            context = getattr(error, "ctx", None)
            hint = f"see {context.command_path} --help" if context else "see recsys --help"
            _fail(f"{error.format_message().rstrip('.')}; {hint}", error.exit_code)
        except Exception as error:
            ours = told(error)
            if ours is None:
                raise
            _fail(ours.line, ours.exit_code)
        if code in (INTERRUPTED, TERMINATED):
            output.complain(LINE)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    output.complain(f"recsys: error: {' '.join(message.split())}")
    sys.exit(code)


app = typer.Typer(
    cls=Program,
    name="recsys",
    help="Train, measure and compare recommender systems.",
    epilog=EXIT_CODES,
    add_completion=False,
    rich_markup_mode=None,  # rich costs 100 ms, also for --help
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)


@app.callback(invoke_without_command=True, add_help_option=False)
def root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show which program this is.")] = False,
    help_: Annotated[bool, typer.Option("--help", "-h", help="Show this message.")] = False,
) -> None:
    """Train, measure and compare recommender systems."""
    if version:
        output.write(f"recsys-cli {__version__}: an experiment runner for recommender systems")
    elif help_ or ctx.invoked_subcommand is None:
        output.write(ctx.get_help())
        raise typer.Exit


for command in COMMANDS:
    app.command(cls=Command, name=command.__name__.replace("_", "-"), context_settings=HELP_NAMES)(
        command
    )
app.add_typer(data.app, name="data")
app.add_typer(probe.app, name="probe")


def run() -> None:
    """Run the command line of this process."""
    stderr.guard()
    if completion.VARIABLE in os.environ:
        # `add_completion` would do the same and offer two options that are not there.
        from typer.completion import completion_init  # type: ignore[attr-defined]  # no __all__

        completion_init()
    app(prog_name="recsys")

"""The command itself: joins the commands, and says errors in one line.

A traceback comes only with `--traceback`, which may stand anywhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from traceback import print_exception
from typing import Annotated, Any

import typer

from autolm.cli.check import check
from autolm.cli.dap import dap
from autolm.cli.draw import draw
from autolm.cli.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USE
from autolm.cli.export import export
from autolm.cli.grouped_help import GroupedCommand, GroupedCommands
from autolm.cli.info import info
from autolm.cli.ops import ops
from autolm.cli.sample import sample
from autolm.cli.step import step
from autolm.cli.train import train
from autolm.cli.vscode import vscode

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Learn": (info, ops),
    "Look": (step, draw),
    "In an editor": (vscode, dap),
    "Prove": (check,),
    "Train": (train, sample, export),
}

app = typer.Typer(
    name="autolm",
    cls=GroupedCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _heading, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(cls=GroupedCommand, rich_help_panel=_heading)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"autolm {version('autolm')}")
        raise typer.Exit(DONE)


@app.callback()
def autolm(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", callback=_show_version, is_eager=True
        ),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
) -> None:
    """Watch, draw and prove the mathematics of training a language model."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command, and end the process with its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    show_traceback = "--traceback" in arguments
    command, code = typer.main.get_command(app), DONE
    try:
        words = [word for word in arguments if word != "--traceback"] or ["--help"]
        with command.make_context("autolm", words) as context:
            command.invoke(context)
    except typer.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        message, code = _told(error)
        if show_traceback:
            print_exception(error)
        else:
            print(f"autolm: {message}", file=sys.stderr)
    sys.exit(code)


def _told(error: Any) -> tuple[str, int]:
    """Say an error in one line, and whose fault it is: typer's own errors have a message ready."""
    is_typers = hasattr(error, "format_message")
    text = error.format_message() if is_typers else str(error)
    line = next(iter(text.splitlines()), type(error).__name__)
    if is_typers or isinstance(error, ValueError):
        return line, WRONG_USE
    return line if isinstance(error, OSError) else f"{type(error).__name__}: {line}", FAILED

"""The command itself: joins the commands, and says errors in one line.

A traceback comes only with `--traceback`; it and `--language` may stand anywhere.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from traceback import format_exception
from typing import Annotated, Any

import typer

from autolm.cli.check import check
from autolm.cli.dap import dap
from autolm.cli.draw import draw
from autolm.cli.exit_codes import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    SaidByAnother,
    is_one_of_several,
)
from autolm.cli.export import export
from autolm.cli.grouped_help import GroupedCommand, GroupedCommands
from autolm.cli.info import info
from autolm.cli.ops import ops
from autolm.cli.sample import sample
from autolm.cli.step import step
from autolm.cli.train import train
from autolm.cli.vscode import vscode
from autolm.outside.language import say, speak, usual_language
from autolm.outside.message import Message, joined, message, plain_message
from autolm.outside.terminal import (
    in_a_line,
    let_go_of_output,
    print_safely,
    show_in_any_encoding,
    words_of,
)

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    message("See"): (step, draw),
    message("Check"): (check,),
    message("Train"): (train, sample, export),
    message("Reference"): (info, ops),
    message("Editors"): (vscode, dap),
}

app = typer.Typer(
    name="autolm",
    cls=GroupedCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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

        print_safely(f"autolm {version('autolm')}")
        raise typer.Exit(DONE)


@app.callback()
def autolm(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help=message("Show the version."), callback=_show_version, is_eager=True
        ),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=message("Show the traceback of an error."))
    ] = False,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="en|ko",
            help=message("Language of messages and help."),
            show_default=message("language of the locale"),
        ),
    ] = None,
) -> None:
    """Define the options of all commands; `main` reads `--traceback` and `--language`."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command, and end the process with its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        show_in_any_encoding(stream)
    log = logging.getLogger("autolm")
    log.addHandler(_LOG)
    log.setLevel(logging.INFO)
    show_traceback = "--traceback" in arguments
    command, code, is_understood = typer.main.get_command(app), DONE, False
    try:
        words = [word for word in arguments if word != "--traceback"]
        speak(usual_language())  # in which another, that is not known, is refused
        speak(_language(words))
        words = words or ["--help"]
        with command.make_context("autolm", words) as context:
            is_understood = True
            command.invoke(context)
        if sys.stdout is not None:  # as a program may leave it
            print_safely("", end="")  # what cannot be written is an error like any other
    except typer.Exit as end:
        code = end.exit_code
    except BrokenPipeError:  # the reader of a pipe has gone, as `head` does
        let_go_of_output()
    except SaidByAnother as said:
        _, code = _told(said.__cause__)
    except BaseException as error:  # also what is none of Exception's, of a program that is run
        text, code = _told(error)
        if show_traceback:
            print_safely("".join(format_exception(error)), sys.stderr, end="")
        elif (is_understood and not _is_of_the_words(error)) or _is_first_here():
            _tell(text)
    _write_what_waits()
    if code != DONE and is_one_of_several():  # to take leave of one that is lost could take forever
        os._exit(code)
    sys.exit(code)


def _write_what_waits() -> None:
    """Write what is held back for output, or give it up, or Python would fail of it as it ends."""
    try:
        print_safely("", end="")
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            let_go_of_output()


def _tell(text: str) -> None:
    is_template = isinstance(text, Message)
    print_safely(f"autolm: {in_a_line(say(text if is_template else in_a_line(text)))}", sys.stderr)


class _Log(logging.Handler):
    """Says what parts of autolm have to say while they work."""

    def emit(self, record: logging.LogRecord) -> None:
        _tell(record.getMessage())


_LOG = _Log()


def _open_what_is_closed() -> None:
    """Open nothing where a stream is closed, or a file of ours may take its place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+" if descriptor else "r"))  # noqa: SIM115


def _language(words: list[str]) -> str:
    """Take `--language` out of the words, wherever it stands; else it is that of the locale."""
    chosen = usual_language()
    for word in list(words):
        option, equals, value = word.partition("=")
        if option == "--language":
            at = words.index(word)
            if not equals:
                value = "".join(words[at + 1 : at + 2])
            del words[at : at + (1 if equals else 2)]
            chosen = value
    return chosen


def _told(error: Any) -> tuple[str, int]:
    """Say an error in words, and whose fault it is: typer's own errors have a message ready."""
    if _is_interrupt(error):
        return message("interrupted"), INTERRUPTED
    if _is_of_the_words(error):
        return error.format_message(), WRONG_USE
    text, kind = words_of(error), type(error).__name__
    if isinstance(error, OSError):
        if not text.startswith("[Errno"):
            return text, FAILED
        named = [str(error.filename)] if error.filename is not None else []
        reason = error.strerror or ""
        if not isinstance(reason, Message):
            reason = plain_message(reason)
        return joined(": ", [*named, reason]), FAILED
    if isinstance(error, MemoryError):
        return message("there is not enough memory: {text}", text=text), FAILED
    if isinstance(error, ValueError):
        return text, WRONG_USE
    return text if text.startswith(kind) else message(
        "{kind}: {text}", kind=kind, text=text
    ), FAILED


def _is_of_the_words(error: BaseException) -> bool:
    """Whether it is typer's own error."""
    return hasattr(error, "format_message")


def _is_first_here() -> bool:
    """Whether this is the first worker of a machine, all of which were given the same words."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is what an error came of: a library may make another of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
